"""The database: a private PostgreSQL or the operator's own, its engine, and its migrations."""
