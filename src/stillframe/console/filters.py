"""What people write into the filters of a list."""

from __future__ import annotations

from datetime import UTC, datetime

from stillframe.errors import ConfigError


def utc_time(name: str, text: str) -> datetime | None:
    """A time in UTC as an input of a browser gives it, None for none. Raises ConfigError."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
    except ValueError as error:
        raise ConfigError(name, text, "a time in UTC such as 2026-11-22T17:30") from error
