"""Where the output goes: to a terminal, a pipe whose reader has left, an old encoding, or nowhere."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from the_command import COMMAND, DEADLINE_S, demand_one_line, files_in, rgb, run

from stillframe.testing import barcode

LONG_WORK = ["snap", "movie.mp4", "-o", "{Count}.png", "--interval", "200ms", "--width", "640"]


def test_a_terminal_shows_a_bar_and_then_what_was_made(folder: Path) -> None:
    code, shown = _on_a_terminal(LONG_WORK, folder)
    assert code == 0
    counts = [
        int(count) for count in re.findall(r"movie\.mp4 .*?(\d+)/125 shots (?:\d+:\d\d:\d\d|-:--:--)", shown)
    ]
    assert len(set(counts)) > 1, shown
    assert counts == sorted(counts)
    summary = r"movie\.mp4: 125 stills of 640x360 in \d+\.\d\d s(?:, .*)?: 00001\.png … 00125\.png\r\n"
    assert re.search(summary, shown), shown


def test_a_terminal_shows_a_bad_file_in_one_line(folder: Path) -> None:
    code, shown = _on_a_terminal(["snap", "gone [b].mp4", "movie.mp4", "-o", "{Name}.jpg"], folder)
    assert code == 1
    assert shown.count("stillframe: gone [b].mp4: no such file\r\n") == 1
    assert "movie.mp4: 1 still of 192x108 in " in shown


def test_quiet_leaves_a_terminal_alone(folder: Path) -> None:
    assert _on_a_terminal(["snap", "movie.mp4", "-o", "x.jpg", "--quiet"], folder) == (0, "")
    assert barcode.read(rgb(folder / "x.jpg")) == 0


def test_json_on_a_terminal_is_json(folder: Path) -> None:
    code, shown = _on_a_terminal(["snap", "movie.mp4", "-o", "x.jpg", "--json"], folder)
    assert code == 0
    assert re.fullmatch(r'\{"source":"movie\.mp4",[^\r\n]*\}\r\n', shown), shown


def test_a_pipe_gets_no_control_characters(folder: Path) -> None:
    done = run(LONG_WORK, folder, env={"TERM": "xterm-256color", "COLUMNS": "100"})
    assert (done.code, done.complaints) == (0, "")
    assert len(done.out.splitlines()) == 1
    assert "\x1b" not in done.out


def test_a_reader_that_has_left_does_not_stop_the_work(folder: Path) -> None:
    (folder / "second.mp4").write_bytes((folder / "movie.mp4").read_bytes())
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*COMMAND, "snap", "movie.mp4", "second.mp4", "-o", "{Name}.jpg"],
            cwd=folder,
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=DEADLINE_S,
            check=False,
        )
    finally:
        os.close(writing)
    assert done.stderr == b""
    assert done.returncode == 0
    assert files_in(folder) == ["movie.jpg", "movie.mp4", "second.jpg", "second.mp4"]


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_nowhere_to_print_to(folder: Path, closed: str) -> None:
    """As a daemon starts it."""
    script = f'"$0" snap movie.mp4 gone.mp4 -o "{{Name}}.jpg" {closed}'
    done = run(["-c", script, *COMMAND], folder, command=("/bin/sh",))
    assert done.code == 1
    assert barcode.read(rgb(folder / "movie.jpg")) == 0
    assert "Traceback" not in done.err
    if "2>" not in closed:
        demand_one_line(done, "gone.mp4: no such file")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_old_encoding(folder: Path, encoding: str) -> None:
    (folder / "movie.mp4").rename(folder / "映画.mp4")
    arguments = "snap 映画.mp4 幻.mp4 -o '{Name}-{Count}.jpg' --count 2"
    done = run(arguments, folder, env={"PYTHONIOENCODING": encoding})
    assert done.code == 1
    demand_one_line(done, ".mp4: no such file")
    assert ".mp4: 2 stills of 192x108 in " in done.out
    assert files_in(folder) == ["映画-00001.jpg", "映画-00002.jpg", "映画.mp4"]


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--help"], ["snap", "--help"], ["lint", "--help"], ["serve", "--help"], ["doctor", "--help"]),
        *(["job", "submit", "--help"], ["key", "--help"], ["config", "show", "--help"], ["--version"]),
    ],
)
def test_help_imports_nothing_heavy(tmp_path: Path, arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from stillframe.cli.main import run\n"
        "code = run()\n"
        "heavy = 'av numpy PIL pydantic sqlalchemy httpx starlette structlog stillframe.cli.snap'\n"
        "print(code, *(name for name in heavy.split() if name in sys.modules))\n"
    )
    done = run(["-c", program, *arguments], tmp_path, command=(sys.executable,))
    assert (done.code, done.complaints) == (0, "")
    assert done.out.splitlines()[-1] == "0 stillframe.cli.snap"
    assert done.out.startswith("stillframe " if arguments == ["--version"] else "\n") or "Usage:" in done.out


def _on_a_terminal(arguments: list[str], folder: Path) -> tuple[int, str]:
    """Run the command on a terminal of its own; its exit code and all that was shown, without colours."""
    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color"}
        environment.pop("NO_COLOR", None)
        with subprocess.Popen(
            [*COMMAND, *arguments], cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        ) as process:
            os.close(theirs)
            shown = b""
            while piece := _read(ours):
                shown += piece
            code = process.wait(DEADLINE_S)
    finally:
        os.close(ours)
    return code, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:
        # how Linux says that the last program has left the terminal
        return b""
