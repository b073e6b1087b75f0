"""`stillframe worker`: one process that works on the jobs of a database which others serve, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

import structlog

from stillframe.database.engine import with_driver
from stillframe.errors import SettingsError
from stillframe.server.assembly import Assembly
from stillframe.server.serve import listen, run
from stillframe.settings import Settings
from stillframe.telemetry import configure_logging

log = structlog.get_logger(__name__)


def work(
    settings: Settings,
    on_ready: Callable[[Assembly], None],
    *,
    pipelines: Sequence[str] | None = None,
    tells_health: bool = False,
    nice: int = 0,
) -> None:
    """Work until a signal ends it; then drain. Raises StillframeError when it cannot be started.

    With `pipelines` (ids, or names that only one has) on their jobs only.
    With `tells_health` it answers for that, and for its metrics, on the settings' host and port. `nice` lets other
    programs of the machine go first (0 to 19).
    """
    configure_logging(format=settings.log_format, level=settings.log_level)
    if settings.database_url is None:
        raise SettingsError(
            "database_url",
            "default",
            "is not set: a worker needs the database of its servers; without one `serve` works on jobs itself",
        )
    listener = listen(settings) if tells_health else None
    os.nice(nice)
    url = with_driver(settings.database_url.get_secret_value())
    assembly = Assembly(settings, url, owns_database=False, serves=False)
    try:
        assembly.start(pipelines=pipelines)
        run(assembly, assembly.health_app(), listener, lambda: on_ready(assembly))
    finally:
        assembly.stop()
        log.info("stopped")
    if assembly.is_hurried:
        # the second Ctrl-C
        sys.exit(130)
