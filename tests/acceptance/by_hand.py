"""Servers and workers as they are started by hand, in a shell: with variables, and the command as it is installed.

with started("stillframe serve", tmp_path, "one") as one:
    url = said(one, "API +(http://.*:[0-9]+)")
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from the_command import COMMAND, DEADLINE_S

from drill.server import demand


def said(process: subprocess.Popen[str], pattern: str) -> str:
    """What stands in its output, once it does."""
    out = Path(str(process.args[-1]))  # type: ignore[index]

    def found() -> re.Match[str] | None:
        assert process.poll() is None, out.with_suffix(".log").read_text()
        return re.search(pattern, out.read_text())

    demand(found, f"it has said {pattern}")
    match = found()
    assert match is not None
    return match[1]


def bash(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**_environment(), **variables},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


@contextmanager
def started(script: str, folder: Path, name: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A server or worker as it is started by hand, on a free port; it ends when it is told to, unless it was killed."""
    out = folder / f"{name}.out"
    with out.open("w") as output, out.with_suffix(".log").open("w") as log:
        process = subprocess.Popen(
            # where its output lies stands among its arguments, for `said`
            ["bash", "-c", script if "exec" in script else f"exec {script}", str(out)],
            cwd=folder,
            env={**_environment(), **variables},
            stdout=output,
            stderr=log,
            text=True,
        )
    try:
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()


def _environment() -> dict[str, str]:
    """The command as it is installed, and nothing that is set already."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("STILLFRAME_")}
    return {**own, "PATH": f"{Path(COMMAND[0]).parent}:{own['PATH']}", "STILLFRAME_PORT": "0"}
