"""What the service tells about itself: log lines with the ids of the work at hand, and metrics.

configure_logging(format="json", level="info")
with bound(job_id=job.id, slice=3):
    log.info("slice rendered", seconds=1.2)
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Literal, Protocol, TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor, WrappedLogger

LogFormat = Literal["console", "json"]

#: keys of a log line whose values are never written, whoever passes them
_SECRET_KEY = re.compile(
    r"secret|password|passwd|token|signature|authorization|cookie|private_?key", re.IGNORECASE
)
#: user and password inside an address
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*(?=@)")
_MASK = "***"

#: libraries that report each of their steps
_QUIET = {"procrastinate": logging.WARNING, "alembic": logging.WARNING, "httpx": logging.WARNING}


def configure_logging(
    *, format: LogFormat = "console", level: str = "info", stream: TextIO | None = None
) -> None:
    """Send everything that is logged, by us and by libraries, to `stream` (standard error) in one form."""
    output = stream or sys.stderr
    shared: list[Processor] = [
        merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(allow=()),
    ]
    rendering: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _mask_secrets]
    if format == "json":
        # without the values of local variables: a secret may be among them
        traceback = ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
        rendering += [traceback, _mask_secrets, structlog.processors.JSONRenderer()]
    else:
        colors = output.isatty() if hasattr(output, "isatty") else False
        rendering.append(
            structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
        )
    formatter = structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=rendering)
    handler = logging.StreamHandler(output)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    threshold = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(threshold)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(least, threshold))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared[:-1],
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


@contextmanager
def bound(
    *,
    request_id: str | None = None,
    job_id: str | None = None,
    slice: int | None = None,
    media_id: str | None = None,
) -> Iterator[None]:
    """Every line that is logged inside the block carries these ids; what was bound outside stays."""
    ids = {"request_id": request_id, "job_id": job_id, "slice": slice, "media_id": media_id}
    with bound_contextvars(**{name: value for name, value in ids.items() if value is not None}):
        yield


class Read(Protocol):
    """What was read, and by how many requests."""

    @property
    def bytes_read(self) -> int: ...
    @property
    def requests(self) -> int: ...


class Metrics:
    """The service's metrics, each with its unit in its name, in a registry of their own.

    `stage` is one of survey, render, finish, probe, register; `code` is `Success` or the code that a job failed with;
    `store` is where sources lie: fs, s3 ...
    """

    def __init__(self) -> None:
        # a second series for each counter that only tells when the process started
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.queue_tasks = Gauge(
            "stillframe_queue_depth_tasks",
            "Tasks that wait for a worker.",
            ["pipeline"],
            registry=self.registry,
        )
        self.queue_age = Gauge(
            "stillframe_queue_age_seconds",
            "How long the oldest waiting task has waited.",
            ["pipeline"],
            registry=self.registry,
        )
        self.parked_jobs = Gauge(
            "stillframe_parked_jobs",
            "Jobs that wait for their pipeline: it is paused, or has as many in work as it may.",
            ["pipeline"],
            registry=self.registry,
        )
        self.nodes = Gauge(
            "stillframe_nodes",
            "Servers and workers on the database that were heard of in the last half minute.",
            ["role"],
            registry=self.registry,
        )
        self.stage = Histogram(
            "stillframe_stage_seconds",
            "Time that a task took, by stage.",
            ["stage"],
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
            registry=self.registry,
        )
        self.job_outcomes = Counter(
            "stillframe_job_outcomes_total",
            "Jobs that ended, by code.",
            ["code"],
            registry=self.registry,
        )
        self.asset_outcomes = Counter(
            "stillframe_asset_outcomes_total",
            "Media assets whose file was looked at, by code.",
            ["code"],
            registry=self.registry,
        )
        self.probe_outcomes = Counter(
            "stillframe_probe_outcomes_total",
            "Probe jobs that ended, by code.",
            ["code"],
            registry=self.registry,
        )
        self.bytes_read = Counter(
            "stillframe_read_bytes_total",
            "Bytes read from sources: over the network, or from a file.",
            ["store"],
            registry=self.registry,
        )
        self.requests = Counter(
            "stillframe_read_requests_total",
            "Requests to stores, and reads of files.",
            ["store"],
            registry=self.registry,
        )
        self.child_kills = Counter(
            "stillframe_child_kills_total",
            "Decoding children that were killed, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self.retries = Counter(
            "stillframe_retries_total",
            "Tasks that were tried again, by stage.",
            ["stage"],
            registry=self.registry,
        )
        self.repaired = Counter(
            "stillframe_repaired_total",
            "What was lost and was brought back, by kind.",
            ["kind"],
            registry=self.registry,
        )
        self.waiting_events = Gauge(
            "stillframe_outbox_waiting_events", "Events that are not delivered yet.", registry=self.registry
        )
        self.delivered_events = Counter(
            "stillframe_events_delivered_total",
            "Events that their receivers have taken.",
            registry=self.registry,
        )
        self.failed_events = Counter(
            "stillframe_events_failed_total",
            "Events that were given up after their last try.",
            registry=self.registry,
        )
        self.removed_records = Counter(
            "stillframe_removed_records_total",
            "Records that were removed because they were old enough, by kind.",
            ["kind"],
            registry=self.registry,
        )
        self.table_bytes = Gauge(
            "stillframe_table_bytes",
            "Size of each table of the database, with its indexes.",
            ["table"],
            registry=self.registry,
        )
        self.database_restarts = Counter(
            "stillframe_database_restarts_total",
            "How often the private database was started anew.",
            registry=self.registry,
        )

    def note_read(self, store: str, stats: Read) -> None:
        """A source that lies in this kind of store was read."""
        self.bytes_read.labels(store=store).inc(stats.bytes_read)
        self.requests.labels(store=store).inc(stats.requests)

    def note_repaired(self, mended: Mapping[Any, int]) -> None:
        """So many of each kind were brought back."""
        for kind, number in mended.items():
            self.repaired.labels(kind=kind).inc(number)

    def exposition(self) -> tuple[bytes, str]:
        """The text for Prometheus and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST


def _mask_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {name: _MASK if _is_secret(name) else _masked(value) for name, value in event.items()}


@lru_cache(256)
def _is_secret(name: object) -> bool:
    return isinstance(name, str) and _SECRET_KEY.search(name) is not None


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return _CREDENTIALS.sub(_MASK, value) if "://" in value else value
    if isinstance(value, dict):
        return {name: _MASK if _is_secret(name) else _masked(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_masked(inner) for inner in value) if type(value) in (list, tuple) else value
    return value
