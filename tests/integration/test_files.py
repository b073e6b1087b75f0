"""Files behind signed links, from a real server on loopback: what players and browsers ask for, and what others try."""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest
from file_server import ask_raw, serving, wait_for
from starlette.applications import Starlette
from starlette.routing import Mount

from stillframe.errors import Unavailable
from stillframe.server import linked
from stillframe.server.files import file_routes
from stillframe.storage.bucket import Bucket
from stillframe.storage.local import LocalBucket
from stillframe.storage.signed_urls import sign, signed_path

KEY = b"k" * 32
EXPIRES_AT = 2_000_000_000
NOW = EXPIRES_AT - 600
PICTURE = bytes(range(256)) * 4
SECRET = b"not for everybody"
NOT_VALID, EXPIRED, MISSING = (
    "This link is not valid.\n",
    "This link has expired.\n",
    "There is no such file.\n",
)


@dataclass
class Site:
    """A server of files, its one bucket and what its clock says. `catalog_is_away`: buckets are not found just now."""

    bucket: LocalBucket
    address: str = ""
    now: float = NOW
    catalog_is_away: bool = False

    def link(self, key: str) -> str:
        return self.address + signed_path("local", key, expires_at=EXPIRES_AT, signing_key=KEY)

    async def find_bucket(self, name: str) -> Bucket | None:
        if self.catalog_is_away:
            raise Unavailable("database")
        return self.bucket if name == "local" else None

    def descriptors(self, key: str) -> int:
        """How many descriptors this process has open on an object."""
        path = (self.bucket.root / key).resolve()
        found = 0
        for descriptor in Path("/proc/self/fd").iterdir():
            # the listing's own descriptor is gone by now, and others may be
            with suppress(OSError):
                found += descriptor.readlink() == path
        return found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site") / "bucket"
    folder.mkdir()
    (folder.parent / "secret.jpg").write_bytes(SECRET)
    site = Site(LocalBucket(folder, "local"))
    routes = file_routes(site.find_bucket, [KEY], clock=lambda: site.now)
    with serving(Starlette(routes=routes)) as address:
        site.address = address
        yield site


@pytest.fixture
def site(running: Site) -> Site:
    running.now = NOW
    running.bucket.write("a/x.jpg", PICTURE)
    running.bucket.write("b/secret.jpg", SECRET)
    return running


def test_a_picture(site: Site) -> None:
    response = httpx.get(site.link("a/x.jpg"))

    assert (response.status_code, response.content) == (200, PICTURE)
    headers = {
        name: value for name, value in response.headers.items() if name not in ("date", "server", "etag")
    }
    assert headers == {
        "accept-ranges": "bytes",
        "access-control-allow-origin": "*",
        "access-control-expose-headers": "Accept-Ranges, Content-Length, Content-Range, ETag, Last-Modified",
        "cache-control": "private, max-age=600",
        "content-length": "1024",
        "content-security-policy": "sandbox",
        "content-type": "image/jpeg",
        "cross-origin-resource-policy": "cross-origin",
        "last-modified": response.headers["last-modified"],
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
    assert re.fullmatch('"[0-9a-f]{32}"', response.headers["etag"])


def test_the_head_alone(site: Site) -> None:
    whole, head = httpx.get(site.link("a/x.jpg")), httpx.head(site.link("a/x.jpg"))

    assert (head.status_code, head.content) == (200, b"")
    without_date = [{**response.headers, "date": ""} for response in (whole, head)]
    assert without_date[0] == without_date[1]


def test_a_page_of_another_site_asks_first(site: Site) -> None:
    response = httpx.options(site.link("a/x.jpg"), headers={"Origin": "https://player.example"})

    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == "*"
    assert "range" in response.headers["access-control-allow-headers"].lower()
    assert response.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_files_are_only_read(site: Site, method: str) -> None:
    assert httpx.request(method, site.link("a/x.jpg"), content=b"x").status_code == 405
    assert site.bucket.read("a/x.jpg") == PICTURE


@pytest.mark.parametrize(
    ("key", "content_type", "disposition"),
    [
        ("x.vtt", "text/vtt; charset=utf-8", None),
        ("x.png", "image/png", None),
        ("x.mp4", "video/mp4", None),
        ("x.html", "application/octet-stream", "attachment"),
        ("x.svg", "application/octet-stream", "attachment"),
        ("x", "application/octet-stream", "attachment"),
    ],
)
def test_only_pictures_videos_and_tracks_are_shown(
    site: Site, key: str, content_type: str, disposition: str | None
) -> None:
    site.bucket.write(key, b"<script>alert(1)</script>")
    response = httpx.get(site.link(key))

    assert response.headers["content-type"] == content_type
    assert response.headers.get("content-disposition") == disposition
    assert response.headers["content-security-policy"] == "sandbox"
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("wanted", "status", "content_range", "content"),
    [
        ("bytes=0-9", 206, "bytes 0-9/1024", PICTURE[:10]),
        ("bytes=1000-", 206, "bytes 1000-1023/1024", PICTURE[1000:]),
        ("bytes=-24", 206, "bytes 1000-1023/1024", PICTURE[1000:]),
        ("bytes=0-99999", 206, "bytes 0-1023/1024", PICTURE),
        ("bytes=0-1,5-6", 200, None, PICTURE),
        ("bytes=9-0", 200, None, PICTURE),
        ("bytes=1024-", 416, "bytes */1024", b"The file is shorter than that.\n"),
    ],
)
def test_ranges(site: Site, wanted: str, status: int, content_range: str | None, content: bytes) -> None:
    response = httpx.get(site.link("a/x.jpg"), headers={"Range": wanted})

    assert (response.status_code, response.content) == (status, content)
    assert response.headers.get("content-range") == content_range
    assert response.headers["content-length"] == str(len(content))


