"""All rooms put together: how a data folder begins, what a restart must not forget, and a database that goes away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql
from sqlalchemy import URL, select

from ims_server import over_http
from ims_signer import Acs3, RpcV1
from jobs_by_hand import jobs_by_hand
from receiver import receiving
from service_client import DEADLINE_S, service, wait_for
from stillframe.accounts.accounts import FIRST_ACCOUNT, Accounts
from stillframe.accounts.keys import AccessKeys
from stillframe.accounts.models import UsedNonce
from stillframe.catalog.buckets import Buckets
from stillframe.catalog.pipelines import Pipelines
from stillframe.database.engine import psycopg_dsn
from stillframe.errors import ConfigError, SinkError
from stillframe.events import delivery
from stillframe.events.callbacks import Callback, Callbacks
from stillframe.jobs import repair, retention
from stillframe.server.assembly import Assembly
from stillframe.service.pipelines import PipelineControl
from stillframe.settings import Settings
from stillframe.storage.signed_urls import signed_path
from stillframe.testing import videos

EXPIRES_AT = 4_000_000_000


@contextmanager
def assembled(url: URL, folder: Path) -> Iterator[Assembly]:
    """What a process of a server has, from its start to its end; it does not work on jobs."""
    made = Assembly(Settings(data_dir=folder), url, owns_database=False)
    try:
        yield made
    finally:
        made.stop()


@pytest.mark.parametrize(
    ("kind", "step"),
    [(Pipelines, "create"), (Buckets, "add"), (AccessKeys, "create")],
    ids=["pipeline", "bucket", "key"],
)
def test_a_first_start_that_breaks_off_is_made_whole_by_the_next(
    database_url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type, step: str
) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise SinkError("oss://local", "no space left on the disk", transient=True)

    with assembled(database_url, tmp_path) as made:
        with monkeypatch.context() as patch:
            patch.setattr(kind, step, breaks)
            with pytest.raises(SinkError):
                made.first_run()
        assert made.accounts.find(FIRST_ACCOUNT) is None
        assert (made.buckets.all(), made.pipelines.all(), made.keys.all()) == ([], [], [])
    with assembled(database_url, tmp_path) as made:
        first = made.first_run()
        assert first is not None
        account_id = made.accounts.find(FIRST_ACCOUNT)
        assert account_id is not None
        assert [(bucket.name, bucket.account_id) for bucket in made.buckets.all()] == [("local", account_id)]
        assert made.pipelines.of_account(account_id, None).account_id == account_id
        assert [key.account_id for key in made.keys.all()] == [account_id]
        assert made.keys.secret_of(first.key.access_key_id) == first.key.secret
        assert made.first_run() is None


@pytest.mark.parametrize("signer", [Acs3, RpcV1])
def test_a_request_is_accepted_once_whatever_is_restarted(
    database_url: URL, tmp_path: Path, signer: type[Acs3 | RpcV1]
) -> None:
    answers: list[tuple[int, Any]] = []
    sent = None
    for _ in range(2):
        with assembled(database_url, tmp_path) as made:
            first = made.first_run()
            with over_http(made.app()) as port:
                if first is not None:
                    key = signer(first.key.access_key_id, first.key.secret)
                    sent = key.sign("POST", "stillframe.example", "ListSnapshotJobs")
                assert sent is not None
                for _ in range(2):
                    url = f"http://127.0.0.1:{port}{sent.target}"
                    answer = httpx.post(url, headers=sent.headers, content=sent.body, trust_env=False)
                    answers.append((answer.status_code, answer.json().get("Code")))
    assert answers == [(200, None)] + [(400, "SignatureNonceUsed")] * 3


@contextmanager
def nobody_let_in(server: URL, database: URL) -> Iterator[None]:
    """The database is away: its connections are ended, and no new one is taken."""
    with psycopg.connect(psycopg_dsn(server), autocommit=True) as connection:
        name = sql.Identifier(str(database.database))
        letting_in = sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}")
        connection.execute(letting_in.format(name, sql.SQL("false")))
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s",
            [database.database],
        )
        yield
        connection.execute(letting_in.format(name, sql.SQL("true")))


def test_a_file_while_the_database_is_away(database_server: URL, database_url: URL, tmp_path: Path) -> None:
    """Its link may well be good: it is to be tried again."""
    with assembled(database_url, tmp_path) as made, over_http(made.app()) as port:
        first = made.first_run()
        assert first is not None
        (Path(first.place.removeprefix("fs:")) / "x.jpg").write_bytes(b"picture")
        key = made.keyring.hmac_key("files")
        path = signed_path("local", "x.jpg", expires_at=EXPIRES_AT, signing_key=key)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            assert client.get(path).content == b"picture"
            with nobody_let_in(database_server, database_url):
                for _ in range(2):
                    answer = client.get(path)
                    assert (answer.status_code, answer.headers.get("retry-after")) == (503, "5")
                    assert answer.headers["content-security-policy"] == "sandbox"
                    assert answer.headers["x-content-type-options"] == "nosniff"
            # nobody asks the database again at once
            wait_for(lambda: client.get(path).content == b"picture")


@pytest.fixture(scope="module")
def made(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assembly]:
    with assembled(module_database_url, tmp_path_factory.mktemp("data")) as made:
        made.first_run()
        yield made


@pytest.mark.parametrize(
    "region",
    ["BAD region", "Cn-shanghai", "cn_shanghai", "-cn", "cn-", "", "cn-é", "cn-shanghai\n", "a" * 40],
)
def test_regions_that_no_bucket_can_have(made: Assembly, tmp_path: Path, region: str) -> None:
    account_id = made.accounts.find(FIRST_ACCOUNT)
    assert account_id is not None
    with pytest.raises(ConfigError) as caught:
        made.buckets.add("other", account_id, f"fs:{tmp_path}", region)
    assert (caught.value.path, caught.value.value) == ("Region", region)
    assert [bucket.name for bucket in made.buckets.all()] == ["local"]


def test_of_two_servers_that_begin_at_once_one_shows_the_key(
    database_url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, together = Accounts.find, threading.Barrier(2)

    def find_together(self: Accounts, name: str) -> str | None:
        found = find(self, name)
        if found is None:
            together.wait(DEADLINE_S)
        return found

    with (
        assembled(database_url, tmp_path) as one,
        assembled(database_url, tmp_path) as other,
        ThreadPoolExecutor(2) as pool,
    ):
        monkeypatch.setattr(Accounts, "find", find_together)
        first = [pool.submit(made.first_run) for made in (one, other)]
        made = [future.result(DEADLINE_S) for future in first]
        assert [run is None for run in made].count(True) == 1
        assert len(one.keys.all()) == len(one.buckets.all()) == len(one.pipelines.all()) == 1


def test_a_worker_decides_nothing_by_settings_of_its_own(
    database_url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no setting: so it would remove what servers keep for ever, and give up events that it may not send."""
    for room in (repair, retention):
        monkeypatch.setattr(room, "_EVERY_S", 0.02)
    monkeypatch.setattr(delivery, "_POLL_S", 0.02)
    monkeypatch.setattr(delivery, "_PAUSES_S", ())
    kept = {"job_retention_days": 0, "callback_allow_networks": "127.0.0.1"}
    with receiving() as receiver, jobs_by_hand(database_url, tmp_path, **kept) as jobs:
        server = jobs.assembly
        Callbacks(server.database, server.keyring).set(jobs.account_id, Callback(receiver.url, ("ALL",)))
        job_id = jobs.submit(1)
        jobs.do_all()
        jobs.sql("UPDATE jobs SET finished_at = now() - interval '100 days'")
        worker = Assembly(
            Settings(data_dir=tmp_path / "worker", keyring_file=tmp_path / "data" / "keyring", sandbox="off"),
            database_url,
            owns_database=False,
            serves=False,
        )
        worker.start()
        try:
            began = jobs.sql("SELECT clock_timestamp()")
            # it says that it lives with every other repair
            wait_for(
                lambda: jobs.sql("SELECT max(seen_at) - interval '1 s' FROM nodes WHERE NOT serves") > began
            )
            assert receiver.messages == []
            assert jobs.sql("SELECT failures FROM events") == [(0,)]
            server.start(works=False)
            wait_for(lambda: [message.told["JobId"] for message in receiver.messages] == [job_id])
            assert jobs.get(job_id).status == "Success"
        finally:
            worker.stop()
            server.stop()


