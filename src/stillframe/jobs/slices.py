"""A job's slices, as a worker takes them and gives them back: in few statements, since there are millions of them."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from stillframe.database.engine import Database
from stillframe.jobs import outputs
from stillframe.jobs.lanes import Lane
from stillframe.jobs.models import Job
from stillframe.jobs.outputs import Kept
from stillframe.jobs.queue import Begun, Queue
from stillframe.media.render import Rendered
from stillframe.media.survey import Survey

#: surveys that are kept, by the size of their JSON
_KEPT_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Taken:
    """A slice in work. `job` has what its rendering needs to know of it, and no more.

    `bytes_read` is what the job has read before, where that is limited. `kills` and `stats` are those of earlier tries.
    """

    job: Job
    survey: Survey
    kills: int
    stats: dict[str, Any] | None
    bytes_read: int


_OF_JOB = (
    *("job_id", "epoch", "account_id", "config"),
    *("input_bucket", "input_key", "output_bucket", "output_key", "output_asset_id"),
)
_READ = (
    "coalesce((jobs.stats->>'bytes_read')::bigint, 0) + coalesce((SELECT sum((stats->>'bytes_read')::bigint) "
    "FROM slices WHERE job_id = jobs.job_id), 0)::bigint"
)
_READ_BY = f"SELECT {_READ} FROM jobs WHERE job_id = %s"
_TAKE = (
    f"SELECT CASE WHEN encode(sha256(survey), 'hex') = %(known)s THEN NULL ELSE survey END, piece.kills, piece.stats, "
    f"CASE WHEN %(is_limited)s OR jobs.config ? 'MaxReadBytes' THEN {_READ} ELSE 0 END, "
    f"{', '.join(f'jobs.{name}' for name in _OF_JOB)} FROM jobs "
    "JOIN slices AS piece ON piece.job_id = jobs.job_id AND number = %(number)s "
    "JOIN pipelines AS pipeline ON pipeline.pipeline_id = jobs.pipeline_id "
    "WHERE jobs.job_id = %(job_id)s AND epoch = %(epoch)s AND jobs.status = 'Init' AND NOT parked "
    "AND pipeline.status = 'Active' AND NOT pipeline.off_hours AND (pipeline.max_concurrency IS NULL OR is_begun) "
    "AND piece.state = 'queued' AND piece.attempt = %(attempt)s AND survey IS NOT NULL"
)
_DONE = (
    "UPDATE slices SET state = 'done', shots = %(shots)s, stats = %(stats)s {live} "
    "WHERE slices.job_id = %(job_id)s AND number = %(number)s AND attempt = %(attempt)s AND state = 'queued'"
)
_COMPLETE = (
    f"{_DONE.format(live='')} AND NOT EXISTS (SELECT FROM slices AS other "
    "WHERE other.job_id = %(job_id)s AND other.number <> %(number)s AND other.state <> 'done')"
)
_GIVE_BACK = (
    "WITH live AS MATERIALIZED (SELECT job_id, account_id, pipeline_id, priority, parked FROM jobs "
    "WHERE job_id = %(job_id)s AND epoch = %(epoch)s AND status = 'Init' FOR UPDATE), "
    f"done AS ({_DONE.format(live='FROM live')} AND slices.job_id = live.job_id RETURNING slices.job_id), "
    # what may have held it up does so no more
    "goes_on AS (UPDATE jobs SET code = NULL, message = NULL, modified_at = clock_timestamp() FROM done "
    "WHERE jobs.job_id = done.job_id AND (jobs.code IS NOT NULL OR jobs.message IS NOT NULL)) "
    # not waited for until it is on the disk: the job's end is, and comes after it. Without it the slice is made anew
    "SELECT account_id, pipeline_id, priority, parked FROM live, done, "
    "set_config('synchronous_commit', 'off', true)"
)


class Slices:
    """One for each process. Safe to use from several threads."""

    def __init__(self, database: Database, queue: Queue) -> None:
        self._database = database
        self._queue = queue
        self._surveys = _Surveys()

    def take(self, job_id: str, epoch: int, number: int, attempt: int, *, is_limited: bool) -> Taken | None:
        """A slice to be rendered, in one round trip; None when `lifecycle.claim` must say what to do with its job.

        Nothing is locked: a lock would not outlive the look either. `is_limited`: what any job may read.
        """
        known = self._surveys.get(job_id, epoch)
        values = {
            "known": known[0] if known is not None else "",
            "is_limited": is_limited,
            "job_id": job_id,
            "epoch": epoch,
            "number": number,
            "attempt": attempt,
        }
        with self._database.statements() as connection:
            row = connection.execute(_TAKE, values).fetchone()
        if row is None:
            return None
        sent, kills, stats, read, *of_job = row
        survey = known[1] if known and sent is None else self._surveys.keep(job_id, epoch, sent)
        return Taken(Job(**dict(zip(_OF_JOB, of_job, strict=True))), survey, kills, stats, read)

    def give_back(
        self,
        taken: Taken,
        number: int,
        attempt: int,
        rendered: Rendered,
        kept: Sequence[Kept],
        demand_few_bytes: Callable[[int], None] | None,
        begun: Begun,
    ) -> bool:
        """A slice is done, and its outputs are there: let others into the queue, and end its task.

        False when this attempt at it is void: then nothing is changed. Nor is it when `demand_few_bytes`, which is told
        what the job has read by now, raises.
        """
        job = taken.job
        values = _facts(rendered) | {
            "job_id": job.job_id,
            "epoch": job.epoch,
            "number": number,
            "attempt": attempt,
        }
        with self._database.statements() as connection, connection.transaction():
            live = connection.execute(_GIVE_BACK, values).fetchone()
            if live is None:
                return False
            *lane, is_parked = live
            outputs.store(connection, job.job_id, kept)
            if demand_few_bytes is not None:
                ((read,),) = connection.execute(_READ_BY, [job.job_id]).fetchall()
                demand_few_bytes(read)
            if not is_parked:
                self._queue.dispatch(connection, job.job_id, job.epoch, lane=Lane(*lane))
            self._queue.end(connection, begun)
        begun.has_ended = True
        return True


def complete(
    connection: psycopg.Connection[Any], job_id: str, number: int, attempt: int, rendered: Rendered
) -> bool:
    """The last slice of a job that is locked is done; False when this attempt at it is void, or others are left."""
    values = _facts(rendered) | {"job_id": job_id, "number": number, "attempt": attempt}
    return connection.execute(_COMPLETE, values).rowcount == 1


def _facts(rendered: Rendered) -> dict[str, Any]:
    return {name: Jsonb(getattr(rendered, name), dumps=msgspec.json.encode) for name in ("shots", "stats")}


class _Surveys:
    """The surveys of the last jobs: a job's slices need not read the same again, which may be megabytes.

    Which one of a job it is says the digest of its JSON: a job may be surveyed again.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], tuple[str, int, Survey]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, job_id: str, epoch: int) -> tuple[str, Survey] | None:
        """A job's survey and its digest, if it is kept."""
        with self._lock:
            found = self._kept.get((job_id, epoch))
            if found is None:
                return None
            self._kept.move_to_end((job_id, epoch))
        return found[0], found[2]

    def keep(self, job_id: str, epoch: int, data: bytes) -> Survey:
        """The survey that its JSON stands for; those that were not asked for lately make room for it."""
        survey = Survey.from_json(data)
        digest = hashlib.sha256(data).hexdigest()
        with self._lock:
            self._forget((job_id, epoch))
            self._kept[job_id, epoch] = (digest, len(data), survey)
            self._bytes += len(data)
            while self._bytes > _KEPT_BYTES:
                self._forget(next(iter(self._kept)))
        return survey

    def _forget(self, key: tuple[str, int]) -> None:
        if key in self._kept:
            self._bytes -= self._kept.pop(key)[1]
