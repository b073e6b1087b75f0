"""How another Python of ours is started: with the same modules, and knowing nothing of its environment."""

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
    """The command line that calls `module:function` with one text, finding modules where this process finds them.

    To be run in the root folder with an empty environment, which children inherit.
    """
    own = Path(__file__).parents[2]
    # a relative entry would be another folder there: it starts in the root folder
    found = [entry for entry in sys.path if os.path.isabs(entry)]  # noqa: PTH117 - '' is no path
    return [sys.executable, "-I", "-S", "-X", "utf8", "-c", _PROGRAM, function, argument, str(own), *found]
