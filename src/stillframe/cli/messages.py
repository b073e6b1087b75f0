"""What the command says when something is wrong: one line each, on standard error, whatever the names hold."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from stillframe.errors import StillframeError


def print_error(text: object) -> None:
    """One line on standard error; line ends within file names are shown as such."""
    print_line(_one_line(f"stillframe: {text}"), sys.stderr)


def failure_json(what: str, name: str, error: StillframeError) -> str:
    """A file that failed, as JSON: `what` it is (source, track), and why."""
    import json

    facts = {
        what: name,
        "ok": False,
        "code": error.code,
        "reason": getattr(error, "reason", None),
        "message": str(error),
    }
    return json.dumps(facts, separators=(",", ":"))


def say(text: str) -> None:
    """One line on standard output."""
    print_line(text, sys.stdout)


def say_progress(text: str) -> None:
    """How far something has come, on standard error: one line that changes on a terminal, else a line each time."""
    if sys.stderr.isatty():
        # to the line's start, and what was there is wiped out: the next line of any kind goes over it
        print(f"\r\x1b[K{text}\r", end="", file=sys.stderr, flush=True)
    else:
        print_line(text, sys.stderr)


def say_table(heading: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Rows in columns on standard output; line ends within a cell are shown as such."""
    cells = [[_one_line(str(cell)) for cell in row] for row in (heading, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def share_text(read_bytes: int, size_bytes: int, requests: int | None = None) -> str:
    """How much of a video was read, and by how many requests."""
    share = f"{_size(read_bytes)} of {_size(size_bytes)} read ({read_bytes / max(size_bytes, 1):.1%})"
    return share if requests is None else f"{share} in {requests:,} request{'' if requests == 1 else 's'}"


def _size(number: int) -> str:
    mib = number / (1 << 20)
    return f"{mib:,.1f} MiB" if mib >= 1 else f"{number / (1 << 10):.1f} KiB"


def print_line(text: str, file: TextIO) -> None:
    """A line that goes out at once. When its reader has gone (`| head`), the work goes on in silence."""
    try:
        print(text, file=file, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())


def _one_line(text: str) -> str:
    return text.replace("\n", "\\n").replace("\r", "\\r")


def make_streams_safe() -> None:
    """Make standard output and error take any name, also when they are closed or know few characters."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open as long as the process lives
            setattr(sys, name, nowhere)
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
