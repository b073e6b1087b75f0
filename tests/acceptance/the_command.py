"""The command `stillframe`, run as its users run it: in a folder, as a process of its own.

done = run("snap movie.mp4 -o cover.jpg", cwd=tmp_path)
assert done.code == 0
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

COMMAND = (str(Path(sysconfig.get_path("scripts")) / "stillframe"),)
#: nothing that the tests ask for takes longer, on any machine
DEADLINE_S = 60


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended: its exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def complaints(self) -> str:
        """Standard error without the lines that tell, every few seconds, how far long work has come."""
        return re.sub(r"^.*: \d+ of \d+ shots\n", "", self.err, flags=re.MULTILINE)

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Standard output as one JSON object a line."""
        return [json.loads(line) for line in self.out.splitlines()]


def run(
    arguments: str | Sequence[str | bytes],
    cwd: Path,
    *,
    command: Sequence[str] = COMMAND,
    stdin: str = "",
    env: dict[str, str] | None = None,
) -> Done:
    """Run the command line in a folder; a text is split as a shell would, without its wildcards."""
    parts = shlex.split(arguments) if isinstance(arguments, str) else arguments
    done = subprocess.run(
        [*command, *parts],
        cwd=cwd,
        input=stdin.encode(),
        capture_output=True,
        timeout=DEADLINE_S,
        env={**os.environ, **(env or {})},
        check=False,
    )
    # file names need not be UTF-8, so what is printed about them need not be
    out, err = (text.decode(errors="surrogateescape") for text in (done.stdout, done.stderr))
    return Done(done.returncode, out, err)


@contextmanager
def started(
    arguments: Sequence[str], cwd: Path, *, env: dict[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], IO[str], IO[str]]]:
    """The command at work, with its standard output and standard error; killed when it is so at the end, too."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            yield process, process.stdout, process.stderr
        finally:
            if process.poll() is None:
                process.kill()


def files_in(folder: Path) -> list[str]:
    """Every file under a folder, hidden ones too, by its path from there."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def rgb(path: Path) -> npt.NDArray[np.uint8]:
    """A picture's pixels; raises OSError when the file is cut off or damaged."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def demand_one_line(done: Done, *words: str) -> None:
    """The command told what is wrong in one line on standard error, and in no traceback."""
    lines = done.complaints.splitlines()
    assert len(lines) == 1, done.err
    for word in ("stillframe: ", *words):
        assert word in lines[0]


def moments(process: subprocess.Popen[bytes], deadline_s: float = DEADLINE_S) -> Iterator[None]:
    """Yield every few milliseconds while a process runs; fails when it is still running at the deadline."""
    for _ in range(int(deadline_s * 500)):
        try:
            process.wait(timeout=0.002)
        except subprocess.TimeoutExpired:
            yield
        else:
            return
    process.kill()
    process.wait()
    raise AssertionError(f"the command was still at work after {deadline_s:.0f} s")
