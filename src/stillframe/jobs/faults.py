"""What follows from an error of a step: another try after a pause, or the end; and what its owner reads of it.

A bad file, and what else will be the same the next time, ends the work at once. A fault of storage or database is
tried again after a growing pause. Work whose child was killed three times is given up.
"""

from __future__ import annotations

from typing import Protocol

import structlog

from stillframe.errors import (
    ChildKilled,
    ConfigError,
    MediaError,
    NotFound,
    SinkError,
    SourceError,
    StillframeError,
)
from stillframe.telemetry import Metrics

log = structlog.get_logger(__name__)

#: the file is at fault, or is taken to be
BAD_CONTENT = "InvalidParameter.ResourceContentBad"
#: workers that may die over one task: more is no accident (a decoder without a sandbox takes its worker along)
MOST_STARTS = 100
#: children that one piece of work may cost before it is given up
_MOST_KILLS = 3
#: the longest pause between tries after faults that may pass
_LONGEST_PAUSE_S = 60.0
TOO_LONG = "SnapshotTimeOut"


class Counted(Protocol):
    """A row that counts the tries of its work: those that failed, and those whose child was killed."""

    failures: int
    kills: int


def pause_before_next(counted: Counted, error: Exception, attempts: int, metrics: Metrics) -> float | None:
    """Seconds until the next of so many tries, after this error was counted; None when there is none."""
    if isinstance(error, ChildKilled):
        metrics.child_kills.labels(reason=error.reason).inc()
        if is_given_back(error):
            # the server is leaving: the next one goes on at once
            return 0.0
        counted.kills += 1
        return None if counted.kills >= _MOST_KILLS else 1.0
    if isinstance(error, ConfigError | MediaError | NotFound):
        return None
    if isinstance(error, SourceError | SinkError) and not error.transient:
        return None
    if not isinstance(error, StillframeError):
        log.error("a step broke", exc_info=error)
    counted.failures += 1
    if counted.failures >= attempts:
        return None
    return min(2.0 ** (counted.failures - 1), _LONGEST_PAUSE_S)


def is_given_back(error: Exception) -> bool:
    """Whether there is nothing wrong with the work itself."""
    return isinstance(error, ChildKilled) and error.reason == "cancelled"


def demand_few(starts: int) -> None:
    """Raises ChildKilled for a task that too many workers have begun and not ended."""
    if starts >= MOST_STARTS:
        raise ChildKilled("crash", f"{starts} workers have died over it")


def told(error: Exception) -> tuple[str, str]:
    """The code and the text that the work's owner reads."""
    if isinstance(error, ChildKilled):
        code = TOO_LONG if error.reason in ("time", "no-progress") else BAD_CONTENT
        return code, f"{error}; it is given up after {_MOST_KILLS} tries"
    if isinstance(error, NotFound):
        return error.code, f'The specified resource for "{error.kind}" could not be found: {error.name}'
    if isinstance(error, StillframeError):
        return error.code, str(error)
    return "InternalError", "it could not be done because of an error of the service; see its log"
