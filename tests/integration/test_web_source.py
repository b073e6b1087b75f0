"""A video on a web server, whatever that answers: the right bytes or an error, and never two contents."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from email.utils import formatdate

import pytest
from file_server import wait_for

from scripted_web_server import ETAG, Answer, WebServer, web_server
from stillframe.errors import SourceError
from stillframe.media.source import ByteSource, MemorySource
from stillframe.storage import web, web_asker, web_client
from stillframe.storage.by_address import open_input, parse_input
from stillframe.storage.web import WebSource, open_web
from stillframe.storage.web_address import parse_web_address

KIB = 1 << 10
DATA = random.Random(1).randbytes(600 * KIB)
OTHER = '"second"'
Open = Callable[..., ByteSource]


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server(DATA) as started:
        yield started


@pytest.fixture(autouse=True)
def no_pauses_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_asker, "_FIRST_PAUSE_S", 0.001)
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
def opened(server: WebServer) -> Iterator[Open]:
    """Open a file of the server; it is closed at the end."""
    with ExitStack() as held:

        def open_one(path: str = "/movie.mp4") -> ByteSource:
            source = open_web(parse_web_address(server.url + path))
            held.callback(source.close)
            return source

        yield open_one


def test_ranges_of_one_version(server: WebServer, opened: Open) -> None:
    source = opened()
    assert isinstance(source, WebSource)
    assert (source.size, source.identity, source.name) == (len(DATA), ETAG, f"{server.url}/movie.mp4")
    # the first bytes came with the first answer
    assert source.read_at(0, 100) == DATA[:100]
    assert source.read_at(300 * KIB + 5, 100) == DATA[300 * KIB + 5 :][:100]
    assert source.read_at(len(DATA) - 5, 100) == DATA[-5:]
    assert source.read_at(len(DATA), 1) == b""
    source.close()
    (_, first), *later = server.asked
    assert (first["Range"], first["If-Match"]) == ("bytes=0-65535", None)
    assert [headers["If-Match"] for _, headers in later] == [ETAG] * len(later) == [ETAG] * 2
    assert {headers["Accept-Encoding"] for _, headers in server.asked} == {"identity"}


@pytest.mark.parametrize(
    ("etag", "modified", "condition"),
    [
        pytest.param(ETAG, None, ("If-Match", ETAG), id="a strong ETag"),
        pytest.param(f"W/{ETAG}", "a date", ("If-Unmodified-Since", "a date"), id="a weak ETag"),
        pytest.param(f"W/{ETAG}", None, None, id="a weak ETag alone"),
        pytest.param(None, "a date", ("If-Unmodified-Since", "a date"), id="a date"),
        pytest.param('"a\r\n b"', "a date", ("If-Unmodified-Since", "a date"), id="an ETag in two lines"),
        pytest.param('"\xfc"', "a date", ("If-Unmodified-Since", "a date"), id="an ETag that is no ASCII"),
    ],
)
def test_what_says_which_version_it_is(
    server: WebServer, opened: Open, etag: str | None, modified: str | None, condition: tuple[str, str] | None
) -> None:
    server.etag, server.modified = etag, modified
    source = opened()
    assert source.read_at(300 * KIB, 10) == DATA[300 * KIB :][:10]
    sent = [(name, value) for name, value in server.asked[1][1].items() if name.startswith("If-")]
    assert sent == ([condition] if condition else [])
    # whether or not the server minds the condition
    server.etag, server.modified = etag and OTHER, modified and "another date"
    with pytest.raises(SourceError, match="the file was replaced while it was read"):
        source.read_at(500 * KIB, 10)


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(Answer(412), id="the condition is not met"),
        pytest.param(Answer(416), id="it became shorter"),
        pytest.param(Answer(headers={"ETag": OTHER}), id="another ETag"),
        pytest.param(Answer(headers={"ETag": None}), id="no ETag any more"),
        pytest.param(
            Answer(headers={"Content-Range": f"bytes 307200-372735/{len(DATA) + 1}"}), id="another size"
        ),
        pytest.param(Answer(whole=True, headers={"ETag": OTHER}), id="all of another one"),
    ],
)
def test_a_file_that_is_replaced_while_it_is_read(server: WebServer, opened: Open, told: Answer) -> None:
    source = opened()
    server.answers.append(told)
    with pytest.raises(SourceError, match=r"/movie\.mp4: the file was replaced while it was read") as caught:
        source.read_at(300 * KIB, 10)
    assert caught.value.transient
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "told",
    [
        *(pytest.param([Answer(status)], id=str(status)) for status in (408, 429, 500, 502, 503, 504)),
        pytest.param([Answer(503)] * 4, id="four times"),
        pytest.param([Answer(429, {"Retry-After": "0"})], id="told to wait for no time"),
        pytest.param([Answer(503, {"Retry-After": formatdate(0, usegmt=True)})], id="until a day long ago"),
        pytest.param([Answer(503, {"Retry-After": "soon"})], id="for what nobody understands"),
        pytest.param([Answer(body=DATA[:9], headers={"Content-Length": "65536"})], id="cut off"),
        pytest.param([Answer(body=b"", headers={"Content-Length": "65536"})], id="nothing of it"),
        pytest.param([Answer(whole=True)], id="all of it"),
    ],
)
def test_what_passes_is_tried_again(server: WebServer, opened: Open, told: list[Answer]) -> None:
    source = opened()
    server.answers.extend(told)
    assert source.read_at(300 * KIB, 10) == DATA[300 * KIB :][:10]
    assert len(server.asked) == 2 + len(told)


def test_a_server_is_waited_for_as_long_as_it_asks(
    server: WebServer, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_asker, "_LONGEST_ASKED_PAUSE_S", 0.2)
    server.answers.append(Answer(503, {"Retry-After": "3600"}))
    began = time.monotonic()
    opened()
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize(
    ("told", "words", "transient", "questions"),
    [
        (Answer(404), "does not exist: the server answers 404 Not Found", False, 1),
        (Answer(403), "the server answers 403 Forbidden", False, 1),
        (Answer(501), "the server answers 501 Not Implemented", False, 1),
        (Answer(599), "the server answers 599", False, 1),
        (Answer(503), "the server answers 503 Service Unavailable", True, 5),
        (Answer(304), "the server answers 304", False, 1),
        (Answer(302), "the server answers 302 Found", False, 1),
        (
            Answer(headers={"Content-Encoding": "gzip"}),
            r"sends it packed, .*\(Content-Encoding: 'gzip'\)",
            False,
            1,
        ),
        (Answer(headers={"Content-Range": None}), "answers 206 to a question for the file's first", False, 1),
        (Answer(headers={"Content-Range": "bytes 5-9/10"}), "answers 206 to a question", False, 1),
        (Answer(headers={"Content-Range": "bytes 0-99/*"}), "does not say how large the file is", False, 1),
        (
            Answer(whole=True, headers={"Content-Length": "9" * 12}),
            "knows no ranges, and the file is",
            False,
            1,
        ),
        (Answer(body=b"x", headers={"Content-Length": "65536"}), "1 bytes came of the first 65,536", True, 5),
        (Answer(302, {"Location": "/x"}), r"redirects more than 5 times \(by way of 127", False, 6),
        (Answer(302, {"Location": "ftp://x/"}), "redirects to ftp: no address of a web server", False, 1),
    ],
    ids=lambda value: None,
)
def test_what_cannot_be_read(
    server: WebServer, opened: Open, told: Answer, words: str, transient: bool, questions: int
) -> None:
    server.answers.extend([told] * 20)
    with pytest.raises(SourceError, match=words) as caught:
        opened()
    assert (caught.value.transient, len(server.asked)) == (transient, questions)


def test_other_bytes_than_those_asked_for_are_never_taken(server: WebServer, opened: Open) -> None:
    source = opened()
    server.answers.append(Answer(headers={"Content-Range": f"bytes 0-65535/{len(DATA)}"}))
    with pytest.raises(SourceError, match=r"with the bytes 0 to 65535 instead of \d+ from"):
        source.read_at(300 * KIB, 10)


def test_a_small_file_of_a_server_without_ranges(server: WebServer, opened: Open) -> None:
    server.answers.append(Answer(whole=True))
    source = opened()
    assert isinstance(source, MemorySource)
    assert (source.read_at(0, 1 << 20), source.name) == (DATA, f"{server.url}/movie.mp4")
    assert len(server.asked) == 1


def test_a_small_file_of_a_server_without_versions(server: WebServer, opened: Open) -> None:
    server.etag = server.modified = None
    source = opened()
    assert source.read_at(0, 1 << 20) == DATA
    assert [headers["Range"] for _, headers in server.asked] == ["bytes=0-65535", None]


@pytest.mark.parametrize("versions", [True, False])
def test_a_file_that_is_too_large_to_be_read_whole(
    server: WebServer, opened: Open, versions: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "MOST_WHOLE_BYTES", len(DATA) - 1)
    # not even its size is told
    server.answers.append(Answer(whole=True, headers={"Content-Length": None}) if versions else None)
    server.etag = ETAG if versions else None
    server.modified = None
    with pytest.raises(SourceError, match="is larger than the 0 MiB that are read whole: download it first"):
        opened()


@pytest.mark.parametrize("told", [Answer(416, {"Content-Range": "bytes */0"}), Answer(200)])
def test_an_empty_file(server: WebServer, opened: Open, told: Answer) -> None:
    server.answers.append(told)
    assert opened().size == 0


@pytest.mark.parametrize(
    "told", [Answer(seconds_a_byte=0.02), Answer(status=206, headers={"Content-Length": "9"})]
)
def test_an_answer_that_does_not_come(
    server: WebServer, opened: Open, told: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its head nor its body may take longer than its time, however steadily they drip."""
    source = opened()
    monkeypatch.setattr(web_asker, "_ANSWER_S", 0.1)
    monkeypatch.setattr(web_asker, "SLOWEST_BYTES_A_S", 1 << 30)
    monkeypatch.setattr(web_client, "SILENCE_S", 0.05)
    server.answers.extend([told] * 5)
    with pytest.raises(SourceError) as caught:
        source.read_at(300 * KIB, 10)
    assert caught.value.transient
    # who asks may give up before the server's thread has read the question
    wait_for(lambda: len(server.asked) == 6, "all tries")