def test_conditions(site: Site) -> None:
    link = site.link("a/x.jpg")
    first = httpx.get(link)
    etag, date = first.headers["etag"], first.headers["last-modified"]

    for headers in ({"If-None-Match": etag}, {"If-Modified-Since": date}):
        same = httpx.get(link, headers=headers)
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
        assert same.headers["cache-control"] == "private, max-age=600"
    assert httpx.get(link, headers={"Range": "bytes=0-0", "If-Range": etag}).status_code == 206

    site.bucket.write("a/x.jpg", PICTURE[::-1])
    other = httpx.get(link, headers={"If-None-Match": etag})
    assert (other.status_code, other.content) == (200, PICTURE[::-1])
    assert other.headers["etag"] != etag
    assert httpx.get(link, headers={"Range": "bytes=0-0", "If-Range": etag}).content == PICTURE[::-1]
    assert httpx.get(link, headers={"If-Match": etag}).status_code == 412


def test_an_empty_file(site: Site) -> None:
    site.bucket.write("empty.jpg", b"")
    assert httpx.get(site.link("empty.jpg")).content == b""
    assert httpx.get(site.link("empty.jpg"), headers={"Range": "bytes=0-"}).status_code == 416


@pytest.mark.parametrize(
    "key",
    [
        "a b.jpg",
        "a+b.jpg",
        "a%20b.jpg",
        "a%2520b.jpg",
        "100%.jpg",
        "a#b?c=d&e;f.jpg",
        "电影/ünï.jpg",
        "a%2e%2e/%2f.jpg",
        "a\\b.jpg",
        "a\nb\r.jpg",
        "'\"<>|*:{Count}~.jpg",
        "x" * 251 + ".jpg",
        ".../..a/x.jpg",
    ],
)
def test_odd_names(site: Site, key: str) -> None:
    site.bucket.write(key, key.encode())
    response = httpx.get(site.link(key))
    assert (response.status_code, response.content) == (200, key.encode())


def test_a_name_is_decoded_once(site: Site) -> None:
    site.bucket.write("c/a b.jpg", b"a space")
    site.bucket.write("c/a%20b.jpg", b"a percent")
    for spelled, key, content in [
        ("a%20b", "a b", b"a space"),
        ("a%2520b", "a%20b", b"a percent"),
        ("%61%20%62", "a b", b"a space"),
    ]:
        token = sign("local", f"c/{key}.jpg", EXPIRES_AT, KEY)
        assert ask_raw(site.address, f"/files/{token}/local/c/{spelled}.jpg").body == content  # type: ignore[attr-defined]


