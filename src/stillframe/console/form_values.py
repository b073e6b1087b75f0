"""Texts of forms and queries as values. What is wrong raises ConfigError."""

from __future__ import annotations

from datetime import UTC, datetime

from stillframe.errors import ConfigError


def short_text(name: str, text: str, most_bytes: int) -> str:
    """A text that says something, without spaces around it, of so many bytes in UTF-8 at the most."""
    text = text.strip()
    allowed = f"text of 1 to {most_bytes} bytes in UTF-8"
    if not 0 < len(text.encode()) <= most_bytes or "\0" in text:
        raise ConfigError(name, text, allowed)
    return text


def whole_number(name: str, text: str, low: int, high: int) -> int:
    """A whole number, both ends included."""
    text = text.strip()
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else -1
    if not low <= number <= high:
        raise ConfigError(name, text, f"a whole number from {low} to {high}")
    return number


def page_number(text: str) -> int:
    """Which page of several, counted from 1; the first one where that is no number of a page."""
    return int(text) if text.isascii() and text.isdigit() and 0 < len(text) < 7 and int(text) else 1


def utc_time(name: str, text: str) -> datetime | None:
    """A time in UTC as an input of a browser gives it, None for none. Raises ConfigError."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
    except ValueError as error:
        raise ConfigError(name, text, "a time in UTC such as 2026-11-22T17:30") from error
