"""What accounts want to be told of, and the outbox that tells them."""