def test_a_link_expires(site: Site) -> None:
    link = site.link("a/x.jpg")
    site.now = EXPIRES_AT - 0.5
    assert httpx.get(link).headers["cache-control"] == "private, max-age=0"
    site.now = EXPIRES_AT
    for method in ("GET", "HEAD"):
        response = httpx.request(method, link, headers={"Range": "bytes=0-1"})
        assert (response.status_code, response.text) == (403, EXPIRED if method == "GET" else "")
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("local/b/secret.jpg", id="another folder"),
        pytest.param("local/a/x.jp", id="a shorter name"),
        pytest.param("local/a/x.jpg2", id="a longer name"),
        pytest.param("local/a/X.jpg", id="another case"),
        pytest.param("local/", id="no key"),
        pytest.param("local", id="no key and no slash"),
        pytest.param("", id="nothing"),
        pytest.param("other/a/x.jpg", id="another bucket"),
        pytest.param("other/nothing.jpg", id="nothing in another bucket"),
        pytest.param("%6Cocal/b/secret.jpg", id="an encoded bucket"),
        pytest.param("local/nothing.jpg", id="nothing"),
    ],
)
def test_of_other_files_nothing_is_told(site: Site, path: str) -> None:
    token = sign("local", "a/x.jpg", EXPIRES_AT, KEY)
    response = ask_raw(site.address, f"/files/{token}/{path}")
    assert (response.status, response.body.decode()) == (403, NOT_VALID)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "path",
    [
        "../b/secret.jpg",
        "../../secret.jpg",
        "%2e%2e/b/secret.jpg",
        "%2E%2E%2Fb%2Fsecret.jpg",
        "..%2fb%2fsecret.jpg",
        "y/../../b/secret.jpg",
        "./x.jpg",
        "%2e/x.jpg",
        "/x.jpg",
        "%2Fx.jpg",
        "x.jpg/",
        "x.jpg/.",
        "y/..",
        "..",
        "",
        "%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "%ff.jpg",
    ],
)
def test_climbing_out_of_a_folder(site: Site, path: str) -> None:
    site.bucket.write("a/\ufffd.jpg", b"what a name that is not UTF-8 would be, were it mended")
    token = sign("local", "a/\ufffd.jpg" if "%ff" in path else "a/x.jpg", EXPIRES_AT, KEY)
    response = ask_raw(site.address, f"/files/{token}/local/a/{path}")
    assert (response.status, response.body.decode()) == (403, NOT_VALID)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "path",
    [
        "nothing.jpg",
        "%252e%252e/b/secret.jpg",
        "x.jpg%00",
        "x.jpg/y",
        "sub",
        "link.jpg",
        "pipe.jpg",
        "..%5cx",
        pytest.param("../b/secret.jpg", id="a key that climbs"),
        pytest.param("./x.jpg", id="a key with a dot"),
        pytest.param("/x.jpg", id="a key with an empty part"),
    ],
)
def test_what_was_signed_may_be_missing(site: Site, path: str) -> None:
    site.bucket.write("a/sub/x.jpg", b"")
    for name, make in (
        ("link.jpg", lambda path: path.symlink_to(site.bucket.root.parent / "secret.jpg")),
        ("pipe.jpg", os.mkfifo),
    ):
        (site.bucket.root / "a" / name).unlink(missing_ok=True)
        make(site.bucket.root / "a" / name)
    token = sign("local", f"a/{unquote(path)}", EXPIRES_AT, KEY)
    response = ask_raw(site.address, f"/files/{token}/local/a/{path}")
    assert (response.status, response.body.decode()) == (404, MISSING)  # type: ignore[attr-defined]
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_a_bucket_that_is_no_more(site: Site) -> None:
    path = signed_path("removed", "x.jpg", expires_at=EXPIRES_AT, signing_key=KEY)
    response = httpx.get(site.address + path)
    assert (response.status_code, response.text) == (404, MISSING)


def test_a_disk_that_is_away(site: Site) -> None:
    away = site.bucket.root.with_name("away")
    site.bucket.root.rename(away)
    try:
        response = httpx.get(site.link("a/x.jpg"))
    finally:
        away.rename(site.bucket.root)
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert str(site.bucket.root) not in response.text
    assert httpx.get(site.link("a/x.jpg")).content == PICTURE


def test_a_catalog_that_is_away(site: Site) -> None:
    """The link may well be good: it is to be tried again, and the answer is no more to be trusted than another."""
    site.catalog_is_away = True
    try:
        response, forged = httpx.get(site.link("a/x.jpg")), httpx.get(site.link("a/x.jpg") + "x")
    finally:
        site.catalog_is_away = False
    headers = {name: value for name, value in response.headers.items() if name not in ("date", "server")}
    assert (response.status_code, response.text) == (503, "The file cannot be read at the moment.\n")
    assert headers == {
        "access-control-allow-origin": "*",
        "access-control-expose-headers": "Accept-Ranges, Content-Length, Content-Range, ETag, Last-Modified",
        "cache-control": "no-store",
        "content-length": str(len(response.content)),
        "content-security-policy": "sandbox",
        "content-type": "text/plain; charset=utf-8",
        "cross-origin-resource-policy": "cross-origin",
        "referrer-policy": "no-referrer",
        "retry-after": "5",
        "x-content-type-options": "nosniff",
    }
    # whoever has no good link is told nothing of the catalog
    assert (forged.status_code, forged.text) == (403, NOT_VALID)
    assert httpx.get(site.link("a/x.jpg")).content == PICTURE