def test_what_a_running_service_keeps_current(
    database_url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its metrics as Prometheus gets them, while a bucket that is away holds a job up; and its memory of nonces."""
    monkeypatch.setattr(repair, "_EVERY_S", 0.05)
    monkeypatch.setattr(retention, "_EVERY_S", 0.05)
    monkeypatch.setattr("stillframe.jobs.worker._POLL_S", 0.1)
    with service(database_url, tmp_path, slots=1, sandbox="off") as running:
        videos.make(running.folder / "movie.mp4", frames=50)
        pipeline = running.assembly.pipelines.of_account(running.account_id, None).pipeline_id

        def counted(name: str, labels: str = "") -> float | None:
            text = httpx.get(f"http://127.0.0.1:{running.port}/metrics", trust_env=False).text
            found = [line for line in text.splitlines() if line.startswith(f"stillframe_{name}{labels} ")]
            return float(found[0].split()[-1]) if found else None

        running.assembly.nonces.use("old", "SFone", datetime.now(UTC) - timedelta(hours=1))
        waiting = f'{{pipeline="{pipeline}"}}'
        assert counted("queue_depth_tasks", waiting) is None
        away = running.folder.rename(running.folder.with_name("away"))
        job_id = running.client.submit(Count=3)
        wait_for(lambda: counted("retries_total", '{stage="survey"}'))
        wait_for(lambda: counted("queue_depth_tasks", waiting) == 1)
        wait_for(lambda: 0 < (counted("queue_age_seconds", waiting) or 0) < DEADLINE_S)
        away.rename(running.folder)
        report = running.client.succeeded(job_id)["Report"]
        wait_for(lambda: counted("queue_depth_tasks", waiting) is None)
        wait_for(lambda: counted("job_outcomes_total", '{code="Success"}') == 1)
        wait_for(lambda: (counted("stage_seconds_count", '{stage="survey"}') or 0) >= 2)
        assert counted("read_bytes_total", '{store="fs"}') == report["BytesRead"] > 0
        control = PipelineControl(running.assembly.database, running.assembly.queue)
        assert counted("parked_jobs", waiting) is None
        control.pause(running.account_id, pipeline)
        parked = [running.client.submit() for _ in range(2)]
        wait_for(lambda: counted("parked_jobs", waiting) == 2)
        control.resume(running.account_id, pipeline)
        wait_for(lambda: counted("parked_jobs", waiting) is None)
        for job_id in parked:
            running.client.succeeded(job_id)

        def known() -> set[str]:
            with running.assembly.database.transaction() as session:
                return {*session.scalars(select(UsedNonce.nonce))}

        wait_for(lambda: "old" not in known())
        # those of the client's own requests may still be tried again
        assert known()
        wait_for(lambda: counted("removed_records_total", '{kind="nonce"}') == 1)
