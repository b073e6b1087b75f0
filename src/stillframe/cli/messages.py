"""What the command says when something is wrong: one line each, on standard error, whatever the names hold."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def print_error(text: object) -> None:
    """One line on standard error; line ends within file names are shown as such."""
    print_line(f"stillframe: {text}".replace("\n", "\\n").replace("\r", "\\r"), sys.stderr)


def say(text: str) -> None:
    """One line on standard output."""
    print_line(text, sys.stdout)


def print_line(text: str, file: TextIO) -> None:
    """A line that goes out at once. When its reader has gone (`| head`), the work goes on in silence."""
    try:
        print(text, file=file, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())


def make_streams_safe() -> None:
    """Make standard output and error take any name, also when they are closed or know few characters."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