def test_a_whole_file_has_more_time(server: WebServer, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """As much as its size says: here so much less that it is over at once."""
    monkeypatch.setattr(web, "SLOWEST_BYTES_A_S", -len(DATA) / 100)
    server.answers.extend([Answer(whole=True)] * 5)
    with pytest.raises(SourceError, match="it takes too long to answer"):
        opened()


def test_redirects_are_followed_once(server: WebServer, opened: Open) -> None:
    server.answers.extend([Answer(301, {"Location": "b?token=1"}), Answer(307, {"Location": "/c"})])
    source = opened("/a/movie.mp4")
    assert source.read_at(300 * KIB, 10) == DATA[300 * KIB :][:10]
    assert [path for path, _ in server.asked] == ["/a/movie.mp4", "/a/b?token=1", "/c", "/c"]
    assert source.name == f"{server.url}/a/movie.mp4"


def test_a_redirect_that_expires_is_asked_for_anew(server: WebServer, opened: Open) -> None:
    server.answers.append(Answer(302, {"Location": "/signed?1"}))
    source = opened()
    server.answers.extend([Answer(403), Answer(302, {"Location": "/signed?2"})])
    assert source.read_at(300 * KIB, 10) == DATA[300 * KIB :][:10]
    assert source.read_at(500 * KIB, 10) == DATA[500 * KIB :][:10]
    paths = [path for path, _ in server.asked]
    assert paths == ["/movie.mp4", "/signed?1", "/signed?1", "/movie.mp4", "/signed?2", "/signed?2"]


def test_a_redirect_to_a_server_that_goes_away_is_asked_for_anew(server: WebServer, opened: Open) -> None:
    with web_server(DATA) as mirror:
        server.answers.append(Answer(302, {"Location": f"{mirror.url}/b"}))
        source = opened()
        assert [path for path, _ in mirror.asked] == ["/b"]
        mirror.answers.append(Answer(hangs_up=True))
        assert source.read_at(100 * KIB, 10) == DATA[100 * KIB :][:10]
        assert mirror.hung_up.wait(10)
    assert source.read_at(300 * KIB, 10) == DATA[300 * KIB :][:10]
    assert [path for path, _ in server.asked] == ["/movie.mp4", "/movie.mp4"]


def test_a_password_is_sent_and_never_told(server: WebServer) -> None:
    server.answers.append(Answer(404))
    address = parse_web_address(f"{server.url.replace('//', '//me:secret@')}/x?token=secret")
    with pytest.raises(SourceError) as caught:
        open_web(address)
    assert str(caught.value) == f"{server.url}/x?…: does not exist: the server answers 404 Not Found"
    assert server.asked[0][1]["Authorization"] == "Basic bWU6c2VjcmV0"


def test_many_at_a_time(server: WebServer, opened: Open) -> None:
    source = opened()
    extents = [(offset, 20 * KIB) for offset in range(0, len(DATA), 100 * KIB)]
    source.prefetch(extents)
    assert [source.read_at(*extent) for extent in extents] == [
        DATA[begin : begin + size] for begin, size in extents
    ]
    source.close()


def test_a_connection_that_the_server_has_let_go_of(
    server: WebServer, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no try that failed: nothing was asked on it."""
    monkeypatch.setattr(web_asker, "_TRIES", 1)
    server.answers.append(Answer(hangs_up=True))
    source = opened()
    assert server.hung_up.wait(10)
    assert source.read_at(300 * KIB, 10) == DATA[300 * KIB :][:10]


def test_a_playlist(server: WebServer) -> None:
    """What it names would be asked for as well."""
    address = parse_input(f"{server.url}/hls/index.m3u8?token=1")
    with pytest.raises(SourceError, match="playlists are read from files and stores"), open_input(address):
        pass
    assert server.asked == []


def test_nobody_there() -> None:
    with pytest.raises(SourceError, match="Connection refused") as caught:
        open_web(parse_web_address("http://127.0.0.1:1/x"))
    assert caught.value.transient