@pytest.mark.parametrize("where", ["mounted", "root_path"])
def test_below_a_folder_of_the_site(site: Site, where: str) -> None:
    routes = file_routes(site.find_bucket, [KEY], clock=lambda: NOW)
    site.bucket.write("ü %.jpg", b"odd")
    path = signed_path("local", "ü %.jpg", expires_at=EXPIRES_AT, signing_key=KEY)
    if where == "mounted":
        with serving(Starlette(routes=[Mount("/a folder", routes=routes)])) as address:
            assert httpx.get(f"{address}/a%20folder{path}").content == b"odd"
    else:
        with serving(Starlette(routes=routes), root_path="/folder") as address:
            assert httpx.get(f"{address}{path}").content == b"odd"


@pytest.fixture
def large(site: Site) -> Iterator[str]:
    """An object of 80 MB, mostly holes: more than sockets take in."""
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("no list of open descriptors here")
    path = site.bucket.root / "large.mp4"
    with path.open("wb") as file:
        file.truncate(80_000_000)
        for offset in range(0, 80_000_000, 7_000_000):
            file.seek(offset)
            file.write(offset.to_bytes(8))
    yield "large.mp4"
    path.unlink()


def hanging(site: Site, key: str) -> socket.socket:
    """A client that asks for a file and reads nothing."""
    host, port = site.address.removeprefix("http://").split(":")
    client = socket.create_connection((host, int(port)))
    client.sendall(f"GET {site.link(key).removeprefix(site.address)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    wait_for(lambda: site.descriptors(key) == 1, "the file's opening")
    return client


def test_a_large_file_comes_whole(site: Site, large: str) -> None:
    digest = hashlib.sha256()
    with httpx.stream("GET", site.link(large)) as response:
        for chunk in response.iter_raw():
            digest.update(chunk)
    assert digest.digest() == hashlib.sha256((site.bucket.root / large).read_bytes()).digest()
    part = httpx.get(site.link(large), headers={"Range": "bytes=69999990-70000017"})
    assert part.content == b"\0" * 10 + (70_000_000).to_bytes(8) + b"\0" * 10
    wait_for(lambda: site.descriptors(large) == 0, "the file's closing")


def test_a_client_that_hangs_up(site: Site, large: str) -> None:
    """The file is as long as reading it for hours would be, so that its closing tells that reading has stopped."""
    try:
        os.truncate(site.bucket.root / large, 1 << 40)
    except OSError as error:
        pytest.skip(f"no file of 1 TiB can be made of holes here: {error}")
    hanging(site, large).close()
    wait_for(lambda: site.descriptors(large) == 0, "the file's closing")


def test_clients_that_do_not_read_hold_up_nobody(site: Site, large: str) -> None:
    clients = []
    for expected in range(1, 41):
        client = socket.create_connection(("127.0.0.1", int(site.address.rpartition(":")[2])))
        target = site.link(large).removeprefix(site.address)
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        clients.append(client)
        wait_for(lambda expected=expected: site.descriptors(large) == expected, "the file's opening")  # type: ignore[misc]
    assert httpx.get(site.link("a/x.jpg")).content == PICTURE
    for client in clients:
        client.close()
    wait_for(lambda: site.descriptors(large) == 0, "the file's closing")


def test_a_client_that_does_not_read_is_hung_up_on(
    site: Site, large: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linked, "_SEND_TIMEOUT_S", 0.05)
    with hanging(site, large):
        wait_for(lambda: site.descriptors(large) == 0, "the file's closing")


def test_a_file_that_is_cut_off_meanwhile(site: Site, large: str) -> None:
    with httpx.stream("GET", site.link(large)) as response:
        chunks = response.iter_raw()
        next(chunks)
        os.truncate(site.bucket.root / large, 1000)
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
            for _ in chunks:
                pass
    wait_for(lambda: site.descriptors(large) == 0, "the file's closing")
