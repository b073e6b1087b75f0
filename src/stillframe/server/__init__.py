"""The parts put together: what listens on a port."""
