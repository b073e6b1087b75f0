"""Whether a job's files would take the place of others, and names that are free.

names = OutputNames(visit)
names.taken("local", "film.vtt")    # "A job of 2026-11-22 17:30:00 has made ...", or None
names.free("local", ["film.vtt", "film-2.vtt"])
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from functools import cached_property
from itertools import islice

from stillframe.console.pages.objects import BROWSE, UPLOAD
from stillframe.console.templating import utc_text
from stillframe.console.visit import Visit
from stillframe.errors import StillframeError
from stillframe.service.ports import JobView, ListRequest

#: jobs, the newest ones, among which the name is looked for
_LOOKED_THROUGH = 100
#: names that are looked for in the bucket, each of which may be a request to a store
_MOST_LOOKS = 4


class OutputNames:
    """The names that the account's last jobs have, and those that are in its buckets. Asks the database once."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit

    def taken(self, bucket: str, key: str) -> str | None:
        """What is there already under a name of outputs, in a sentence."""
        if (job := self._jobs.get((bucket, key))) is not None:
            when = utc_text(job.create_time)
            if job.status == "Init":
                return f"A job of {when} makes files of this name: they will be replaced."
            return f"A job of {when} has made files of this name: they will be replaced."
        if self._is_there(bucket, key):
            return "There are files of this name already: they will be replaced."
        return None

    def free(self, bucket: str, keys: Iterable[str]) -> str | None:
        """The first of them that is free; None where that is none of the first few that no job has."""
        of_no_job = (key for key in keys if (bucket, key) not in self._jobs)
        return next((key for key in islice(of_no_job, _MOST_LOOKS) if not self._is_there(bucket, key)), None)

    @cached_property
    def _jobs(self) -> dict[tuple[str, str], JobView]:
        visit = self._visit
        if not visit.may("ListSnapshotJobs"):
            return {}
        found = visit.services.snapshot_jobs.list_jobs(
            visit.account_id, ListRequest(page_size=_LOOKED_THROUGH)
        )
        # the newest job of a name comes first, and is the one whose files they are; what failed has left few, if any
        return {
            (job.output.bucket, job.output.key): job for job in reversed(found.jobs) if job.status != "Fail"
        }

    def _is_there(self, bucket: str, key: str) -> bool:
        """Whether the first file of a name is in the bucket; not where that cannot be told, or not to the visitor."""
        if not (self._visit.may(UPLOAD) or all(self._visit.may(action) for action in BROWSE)):
            return False
        first = key.replace("{Count}", "00001").replace("{TileCount}", "00001")
        with contextlib.suppress(StillframeError):
            return self._visit.rooms.objects.find(self._visit.account_id, bucket, first) is not None
        return False
