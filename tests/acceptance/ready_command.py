"""The command, loaded once and forked for each call, for tests that call it often: most of its time is its loading.

What it does from its first moment on, and when it is interrupted, is tried with `the_command`.

    done = run("key list", cwd=tmp_path)
"""

from __future__ import annotations

import atexit
import json
import os
import shlex
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NoReturn

from the_command import DEADLINE_S, Done


def run(
    arguments: str | Sequence[str], cwd: Path, *, stdin: str = "", env: Mapping[str, str] | None = None
) -> Done:
    """As `the_command.run`."""
    parts = shlex.split(arguments) if isinstance(arguments, str) else arguments
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder, name)) for name in ("stdin", "stdout", "stderr")]
        Path(files[0]).write_text(stdin, encoding="utf-8")
        call = {
            "arguments": parts,
            "cwd": str(cwd),
            "env": {**os.environ, **(env or {})},
            "files": files,
        }
        process = _ready()
        assert process.stdin is not None
        assert process.stdout is not None
        print(json.dumps(call), file=process.stdin, flush=True)
        code = int(process.stdout.readline())
        out, err = (Path(name).read_bytes().decode(errors="surrogateescape") for name in files[1:])
        return Done(code, out, err)


@cache
def _ready() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(_end, process)
    return process


def _end(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=DEADLINE_S)


def _serve() -> None:
    import stillframe.cli.main
    import stillframe.library
    import stillframe.media.shoot
    import stillframe.server.connecting
    import stillframe.server.doctor
    import stillframe.server.operator  # noqa: F401 - what most commands load

    for line in sys.stdin:
        call = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(**call)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _become(arguments: list[str], cwd: str, env: dict[str, str], files: list[str]) -> NoReturn:
    try:
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        for number, (name, mode) in enumerate(zip(files, ("r", "w", "w"), strict=True)):
            with open(name, mode) as file:  # noqa: PTH123 - its descriptor is what counts
                os.dup2(file.fileno(), number)
        sys.stdin, sys.stdout, sys.stderr = (
            open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
            for number, mode in enumerate(("r", "w", "w"))
        )
        sys.argv = ["stillframe", *arguments]
        from stillframe.cli.entry import main

        main()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        # the command ends its process by itself; in no case may there be two that read the calls
        os._exit(70)


if __name__ == "__main__":
    _serve()
