"""Buckets in stores as their users have them: bound by the command, used by an official SDK, read by links."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from ready_command import run
from sdk_process import SdkProcess
from the_command import DEADLINE_S, Done, demand_one_line
from the_server import Server, serving

from object_store import ObjectStore
from oss_server import OssServer
from stillframe.storage.places import open_bucket, parse_place
from stillframe.testing import Clip, barcode

STILLS = {"TemplateId": "S00000002-000011", "OverwriteParams": {"Time": 1000, "Interval": 3, "Count": 5}}


def command(server: Server, *arguments: str) -> Done:
    return run(arguments, server.data_dir.parent, env=server.env)


@pytest.fixture(scope="module")
def places(object_store: ObjectStore, oss: OssServer) -> dict[str, str]:
    """A place in each kind of store, whose keys are in the environment."""
    return {
        "in-s3": object_store.make_bucket("videos"),
        "in-oss": oss.make_bucket("videos"),
        "in-oss-v4": f"{oss.make_bucket('more-videos')}&signature=v4&cache_control=max-age=60",
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, places: dict[str, str], film: Clip) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server") / "data") as running:
        (running.bucket / "movie.mp4").write_bytes(film.path.read_bytes())
        for name, place in places.items():
            done = command(running, "bucket", "add", name, "--to", place)
            assert (done.code, done.complaints) == (0, "")
            assert done.out.startswith(f"oss://{name}  ->  {place.split('&signature')[0]}")
            there = open_bucket(parse_place(place), name)
            there.write("movie.mp4", film.path.read_bytes(), "video/mp4")
        yield running


def test_jobs_whose_videos_and_pictures_lie_in_stores(
    server: Server, places: dict[str, str], film: Clip
) -> None:
    """The same bytes as from a folder to a folder."""
    key_id, secret = server.key
    pictures = {}
    with SdkProcess(
        "ice6",
        endpoint=server.url.removeprefix("http://"),
        access_key_id=key_id,
        access_key_secret=secret,
    ) as sdk:
        names = ["local", *places]
        jobs = {name: submitted(sdk, name) for name in names}
        for name, job_id in jobs.items():
            links = succeeded(sdk, job_id)
            answers = [httpx.get(link, trust_env=False) for link in links]
            assert [answer.status_code for answer in answers] == [200] * 5
            assert ("/files/" in links[0]) == (name == "local")
            is_cached = "max-age=60" in answers[0].headers.get("cache-control", "")
            assert is_cached or name != "in-oss-v4"
            pictures[name] = [answer.content for answer in answers]
    assert all(found == pictures["local"] for found in pictures.values())
    numbers = [barcode.read(np.asarray(Image.open(io.BytesIO(data)))) for data in pictures["local"]]
    assert numbers == [film.number_at(ms) for ms in (1000, 4000, 7000, 10_000, 13_000)]


def submitted(sdk: SdkProcess, bucket: str) -> str:
    told = sdk.call(
        "SubmitSnapshotJob",
        Input={"Type": "OSS", "Media": f"oss://{bucket}/movie.mp4"},
        Output={"Type": "OSS", "Media": f"oss://{bucket}/stills/{{Count}}.jpg"},
        TemplateConfig=STILLS,
    )
    return str(told["JobId"])


def succeeded(sdk: SdkProcess, job_id: str) -> list[str]:
    deadline = time.monotonic() + DEADLINE_S
    while (job := sdk.call("GetSnapshotJob", JobId=job_id)["SnapshotJob"])["Status"] == "Init":
        assert time.monotonic() < deadline, job
        time.sleep(0.02)
    assert job["Status"] == "Success", job
    links: list[Any] = sdk.call("GetSnapshotUrls", JobId=job_id, PageSize=30, Timeout=60)["SnapshotUrls"]
    return links


rest = partial(pytest.param, marks=pytest.mark.full)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("in-oss videos nowhere", "the bucket does not exist: NoSuchBucket"),
        rest("in-s3 videos nowhere", "the bucket does not exist: NoSuchBucket"),
        ("in-oss-v4 cn-shanghai cn-beijing", "the bucket lies in another region than its place says"),
        ("in-s3 &profile=none", "there is no section [none]"),
        rest("in-oss &profile=none", "there is no profile none in"),
        # tried again and again, for seconds
        rest("away", "Connection refused"),
    ],
)
def test_buckets_that_are_refused(
    server: Server, places: dict[str, str], place: str, words: str, tmp_path: Path
) -> None:
    """Each in a line that says what is wrong; and no bucket is there then."""
    name, *change = place.split()
    to = places.get(name, "oss://videos?endpoint=http://127.0.0.1:1")
    if len(change) == 2:
        to = to.replace(*change) if change[0] in to else f"{to}&{change[1]}"
    elif change:
        to += change[0]
    demand_one_line(command(server, "bucket", "add", "new", "--to", to), words)
    assert "oss://new" not in command(server, "bucket", "list").out
