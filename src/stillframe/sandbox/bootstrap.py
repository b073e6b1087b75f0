"""How another Python of ours is started: the same modules, nothing of the environment, nothing read at its start."""

from __future__ import annotations

import os
import sys
from pathlib import Path

#: -I and -S: no environment variables, no folder of the user, no .pth files; so it is told where modules are
_PROGRAM = """import sys
sys.path[:] = sys.argv[3:]
module, _, name = sys.argv[1].partition(":")
getattr(__import__(module, fromlist=[name]), name)(sys.argv[2])"""


def command(function: str, argument: str) -> list[str]:
    """The command line that calls `module:function` with one text, finding modules where this process finds them."""
    own = Path(__file__).parents[2]
    # a relative entry would be another folder there: it starts in the root folder
    found = [entry for entry in sys.path if os.path.isabs(entry)]  # noqa: PTH117 - '' is no path
    return [sys.executable, "-I", "-S", "-c", _PROGRAM, function, argument, str(own), *found]


def environment() -> dict[str, str]:
    """All that the other process needs to know; a child inherits it, so there is no secret in it.

    One thread for OpenBLAS: a process that forks must have no other.
    """
    return {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
