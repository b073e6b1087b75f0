"""The service with buckets in stores: its jobs, its tracks and its links."""

from __future__ import annotations

import html
import random
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import URL

from console_client import visiting
from object_store import ObjectStore
from oss_server import OssServer
from service_client import Refused, Service, service
from stillframe.storage.bucket import Bucket
from stillframe.testing import videos


@pytest.fixture(scope="module")
def running(
    module_database_url: URL,
    tmp_path_factory: pytest.TempPathFactory,
    object_store: ObjectStore,
    oss: OssServer,
) -> Iterator[Service]:
    """A service with a bucket in each kind of store, and the same video in all of them."""
    with service(module_database_url, tmp_path_factory.mktemp("data")) as started:
        clip = videos.make(started.folder / "movie.mp4", frames=250, fps=25, gop=25)
        for name, place in (
            ("in-s3", object_store.make_bucket("jobs")),
            ("in-oss", f"{oss.make_bucket('jobs')}&signature=v1"),
        ):
            bucket = started.assembly.buckets.add(name, started.account_id, place, "cn-shanghai").open()
            bucket.write("movie.mp4", clip.path.read_bytes(), "video/mp4")
        yield started


def opened(running: Service, name: str) -> Bucket:
    found = running.assembly.buckets.find(name)
    assert found is not None
    return found.open()


@pytest.mark.usefixtures("sandbox_holds")
@pytest.mark.parametrize("name", ["in-s3", "in-oss"])
def test_a_job_whose_video_is_not_in_the_store(running: Service, name: str) -> None:
    job = running.client.ended(
        running.client.submit(f"oss://{name}/none.mp4", f"oss://{name}/t/{{Count}}.jpg")
    )
    assert (job["Status"], job["Code"]) == ("Fail", "ResourceNotFound")
    assert f"oss://{name}/none.mp4" in job["Message"]


@pytest.mark.usefixtures("sandbox_holds")
@pytest.mark.parametrize("name", ["in-s3", "in-oss"])
def test_a_track_in_the_store(running: Service, name: str) -> None:
    """Its pictures have links of the store in it, which the stored track has not."""
    client = running.client
    output, template = f"oss://{name}/ü t/a.vtt", "S00000002-000030"
    job_id = client.submit(f"oss://{name}/movie.mp4", output, template, Interval=2, Width=96)
    client.succeeded(job_id)
    urls = client.urls(job_id)
    films = opened(running, name)
    stored = films.read("ü t/a.vtt").decode()
    with httpx.Client(trust_env=False) as http:
        shown = http.get(urls["WebVTTUrl"]).text
        (picture,) = {line.partition("#")[0] for line in shown.splitlines() if "#xywh=" in line}
        assert picture.startswith("http://127.0.0.1:")
        assert not picture.startswith(running.assembly.public_url)
        assert http.get(picture).content == http.get(urls["SnapshotUrls"][0]).content
        assert shown.replace(picture, "a/snapshot-tile-00001.jpg") == stored
        films.delete("ü t/a.vtt")
        assert http.get(urls["WebVTTUrl"]).status_code == 404


def test_links_while_the_store_has_no_keys(
    running: Service, object_store: ObjectStore, tmp_path: Path
) -> None:
    """Of the account's other buckets they are there; what is wrong is not told to the account."""
    client, assembly = running.client, running.assembly
    profiles = tmp_path / "credentials"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profiles))
        profiles.write_text("[lent]\naws_access_key_id = test:tester\naws_secret_access_key = testing\n")
        place = f"s3://jobs?endpoint={object_store.endpoint}&profile=lent"
        assembly.buckets.add("lent", running.account_id, place, "cn-shanghai")
        media_id = client.register(
            "oss://lent/movie.mp4", RegisterConfig={"NeedSnapshot": "false", "NeedSprite": "false"}
        )
        client.prepared(media_id)
        job_id = client.submit("oss://local/movie.mp4", "oss://lent/still.jpg")
        client.succeeded(job_id)
        (file,) = client.call("GetMediaInfo", MediaId=media_id)["MediaInfo"]["FileInfoList"]
        assert file["FileBasicInfo"]["FileUrl"].startswith(f"{object_store.endpoint}/jobs/movie.mp4?")
        profiles.write_text("")
        (file,) = client.call("GetMediaInfo", MediaId=media_id)["MediaInfo"]["FileInfoList"]
        assert "FileUrl" not in file["FileBasicInfo"]
        with pytest.raises(Refused) as caught:
            client.urls(job_id)
    assert (caught.value.status, caught.value.code) == (503, "ServiceUnavailable")
    assert str(tmp_path) not in caught.value.message


@pytest.mark.parametrize("name", ["in-s3", "in-oss"])
def test_a_store_at_the_console(running: Service, name: str) -> None:
    data = random.Random(1).randbytes(17 << 20)
    with visiting(running.port) as visitor:
        visitor.log_in_by_link(running.assembly.login_link())
        headers = {"Origin": visitor.origin, "X-CSRF-Token": visitor.csrf(), "HX-Request": "true"}
        address = f"/console/buckets/{name}/object?key="
        for key, body in (("ü p/x&y.jpg", b"a picture"), ("ü p/film.mp4", data)):
            answer = visitor.http.put(f"{address}{quote(key)}", content=body, headers=headers)
            assert answer.status_code == 201, answer.text
            assert opened(running, name).read(key) == body
        again = visitor.http.put(f"{address}{quote('ü p/film.mp4')}", content=b"x", headers=headers)
        assert again.status_code == 409
        page = visitor.get(f"/buckets/{name}?folder={quote('ü p')}")
        assert page.status_code == 200
        assert "data-upload" in page.text
        if name == "in-oss":
            # OpenDAL signs lists wrong where V1 names the bucket in the path
            assert "SignatureDoesNotMatch" in page.text
            return
        found = re.findall(r'<th scope="row"><a href="([^"]*)"[^>]*>([^<]*)</a>', page.text)
        assert [key for _, key in found] == ["film.mp4", "x&amp;y.jpg"]
        assert httpx.get(html.unescape(found[1][0]), trust_env=False).content == b"a picture"
        # pictures come from the store itself
        store = found[1][0].partition("/jobs/")[0]
        assert not store.startswith(visitor.origin)
        assert store in page.headers["Content-Security-Policy"]
        assert (
            'href="/console/buckets/in-s3?folder=%C3%BC+p%2F">ü p/</a>'
            in visitor.get(f"/buckets/{name}").text
        )
