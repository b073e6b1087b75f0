"""`stillframe serve` with short slices, which can kill itself at a named point: python launcher.py POINT MARK serve ...

The product has no hook for it: a function of it is replaced here, before it starts. It dies once, the first time it
gets there with the file MARK missing, which it makes.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any

from stillframe.cli.main import main
from stillframe.jobs import lifecycle
from stillframe.jobs.steps import Steps
from stillframe.media import plan
from stillframe.server import assembly
from stillframe.storage.local_keys import is_temporary

#: estimated seconds: seven or eight shots of 192x108 are a slice
SHORT_STRETCH_S = 0.005
#: what is being written in the middle of the third point; the check of a new bucket writes, too
_CHECK = b".stillframe-check-"


def _after_claim(die: Callable[[], None]) -> None:
    _before(Steps, "_open", die)


def _in_a_write(die: Callable[[], None]) -> None:
    replace = os.replace

    @wraps(replace)
    def dying(source: Any, target: Any, **options: Any) -> None:
        if isinstance(source, bytes) and is_temporary(source) and not target.startswith(_CHECK):
            die()
        replace(source, target, **options)

    os.replace = dying


def _before_the_commit(die: Callable[[], None]) -> None:
    _before(Steps, "_complete", die)


def _before_success(die: Callable[[], None]) -> None:
    _before(lifecycle, "succeed", die)


#: the names of the points, and how the server is brought to die there
POINTS: dict[str, Callable[[Callable[[], None]], None]] = {
    "after the claim": _after_claim,
    "between temporary file and rename": _in_a_write,
    "after the write and before its commit": _before_the_commit,
    "after the track and before Success": _before_success,
}


def _before(owner: Any, name: str, die: Callable[[], None]) -> None:
    function = getattr(owner, name)

    @wraps(function)
    def dying(*arguments: Any, **options: Any) -> Any:
        die()
        return function(*arguments, **options)

    setattr(owner, name, dying)


def _die_once(mark: Path) -> None:
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    point, mark, *arguments = sys.argv[1:]
    if point:
        POINTS[point](partial(_die_once, Path(mark)))
    # children find the entry by our path; what they say of slices is worked out again in this process
    sys.path.append(str(Path(__file__).parents[1]))
    plan.STRETCH_S = SHORT_STRETCH_S
    assembly.Sandbox = partial(assembly.Sandbox, entry="drill.short_slices:run")  # type: ignore[misc, assignment]
    sys.argv = ["stillframe", *arguments]
    sys.exit(main())
