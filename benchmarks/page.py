"""A table's place on a page of the documentation."""

from __future__ import annotations

from pathlib import Path


def write_between(page: Path, begin: str, end: str, table: str) -> None:
    """Write a table to a page: between its two marks where the page has them, else as all of it."""
    text = page.read_text() if page.exists() else ""
    before, opening, rest = text.partition(begin)
    _, closing, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n\n{table.strip()}\n\n{end}{after}" if opening and closing else table)
