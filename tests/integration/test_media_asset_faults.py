"""The look at an asset's file over lost tasks, faults that pass, and children that are killed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from jobs_by_hand import JobsByHand, jobs_by_hand
from service_client import wait_for
from stillframe.catalog.assets import AssetName, AssetView
from stillframe.errors import ChildKilled, NotFound, SinkError
from stillframe.jobs import lifecycle
from stillframe.jobs.repair import repair
from stillframe.sandbox.unlocked import Unlocked
from stillframe.service import assets
from stillframe.service.asset_removal import AssetRemoval
from stillframe.service.assets import RegisterRequest
from stillframe.service.ports import SubmitRequest
from stillframe.storage.local import LocalBucket

LONG = "oss://local/long.mp4"
#: for a lock in this database that another holds
WAITING = (
    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@pytest.fixture
def jobs(database_url: URL, tmp_path: Path) -> Iterator[JobsByHand]:
    with jobs_by_hand(database_url, tmp_path) as made:
        yield made


def register(jobs: JobsByHand, url: str = LONG, **more: Any) -> str:
    return jobs.assembly.media_assets.register(jobs.account_id, RegisterRequest(url, **more))


def look(jobs: JobsByHand, media_id: str) -> AssetView:
    return jobs.assembly.assets.get(jobs.account_id, AssetName(media_id))


def the_task(jobs: JobsByHand) -> Any:
    (task,) = jobs.waiting()
    assert task.name == "register"
    return task


def test_the_file_is_looked_at_once_however_often_it_is_begun(jobs: JobsByHand) -> None:
    media_id = register(jobs)
    task = the_task(jobs)
    assert (look(jobs, media_id).status, task.arguments) == ("Preparing", {"media_id": media_id})
    jobs.do(task)
    asset = look(jobs, media_id)
    assert (asset.status, asset.size_bytes) == ("Normal", (jobs.bucket / "long.mp4").stat().st_size)
    surveys = jobs.waiting()
    assert [task.name for task in surveys] == ["survey", "survey"]
    jobs.do(task)
    assert jobs.waiting() == surveys
    assert jobs.metric("asset_outcomes_total", code="Success") == 1
    assert look(jobs, media_id) == asset


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_same_request_waits_until_the_other_has_ended(
    jobs: JobsByHand, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    """The other one comes while this one looks for its token: between two looks its asset could appear."""
    same = {"client_token": "token", "reference_id": "reference", "overwrite": overwrite}
    found: list[str] = []
    other = threading.Thread(target=lambda: found.append(register(jobs, **same)))
    look_for = assets._same_asset

    def look(*arguments: Any) -> str | None:
        seen = look_for(*arguments)
        if other.ident is None:
            other.start()
            wait_for(lambda: found or jobs.sql(WAITING))
        return seen

    monkeypatch.setattr(assets, "_same_asset", look)
    found.append(register(jobs, **same))
    other.join()
    assert (len(found), len({*found})) == (2, 1)


def test_a_lost_task_comes_back(jobs: JobsByHand) -> None:
    media_id = register(jobs)
    jobs.sql("DELETE FROM procrastinate_jobs")
    made = jobs.assembly
    assert not repair(made.database, made.queue)
    assert repair(made.database, made.queue, lost_after_s=0) == {"media_asset": 1}
    assert not repair(made.database, made.queue, lost_after_s=0)
    jobs.do(the_task(jobs))
    assert look(jobs, media_id).status == "Normal"


def test_what_was_removed_meanwhile_stays_so(jobs: JobsByHand) -> None:
    old = register(jobs)
    task = the_task(jobs)
    new = register(jobs, overwrite=True)
    jobs.do(task)
    assert look(jobs, new).status == "Preparing"
    jobs.do(the_task(jobs))
    assert look(jobs, new).status == "Normal"
    assert old != new


def test_what_a_kill_left_to_do_for_a_removed_asset_is_not_done(
    jobs: JobsByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone(BaseException):
        """The process ends here: before it has cancelled the jobs of the asset that made room."""

    def die(*_: Any) -> None:
        raise Gone

    old = register(jobs)
    jobs.do(the_task(jobs))
    with monkeypatch.context() as patch:
        patch.setattr(AssetRemoval, "cancel_orphans", die)
        with pytest.raises(Gone):
            register(jobs, overwrite=True)
    jobs.do_all()
    ends = jobs.sql(f"SELECT output_asset_id = '{old}', status, code FROM jobs")
    assert sorted({*ends}) == [(False, "Success", None), (True, "Fail", "ResourceNotFound")]
    assert not (jobs.bucket / "snapshots" / old).exists()


def test_a_fault_that_passes_is_waited_for_and_told(jobs: JobsByHand) -> None:
    media_id = register(jobs)
    away = jobs.bucket.with_name("away")
    jobs.bucket.rename(away)
    jobs.do(the_task(jobs))
    asset = look(jobs, media_id)
    assert asset.status == "Preparing"
    assert asset.message is not None
    assert "the bucket's folder: does not exist" in asset.message
    assert jobs.metric("retries_total", stage="register") == 1
    away.rename(jobs.bucket)
    jobs.do(the_task(jobs))
    asset = look(jobs, media_id)
    assert (asset.status, asset.code, asset.message) == ("Normal", None, None)


class Killed(Unlocked):
    """A decoder whose child is killed whenever it looks at a file."""

    def __init__(self, reason: Any) -> None:
        super().__init__()
        self.reason = reason

    def describe(self, *_: Any) -> Any:
        raise ChildKilled(self.reason, "so it goes")


def test_a_file_that_kills_its_children_is_given_up(jobs: JobsByHand) -> None:
    media_id = register(jobs)
    jobs.decoder = Killed("memory")
    for _ in range(3):
        assert look(jobs, media_id).status == "Preparing"
        jobs.do(the_task(jobs))
    asset = look(jobs, media_id)
    assert (asset.status, asset.code) == ("PrepareFail", "InvalidParameter.ResourceContentBad")
    assert asset.message is not None
    assert "after 3 tries" in asset.message
    assert jobs.metric("asset_outcomes_total", code="InvalidParameter.ResourceContentBad") == 1
    assert jobs.waiting() == []


def test_a_server_that_leaves_gives_it_back(jobs: JobsByHand) -> None:
    media_id = register(jobs)
    jobs.decoder = Killed("cancelled")
    for _ in range(5):
        jobs.do(the_task(jobs))
    asset = look(jobs, media_id)
    assert (asset.status, asset.message) == ("Preparing", None)
    jobs.decoder = Unlocked()
    jobs.do(the_task(jobs))
    assert look(jobs, media_id).status == "Normal"


def test_pictures_of_an_asset_that_is_removed_before_they_begin(jobs: JobsByHand) -> None:
    media_id = register(jobs)
    jobs.do(the_task(jobs))
    removed = jobs.assembly.media_assets.delete(jobs.account_id, [AssetName(media_id)], files=False)
    assert (removed.ignored, removed.forbidden) == ([], [])
    codes = jobs.sql("SELECT code FROM jobs")
    assert [code for (code,) in codes] == ["OperationCanceled"] * 2
    jobs.do_all()
    assert not (jobs.bucket / "snapshots").exists()
    assert jobs.sql("SELECT 1 FROM job_outputs") == []


def test_a_submit_that_comes_too_late_is_refused_and_leaves_nothing_to_do(
    jobs: JobsByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The asset is there when it is looked up, and is removed before the job is made."""
    media_id = register(jobs, needs_snapshot=False, needs_sprite=False)
    jobs.do(the_task(jobs))
    made = jobs.assembly
    create = lifecycle.create

    def create_too_late(*arguments: Any) -> Any:
        made.media_assets.delete(jobs.account_id, [AssetName(media_id)], files=True)
        return create(*arguments)

    monkeypatch.setattr(lifecycle, "create", create_too_late)
    request = SubmitRequest("Media", media_id, "Media", media_id, "S00000002-000011")
    with pytest.raises(NotFound, match=media_id):
        made.jobs.submit(jobs.account_id, request)
    assert jobs.sql("SELECT status, code FROM jobs") == [("Fail", "OperationCanceled")]
    jobs.do_all()
    assert [*jobs.bucket.rglob("*.jpg")] == []


