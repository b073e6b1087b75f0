"""What must be so when all jobs have ended, whatever was done to those that have worked on them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drill.server import Server, demand
from drill.submitter import Asked, Submitter
from receiver import Receiver
from stillframe.storage.local_keys import is_temporary

#: the files in a folder of a bucket, by their paths from there
Files = Callable[[str], Mapping[str, bytes]]


@dataclass
class Found:
    """What came of jobs."""

    ended: Counter[str] = field(default_factory=Counter)
    probes: Counter[str] = field(default_factory=Counter)
    events: int = 0
    pictures: int = 0

    @property
    def failed(self) -> int:
        return self.ended.total() - self.ended["Success"]


def files_in(root: Path) -> Files:
    """Those of a bucket that is a folder, but for what writers that were killed have left."""

    def files(folder: str) -> Mapping[str, bytes]:
        top = root / folder
        found = (path for path in top.rglob("*") if path.is_file())
        return {
            str(path.relative_to(top)): path.read_bytes()
            for path in found
            if not is_temporary(os.fsencode(path.name))
        }

    return files


def files_of(ids: Mapping[str, Asked], buckets: Mapping[str, Files]) -> dict[str, Mapping[str, bytes]]:
    """What lies in each job's folder; the server is not asked."""
    return {job_id: buckets[asked.bucket](asked.folder) for job_id, asked in ids.items()}


def wait_for_all(server: Server, submitted: Submitter, seconds: float = 180) -> None:
    """Every job that was taken is there, once, and has ended."""
    demand(
        lambda: not server.insist("ListSnapshotJobs", Status="Init", PageSize=1)["Jobs"],
        "every job has ended",
        seconds,
    )
    demand(
        lambda: not server.insist("ListMediaInfoJobs", Status="Init", PageSize=1)["Jobs"],
        "every probe job has ended",
    )
    listed: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = server.insist("ListSnapshotJobs", PageSize=100, **token)
        listed += [job["JobId"] for job in page["Jobs"]]
        if not page.get("NextPageToken"):
            break
        token = {"NextPageToken": page["NextPageToken"]}
    assert sorted(listed) == sorted(submitted.ids), "jobs are lost, or there are more than were submitted"


def check_jobs(server: Server, ids: Mapping[str, Asked]) -> Counter[str]:
    """Each job says what it must; how often each code."""
    ended: Counter[str] = Counter()
    for job_id, asked in ids.items():
        kind = asked.kind
        job = server.insist("GetSnapshotJob", JobId=job_id)["SnapshotJob"]
        said = f"{asked}: {job['Status']} {job.get('Code')} {job.get('Message')}"
        assert (job["Status"], job.get("Code")) == ("Fail" if kind.code else "Success", kind.code), said
        _demand_order(job, said)
        ended[kind.code or "Success"] += 1
        if kind.code is not None:
            continue
        assert job["Count"] == len(kind.numbers), said
        names = [name for name in kind.files or {} if not name.endswith(".vtt")]
        urls = server.insist("GetSnapshotUrls", JobId=job_id, PageSize=1)
        assert urls["Total"] == len(names), said
        assert bool(urls.get("WebVTTUrl")) == (kind.overwrite["Type"] == "WebVtt"), said
    return ended


def check_probes(server: Server, submitted: Submitter) -> Counter[str]:
    """Each probe job says what it must; how often each code."""
    ended: Counter[str] = Counter()
    for job_id, kind in submitted.probes.items():
        code = kind.probe_code
        job = server.insist("GetMediaInfoJob", JobId=job_id)["MediaInfoJob"]
        assert (job["Status"], job.get("Code")) == ("Fail" if code else "Success", code), (
            f"the probe of {kind.media}: {job}"
        )
        _demand_order(job, f"the probe of {kind.media}")
        ended[code or "Success"] += 1
        if code is None:
            (video,) = job["MediaInfoProperty"]["VideoStreamInfoList"]
            assert (video["Codec_name"], video["Width"]) == ("h264", "192"), kind.media
    return ended


def _demand_order(job: Mapping[str, Any], said: str) -> None:
    """It has ended after it was submitted, whatever the clocks are of those that have written this down."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert job["SubmitTime"] <= job["FinishTime"] <= now, said


def check_events(ids: Mapping[str, Asked], receiver: Receiver) -> int:
    """Each job's end was told of, as it was; some of them more than once, but never otherwise. How many messages."""
    demand(
        lambda: ids.keys() <= {message.told["JobId"] for message in [*receiver.messages]},
        "every job is told of",
    )
    bodies: dict[str, bytes] = {}
    messages = 0
    for message in [*receiver.messages]:
        told = message.told
        if (asked := ids.get(told["JobId"])) is None:
            continue
        messages += 1
        assert told.get("Code") == asked.kind.code, f"the event of {asked}: {told}"
        first = bodies.setdefault(told["JobId"], message.body)
        assert message.body == first, f"{asked} is told of twice, and not in the same way: {told}"
    return messages


def check_files(ids: Mapping[str, Asked], files: Mapping[str, Mapping[str, bytes]]) -> int:
    """In each job's folder lies what it must give, and nothing else. How many pictures.

    They are compared with what was made of the same video before: its numbers were read from the pixels then.
    """
    pictures = 0
    for job_id, asked in ids.items():
        wanted = asked.kind.files or {}
        found = files[job_id]
        said = f"the files of {asked}"
        if asked.kind.is_partial:
            assert found, said
            assert found.keys() <= wanted.keys(), said
        else:
            assert sorted(found) == sorted(wanted), said
        wrong = [name for name, data in found.items() if data != wanted[name]]
        assert not wrong, f"{said}: not as they must be: {', '.join(wrong)}"
        pictures += sum(not name.endswith(".vtt") for name in found)
    return pictures
