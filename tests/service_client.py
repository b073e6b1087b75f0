"""All rooms of the service in this process, over real HTTP, and a client that signs its own requests.

with service(url, folder) as running:
    running.client.call("ListSnapshotJobs")
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
from sqlalchemy import URL, text

from documented_errors import demand_documented
from ims_server import over_http
from ims_signer import Acs3
from stillframe.database.engine import Database
from stillframe.server.assembly import Assembly
from stillframe.settings import Settings

#: whatever comes at all comes by then, on any machine
DEADLINE_S = 60
TEMPLATE = "S00000002-000011"
Answer = TypeVar("Answer")


class Refused(Exception):
    """The answer was an error."""

    def __init__(self, status: int, told: Mapping[str, Any]) -> None:
        super().__init__(status, told)
        self.status, self.code, self.message = status, told["Code"], told["Message"]


def wait_for(what: Callable[[], Any]) -> Any:
    """What it returns as soon as that is true."""
    deadline = time.monotonic() + DEADLINE_S
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def while_another_changes(
    database: Database, statements: Sequence[str], values: Mapping[str, Any], call: Callable[[], Answer]
) -> Answer:
    """What a call comes to that began before somebody else's change was committed, and ends after it."""
    waits = text(
        "SELECT EXISTS (SELECT FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock')"
    )

    def is_waiting() -> bool:
        with database.transaction() as session:
            return bool(session.scalar(waits))

    with ThreadPoolExecutor(1) as thread, database.transaction() as other:
        for statement in statements:
            other.execute(text(statement), values)
        answer = thread.submit(call)
        wait_for(lambda: answer.done() or is_waiting())
        other.commit()
        return answer.result()


class Client:
    """One account's calls."""

    def __init__(self, port: int, signer: Acs3) -> None:
        self._host = f"127.0.0.1:{port}"
        self._signer = signer
        self._http = httpx.Client(timeout=DEADLINE_S, trust_env=False)

    def call(self, action: str, **parameters: Any) -> dict[str, Any]:
        """The answer's object. Raises Refused."""
        form = [
            (key, value if isinstance(value, str) else json.dumps(value)) for key, value in parameters.items()
        ]
        signed = self._signer.sign("POST", self._host, action, form=form)
        answer = self._http.request(
            signed.method,
            f"http://{self._host}{signed.target}",
            headers=signed.headers,
            content=signed.body,
        )
        told: dict[str, Any] = answer.json()
        if answer.status_code != 200:
            demand_documented(action, told["Code"])
            raise Refused(answer.status_code, told)
        return told

    def submit(
        self,
        movie: str = "oss://local/movie.mp4",
        output: str = "oss://local/out/{Count}.jpg",
        template: str = TEMPLATE,
        /,
        more: Mapping[str, Any] | None = None,
        **overwrite: Any,
    ) -> str:
        """The id of a new job; `more` are further parameters of the call."""
        parameters = {
            "Input": {"Type": "OSS", "Media": movie},
            "Output": {"Type": "OSS", "Media": output},
            "TemplateConfig": {"TemplateId": template, "OverwriteParams": overwrite},
            **(more or {}),
        }
        job_id = self.call("SubmitSnapshotJob", **parameters)["JobId"]
        assert isinstance(job_id, str)
        return job_id

    def get(self, job_id: str) -> dict[str, Any]:
        """A job as it is now."""
        job: dict[str, Any] = self.call("GetSnapshotJob", JobId=job_id)["SnapshotJob"]
        return job

    def ended(self, job_id: str) -> dict[str, Any]:
        """A job that has ended."""
        wait_for(lambda: self.get(job_id)["Status"] != "Init")
        return self.get(job_id)

    def succeeded(self, job_id: str) -> dict[str, Any]:
        """A job that has ended well."""
        job = self.ended(job_id)
        assert job["Status"] == "Success", job
        return job

    def in_work(self, job_id: str) -> dict[str, Any]:
        """A job of which a part is done, but not all."""
        wait_for(lambda: self.get(job_id)["Progress"] > 0)
        job = self.get(job_id)
        assert job["Status"] == "Init", job
        return job

    def urls(self, job_id: str, **parameters: Any) -> dict[str, Any]:
        """Where a job's pictures are."""
        return self.call("GetSnapshotUrls", JobId=job_id, PageSize=30, **parameters)

    def register(self, media: str = "oss://local/movie.mp4", **more: Any) -> str:
        """The id of a new media asset."""
        return str(self.call("RegisterMediaInfo", InputURL=media, **more)["MediaId"])

    def asset(self, media_id: str) -> dict[str, Any]:
        """What is told of a media asset now."""
        found: dict[str, Any] = self.call("GetMediaInfo", MediaId=media_id)["MediaInfo"]["MediaBasicInfo"]
        return found

    def prepared(self, media_id: str) -> dict[str, Any]:
        """A media asset whose file was looked at."""
        wait_for(lambda: self.asset(media_id)["Status"] != "Preparing")
        return self.asset(media_id)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()


@dataclass
class Service:
    """The running service, the first account's client, and the folder of its bucket `local`."""

    assembly: Assembly
    port: int
    folder: Path
    client: Client
    account_id: str

    def bucket(self, name: str, account_id: str | None = None) -> Path:
        """A new bucket; its folder."""
        folder = self.folder.parent / name
        folder.mkdir()
        self.assembly.buckets.add(name, account_id or self.account_id, f"fs:{folder}", "cn-shanghai")
        return folder

    @contextlib.contextmanager
    def account(self, name: str) -> Iterator[tuple[str, Client]]:
        """A new account with its pipeline and key: its id, and its client."""
        account_id = self.assembly.accounts.create(name)
        self.assembly.pipelines.create(account_id, "default", is_default=True)
        key = self.assembly.keys.create(account_id)
        client = Client(self.port, Acs3(key.access_key_id, key.secret))
        with contextlib.closing(client):
            yield account_id, client


@contextlib.contextmanager
def service(url: URL, folder: Path, **settings: Any) -> Iterator[Service]:
    """The service on a database that is up to date, with its first account, key and bucket."""
    assembly = Assembly(Settings(data_dir=folder, **settings), url, owns_database=True)
    try:
        first = assembly.first_run()
        assert first is not None
        assembly.start()
        account_id = assembly.accounts.find("default")
        assert account_id is not None
        with over_http(assembly.app()) as port:
            assembly.public_url = f"http://127.0.0.1:{port}"
            client = Client(port, Acs3(first.key.access_key_id, first.key.secret))
            with contextlib.closing(client):
                yield Service(assembly, port, folder / "buckets" / "local", client, account_id)
    finally:
        assembly.stop()