@pytest.mark.parametrize("is_new", [True, False])
def test_a_job_that_comes_while_its_asset_is_removed_ends_with_it(
    jobs: JobsByHand, monkeypatch: pytest.MonkeyPatch, is_new: bool
) -> None:
    """One that is submitted then, or has failed and is tried once more."""
    media_id = register(jobs, needs_snapshot=False, needs_sprite=False)
    jobs.do(the_task(jobs))
    made = jobs.assembly
    request = SubmitRequest("Media", media_id, "Media", media_id, "S00000002-000011")
    ended: list[str] = []
    end_work = AssetRemoval._end_work
    old = made.jobs.submit(jobs.account_id, request)
    made.jobs.cancel(jobs.account_id, old)

    def end_work_too_early(removal: AssetRemoval, *arguments: Any) -> None:
        end_work(removal, *arguments)
        if not ended and is_new:
            ended.append(made.jobs.submit(jobs.account_id, request))
        elif not ended:
            made.jobs.retry(jobs.account_id, old)
            ended.append(old)

    monkeypatch.setattr(AssetRemoval, "_end_work", end_work_too_early)
    removed = made.media_assets.delete(jobs.account_id, [AssetName(media_id)], files=True)
    assert (removed.ignored, removed.forbidden) == ([], [])
    assert jobs.get(ended[0]).code == "OperationCanceled"


