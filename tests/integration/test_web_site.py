"""Videos on a web site of nginx: the pictures of the file, byte for byte, of a part of its bytes, or an error."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import stillframe
from faulty_proxy import Fault, faulty_proxy
from stillframe import ConfigError, MemorySink, SnapshotConfig, SourceError
from stillframe.storage import web_asker
from stillframe.storage.by_address import open_input, parse_input
from stillframe.storage.web import WebSource
from stillframe.testing import videos
from web_proxy import web_proxy
from web_site import WebSite, web_site

MIB = 1 << 20
FIVE = SnapshotConfig(count=5, frame_type="normal")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebSite]:
    """With a film whose last 20 MiB are of no interest, and more than are looked through for an index."""
    with web_site(tmp_path_factory.mktemp("site")) as started, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", started.authorities)
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            patch.delenv(name)
        videos.make(started.film, frames=250, fps=25, gop=25)
        with started.film.open("ab") as file:
            file.write((20 * MIB).to_bytes(4, "big") + b"free")
            file.truncate(file.tell() + 20 * MIB - 8)
        yield started


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the tries of what may pass."""
    monkeypatch.setattr(web_asker, "_FIRST_PAUSE_S", 0.001)


@pytest.fixture(scope="module")
def expected(site: WebSite) -> dict[str, bytes]:
    """The pictures of the file itself."""
    sink = MemorySink("{Count}.jpg", FIVE)
    assert stillframe.shoot(site.film, sink, FIVE).ok
    assert len(sink.files) == 5
    return sink.files


@pytest.mark.parametrize(
    ("scheme", "kind"),
    [
        ("http", "usual"),
        *(("https", kind) for kind in ("usual", "no-ranges", "dated", "undated", "one-time", "moved")),
    ],
)
def test_the_same_pictures_as_of_the_file(
    site: WebSite, expected: dict[str, bytes], scheme: str, kind: str
) -> None:
    sink = MemorySink("{Count}.jpg", FIVE)
    address = f"{site.http if scheme == 'http' else site.https}/{kind}/movie.mp4"
    report = stillframe.shoot(address, sink, FIVE)
    assert report.source == address
    assert sink.files == expected


@pytest.mark.usefixtures("sandbox_holds")
def test_the_same_pictures_out_of_the_sandbox(site: WebSite, expected: dict[str, bytes]) -> None:
    """Its child has no network: it asks its parent."""
    sink = MemorySink("{Count}.jpg", FIVE)
    stillframe.shoot(f"{site.https}/up/movie.mp4", sink, FIVE, sandbox=True)
    assert sink.files == expected


def test_a_part_of_the_file_over_few_connections(site: WebSite) -> None:
    """And the report tells of just that part, and those requests."""
    before = len(site.asked())
    stats = stillframe.shoot(f"{site.http}/usual/movie.mp4", MemorySink("{Count}.jpg", FIVE), FIVE).stats
    asked = site.asked_until(before + stats.requests)[before:]
    assert {question["status"] for question in asked} == {"206"}
    assert sum(int(question["bytes"]) for question in asked) == stats.bytes_read < 2 * MIB
    assert len({question["connection"] for question in asked}) < len(asked) == stats.requests


@pytest.mark.parametrize(
    "faults", [["503"] * 3, ["reset"] * 2, ["truncated"] * 2, ["whole"], ["503", "reset"]]
)
def test_a_bad_day(site: WebSite, faults: list[Fault]) -> None:
    """What passes is waited for, and the bytes are the right ones."""
    content = site.film.read_bytes()
    with (
        faulty_proxy(site.http_port) as proxy,
        open_input(parse_input(f"{proxy.endpoint}/usual/movie.mp4")) as source,
    ):
        proxy.content = content
        proxy.faults.extend(faults)
        assert source.read_at(MIB, 100) == content[MIB : MIB + 100]
        assert len(proxy.faults) == 0


