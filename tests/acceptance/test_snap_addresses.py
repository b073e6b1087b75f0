"""`stillframe snap` on addresses: videos on web servers and in stores, and pictures into stores."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import the_command
from ready_command import run
from the_command import demand_one_line, files_in

from object_store import ObjectStore
from oss_process import REGION
from oss_server import OssServer
from stillframe.storage.bucket import Bucket
from stillframe.storage.places import open_bucket, parse_place
from stillframe.testing import Clip
from web_site import WebSite, web_site

USAGE = 64


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, film: Clip) -> Iterator[WebSite]:
    with web_site(tmp_path_factory.mktemp("site")) as started, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", started.authorities)
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            patch.delenv(name)
        started.film.write_bytes(film.path.read_bytes())
        (started.film.parent / "text.mp4").write_text("no video\n" * 1000)
        yield started


@pytest.fixture(scope="module")
def place(object_store: ObjectStore, film: Clip) -> str:
    """A bucket with the film under two keys."""
    made = object_store.make_bucket("snap")
    bucket = open_bucket(parse_place(made), None)
    for key in ("movie.mp4", "a b/ü #1 100%25.mp4"):
        bucket.write(key, film.path.read_bytes(), "video/mp4")
    return made


@pytest.fixture
def bucket(place: str) -> Bucket:
    return open_bucket(parse_place(place), None)


def test_a_video_on_a_web_server(site: WebSite, folder: Path) -> None:
    url = f"{site.https.replace('//', '//me:secret@')}/locked/movie.mp4?token=secret"
    local = run("snap movie.mp4 -o 'local/{Name}-{Count}.jpg' --count 3 --frame-type normal", folder)
    options = ["-o", "web/{Name}-{Count}.jpg", "--count", "3", "--frame-type", "normal"]
    done = run(["snap", url, *options, "--threads", "1"], folder)
    assert (done.code, done.complaints) == (local.code, local.complaints) == (0, "")
    shown = f"{site.https}/locked/movie.mp4?…"
    line = re.fullmatch(
        r"(.+): 3 stills of 192x108 in [\d.]+ s, [\d.]+ KiB of ([\d.]+) KiB read \([\d.]+%\) in \d+ requests?: (.+)\n",
        done.out,
    )
    assert line, done.out
    assert line.groups() == (
        shown,
        f"{site.film.stat().st_size / 1024:.1f}",
        "web/movie-00001.jpg … web/movie-00003.jpg",
    )
    for name in files_in(folder / "local"):
        assert (folder / "web" / name).read_bytes() == (folder / "local" / name).read_bytes()
    failed = run(["snap", url.replace("movie.", "none."), "-o", "x.jpg", "--json"], folder)
    assert failed.code == 1
    demand_one_line(
        failed, f"{site.https}/locked/none.mp4?…: does not exist: the server answers 404 Not Found"
    )
    assert failed.objects[0]["source"] == f"{site.https}/locked/none.mp4?…"
    assert "secret" not in done.out + done.err + failed.out + failed.err


@pytest.mark.usefixtures("sandbox_holds")
def test_several_videos_and_bad_ones(site: WebSite, folder: Path) -> None:
    """They are told apart by their names, and one that fails does not stop the others."""
    urls = [f"{site.http}/usual/{name}.mp4" for name in ("text", "movie", "none")]
    done = run(["snap", *urls, "-o", "{Name}.jpg", "--sandbox", "--jobs", "2"], folder)
    assert done.code == 2
    assert files_in(folder) == ["movie.jpg", "movie.mp4"]
    lines = sorted(done.complaints.splitlines())
    assert lines[0].startswith(f"stillframe: {urls[2]}: does not exist")
    assert lines[1].startswith(f"stillframe: {urls[0]}: ")
    probed = run(["probe", urls[1]], folder)
    assert (probed.code, probed.out.splitlines()[0]) == (0, urls[1])


def test_from_a_store_to_the_store(
    place: str, bucket: Bucket, object_store: ObjectStore, folder: Path
) -> None:
    """Where the store is says the environment, or the address."""
    options = "--count 3 --type WebVtt --width 96 --interval 5"
    assert run(f"snap movie.mp4 -o t/movie.vtt {options}", folder).code == 0
    done = run(
        f"snap s3://snap/movie.mp4 -o s3://snap/t/movie.vtt {options}",
        folder,
        env={"AWS_ENDPOINT_URL": object_store.endpoint},
    )
    assert (done.code, done.complaints) == (0, "")
    assert done.out.startswith("s3://snap/movie.mp4: a track and 3 stills of 96x54 in ")
    assert done.out.endswith(": s3://snap/t/movie.vtt\n")
    names = [f"t/{name}" for name in files_in(folder / "t")]
    assert len(names) == 4
    assert [facts.key for facts in bucket.list("t/")] == names
    for name in names:
        assert bucket.read(name) == (folder / name).read_bytes()
    query = place.partition("?")[2]
    address = f"s3://snap/a b/ü #1 100%25.mp4?{query}"
    odd = run(
        ["snap", address, "-o", f"s3://snap/odd/{{Name}}-{{Count}}.png?{query}", "--count", "2"], folder
    )
    assert (odd.code, odd.complaints) == (0, "")
    assert [facts.key for facts in bucket.list("odd/")] == [f"odd/ü #1 100%25-0000{n}.png" for n in (1, 2)]


def test_from_oss_to_oss(oss: OssServer, folder: Path, film: Clip) -> None:
    made = oss.make_bucket("snap")
    bucket = open_bucket(parse_place(made), None)
    bucket.write("movie.mp4", film.path.read_bytes(), "video/mp4")
    env = {"OSS_ENDPOINT": oss.endpoint, "OSS_REGION": REGION}
    done = run("snap oss://snap/movie.mp4 -o 'oss://snap/t/{Count}.jpg' --count 2", folder, env=env)
    assert (done.code, done.complaints) == (0, "")
    assert run("snap movie.mp4 -o 't/{Count}.jpg' --count 2", folder).code == 0
    for name in ("t/00001.jpg", "t/00002.jpg"):
        assert bucket.read(name) == (folder / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("s3://snap/none.mp4?{query} -o x.jpg", "s3://snap/none.mp4: does not exist"),
        (
            "s3://nowhere/movie.mp4?{query} -o x.jpg",
            "s3://nowhere/movie.mp4: the bucket does not exist: NoSuchBucket",
        ),
        ("movie.mp4 -o s3://nowhere/x.jpg?{query}", "NoSuchBucket"),
        ("s3://snap/movie.mp4?{query}&region=eu-west-7 -o x.jpg", "the bucket lies in another region than"),
        ("movie.mp4 -o s3://snap/a//x.jpg?{query}", "Output is 'a//x.jpg', but must be a key without empty"),
    ],
)
def test_what_cannot_be_read_or_written(place: str, folder: Path, arguments: str, words: str) -> None:
    done = run(
        f"snap {arguments.format(query=place.partition('?')[2])}".replace("?", "'?'").replace("&", "'&'"),
        folder,
    )
    assert (done.code, done.out) == (1, "")
    demand_one_line(done, words)
    assert files_in(folder) == ["movie.mp4"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("ftp://me:secret@example.com/x.mp4 -o x.jpg", "Input is 'ftp://...'"),
        ("https://me:secret@/x.mp4 -o x.jpg", "Input is 'https://...'"),
        ("s3://films -o x.jpg", "Input is 's3://films'"),
        ("movie.mp4 -o https://me:secret@example.com/x.jpg", "Output is 'https://...'"),
        (
            "movie.mp4 -o s3://films/x.gif",
            "Output is 's3://films/x.gif', but must be a name that ends in .jpg",
        ),
        ("movie.mp4 -o s3://me:secret@films/x.jpg", "Output is 's3://...'"),
        ("https://a.example/x.mp4 http://b.example/x.mp4?secret -o x.jpg", "would write the same files"),
    ],
)
def test_addresses_that_are_none(folder: Path, arguments: str, words: str) -> None:
    done = run(f"snap {arguments}".replace("?", "'?'"), folder)
    assert (done.code, done.out) == (USAGE, "")
    # rich folds it
    assert words in " ".join(done.err.replace("│", " ").split())
    assert "secret" not in done.err


@pytest.fixture
def without_extras(tmp_path: Path) -> dict[str, str]:
    """An environment in which nothing is installed but what the command needs at least."""
    for name in (
        "opendal",
        "httpx",
        "httpcore",
        "pydantic",
        "sqlalchemy",
        "starlette",
        "cryptography",
        "certifi",
    ):
        (tmp_path / "less" / name).mkdir(parents=True)
        missing = f"raise ModuleNotFoundError('No module named {name}', name='{name}')\n"
        (tmp_path / "less" / name / "__init__.py").write_text(missing)
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(tmp_path / "less"), os.environ.get("PYTHONPATH")]))
    }


@pytest.mark.parametrize("arguments", ["s3://films/x.mp4 -o x.jpg", "movie.mp4 -o s3://films/x.jpg"])
def test_stores_without_what_they_need(folder: Path, without_extras: dict[str, str], arguments: str) -> None:
    done = the_command.run(f"snap {arguments}", folder, env=without_extras)
    assert (done.code, done.out) == (1, "")
    demand_one_line(done, "s3://films/x.", "object stores need OpenDAL: pip install 'stillframe[cloud]'")


def test_web_servers_need_nothing(site: WebSite, folder: Path, without_extras: dict[str, str]) -> None:
    done = the_command.run(f"snap {site.https}/usual/movie.mp4 -o x.jpg", folder, env=without_extras)
    assert (done.code, done.complaints) == (0, "")