def test_what_is_taken_back_while_the_work_is_waited_for_stays(
    jobs: JobsByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    media_id = register(jobs, needs_snapshot=False, needs_sprite=False)
    jobs.do(the_task(jobs))
    end_work = AssetRemoval._end_work

    def take_back(removal: AssetRemoval, *arguments: Any) -> None:
        end_work(removal, *arguments)
        jobs.assembly.buckets.remove("local")

    monkeypatch.setattr(AssetRemoval, "_end_work", take_back)
    removed = jobs.assembly.media_assets.delete(jobs.account_id, [AssetName(media_id)], files=True)
    assert (removed.ignored, removed.forbidden) == ([], [media_id])
    assert (jobs.bucket / "long.mp4").exists()
    assert look(jobs, media_id).status == "Normal"


def test_a_removal_that_stops_halfway_goes_on_where_it_was(
    jobs: JobsByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    media_id = register(jobs, needs_sprite=False)
    jobs.do_all()
    (picture,) = jobs.bucket.rglob("*.jpg")
    delete = LocalBucket.delete

    def delete_but_the_film(bucket: LocalBucket, key: str) -> None:
        if key == "long.mp4":
            raise SinkError(key, "permission denied")
        delete(bucket, key)

    names = [AssetName(media_id)]
    with monkeypatch.context() as patch:
        patch.setattr(LocalBucket, "delete", delete_but_the_film)
        removed = jobs.assembly.media_assets.delete(jobs.account_id, names, files=True)
    assert (removed.ignored, removed.forbidden) == ([], [media_id])
    assert (look(jobs, media_id).status, picture.exists()) == ("Normal", False)
    removed = jobs.assembly.media_assets.delete(jobs.account_id, names, files=True)
    assert (removed.ignored, removed.forbidden) == ([], [])
    assert not (jobs.bucket / "long.mp4").exists()


def test_a_picture_that_somebody_has_changed_is_left_alone(jobs: JobsByHand) -> None:
    media_id = register(jobs, needs_sprite=False)
    jobs.do_all()
    (picture,) = jobs.bucket.rglob("*.jpg")
    picture.write_bytes(b"mine now")
    jobs.assembly.media_assets.delete(jobs.account_id, [AssetName(media_id)], files=True)
    assert picture.read_bytes() == b"mine now"
    assert not (jobs.bucket / "long.mp4").exists()
