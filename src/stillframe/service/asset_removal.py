"""Removing media assets, and what was made for them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from stillframe.catalog.assets import AssetName, find
from stillframe.catalog.buckets import Buckets, BucketView, demand
from stillframe.catalog.models import MediaAssetRow
from stillframe.database.engine import Database
from stillframe.errors import ConfigError, NotFound, StillAtWork
from stillframe.events.outbox import Outbox
from stillframe.jobs import outputs
from stillframe.jobs.asset_events import announce_deleted
from stillframe.jobs.everywhere import Everywhere
from stillframe.jobs.models import Job, JobOutput
from stillframe.service.ports import SnapshotJobs

#: what is at work on an asset ends within this time, or the asset is not removed
_CANCEL_S = 10.0
#: jobs that are submitted while the asset is removed are cancelled, too, so often
_ROUNDS = 10


class Forbidden(Exception):
    """The account may not remove the asset's files, or they cannot be removed."""


class AssetRemoval:
    """Removes assets one by one; of the files only on demand."""

    def __init__(
        self, database: Database, outbox: Outbox, buckets: Buckets, jobs: SnapshotJobs, running: Everywhere
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._buckets = buckets
        self._jobs = jobs
        self._running = running

    def remove(self, account_id: str, name: AssetName, *, files: bool) -> None:
        """Forget an asset; with `files`, remove its object and the pictures that jobs have made for it.

        Jobs whose output it is are cancelled; with `files`, those whose input it is, too. Raises NotFound, Forbidden,
        SinkError, and StillAtWork when what is at work does not end; whoever repeats it then goes on with it.
        """
        for _ in range(_ROUNDS):
            with self._database.transaction() as session:
                asset = find(session, account_id, name)
                jobs = _jobs_of(session, asset.media_id, reading=files)
            if files:
                self._writable(asset, jobs)
            self._end_work(account_id, asset.media_id, jobs)
            # asked again: it may have been taken back while the work was waited for
            found = self._writable(asset, jobs) if files else {}
            with self._database.transaction() as session:
                asset = find(session, account_id, AssetName(asset.media_id), for_update=True)
                now = _jobs_of(session, asset.media_id, reading=files)
                known = {job.job_id for job in jobs}
                if any(job.status == "Init" or job.job_id not in known for job in now):
                    continue
                if files:
                    self._remove_files(session, asset, now, found)
                session.delete(asset)
                announce_deleted(session, self._outbox, asset)
                return
        raise StillAtWork(f"the work of ever new jobs for the media asset {name}")

    def cancel_orphans(self, account_id: str, media_id: str) -> None:
        """End the jobs whose output is an asset that was removed already; one that does not end soon is left alone."""
        with self._database.transaction() as session:
            jobs = _jobs_of(session, media_id, reading=False)
        with contextlib.suppress(StillAtWork):
            self._end_work(account_id, media_id, jobs)

    def _writable(self, asset: MediaAssetRow, jobs: Sequence[Job]) -> Mapping[str, BucketView]:
        """The buckets of an asset's files. Raises Forbidden where its account may not remove them."""
        written = [job for job in jobs if job.output_asset_id == asset.media_id]
        names = {asset.bucket, *(job.output_bucket for job in written)}
        found = self._buckets.of_account(asset.account_id, names)
        try:
            demand(found, asset.bucket, "write", asset.key)
            for job in written:
                demand(found, job.output_bucket, "write", job.output_key)
        except NotFound as error:
            raise Forbidden from error
        return found

    def _end_work(self, account_id: str, media_id: str, jobs: Sequence[Job]) -> None:
        for job in jobs:
            # one that has ended may still have slices in work; one that ends just now need not be cancelled
            if job.status == "Init":
                with contextlib.suppress(ConfigError, NotFound):
                    self._jobs.cancel(account_id, job.job_id)
        for id in (media_id, *(job.job_id for job in jobs)):
            if not self._running.cancel(id, _CANCEL_S):
                raise StillAtWork(f"the work for the media asset {media_id}")

    def _remove_files(
        self, session: Session, asset: MediaAssetRow, jobs: Sequence[Job], found: Mapping[str, BucketView]
    ) -> None:
        for job in jobs:
            if job.output_asset_id != asset.media_id:
                continue
            bucket = found[job.output_bucket].open()
            for item in outputs.load(session, job.job_id):
                # somebody else may have written there since
                if bucket.verify(item.output.name, item.written):
                    bucket.delete(item.output.name)
            session.execute(delete(JobOutput).where(JobOutput.job_id == job.job_id))
        found[asset.bucket].open().delete(asset.key)


def _jobs_of(session: Session, media_id: str, *, reading: bool) -> Sequence[Job]:
    """The jobs whose output an asset is; with `reading`, those that are not done and whose input it is, as well."""
    wanted = Job.output_asset_id == media_id
    if reading:
        wanted = or_(wanted, (Job.input_asset_id == media_id) & (Job.status == "Init"))
    return session.scalars(select(Job).where(wanted).order_by(Job.job_id)).all()