@pytest.mark.parametrize("kind", ["usual", "dated"])
def test_a_film_that_is_replaced_while_it_is_read(site: WebSite, tmp_path: Path, kind: str) -> None:
    content, before = site.film.read_bytes(), len(site.asked())
    (site.film.parent / "other.mp4").write_bytes(content)
    with open_input(parse_input(f"{site.https}/{kind}/other.mp4")) as source:
        assert isinstance(source, WebSource)
        assert source.read_at(MIB, 10) == content[MIB : MIB + 10]
        new = tmp_path / "new.mp4"
        new.write_bytes(content[::-1])
        os.utime(new, (0, 1_800_000_000))
        new.replace(site.film.parent / "other.mp4")
        with pytest.raises(SourceError, match="was replaced while it was read") as caught:
            source.read_at(5 * MIB, 10)
    assert caught.value.transient
    # by nginx, which minds the condition; not by us, who would have seen it, too
    assert site.asked_until(before + 3)[-1]["status"] == "412"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("usual/none.mp4", "does not exist: the server answers 404 Not Found"),
        ("locked/movie.mp4", "the server answers 401 Unauthorized"),
        ("packed/movie.mp4", r"the server sends it packed, .* \(Content-Encoding: 'gzip'\)"),
        ("down/movie.mp4", "redirects to http://127.0.0.1:{http_port}, where nothing is encrypted any more"),
        ("loop/movie.mp4", r"redirects more than 5 times \(by way of 127.0.0.1:{https_port} -> "),
        ("lost/movie.mp4", r"404 Not Found \(by way of 127.0.0.1:{https_port} -> 127.0.0.1:{https_port}\)$"),
    ],
)
def test_what_cannot_be_read(site: WebSite, path: str, words: str) -> None:
    words = words.format(http_port=site.http_port, https_port=site.https_port)
    with pytest.raises(SourceError, match=words) as caught:
        stillframe.probe(f"{site.https}/{path}")
    assert not caught.value.transient


def test_a_password_opens(site: WebSite) -> None:
    found = stillframe.probe(f"{site.https.replace('//', '//me:secret@')}/locked/movie.mp4")
    assert found.source == f"{site.https}/locked/movie.mp4"


def test_a_certificate_that_nobody_trusts(site: WebSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(
        SourceError, match="its certificate is not trusted: self-signed certificate"
    ) as caught:
        stillframe.probe(f"{site.https}/usual/movie.mp4")
    assert not caught.value.transient


def test_https_asked_of_a_server_of_http(site: WebSite) -> None:
    with pytest.raises(SourceError, match="no secure connection: WRONG_VERSION_NUMBER"):
        stillframe.probe(f"{site.http.replace('http', 'https')}/usual/movie.mp4")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_through_a_proxy(
    site: WebSite, expected: dict[str, bytes], scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = site.http if scheme == "http" else site.https
    sink = MemorySink("{Count}.jpg", FIVE)
    with web_proxy() as proxy:
        monkeypatch.setenv(f"{scheme}_proxy", proxy.url)
        stillframe.shoot(f"{url}/moved/movie.mp4", sink, FIVE)
        goals = {"http": f"GET {url}/usual/movie.mp4", "https": f"CONNECT {url.removeprefix('https://')}"}
        assert f"{goals[scheme]} HTTP/1.1" in proxy.asked or f"{goals[scheme]} HTTP/1.0" in proxy.asked
        proxy.asked.clear()
        monkeypatch.setenv(f"{scheme}_proxy", proxy.url.replace("secret", "wrong"))
        with pytest.raises(SourceError, match="407 Proxy Authentication Required") as caught:
            stillframe.probe(f"{url}/usual/movie.mp4")
        assert "wrong" not in str(caught.value)
        assert not caught.value.transient
        assert len(proxy.asked) == 1
        monkeypatch.setenv("no_proxy", "example.com,127.0.0.1")
        stillframe.probe(f"{url}/usual/movie.mp4")
        assert len(proxy.asked) == 1
    assert sink.files == expected


@pytest.mark.parametrize("named", ["socks5://me:secret@127.0.0.1:1", "https://me:secret@127.0.0.1:1"])
def test_a_proxy_that_cannot_be_used(site: WebSite, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", named)
    with pytest.raises(ConfigError, match="https_proxy is") as caught:
        stillframe.probe(f"{site.https}/usual/movie.mp4")
    assert "secret" not in str(caught.value)
