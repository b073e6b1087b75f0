"""What lies in buckets, at the console: browsing thousands of objects, hostile names, and files that are uploaded."""

from __future__ import annotations

import contextlib
import html
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from sqlalchemy import URL

from console_client import DEADLINE_S, Visitor, visiting
from own_memory import growth
from service_client import Service, service, wait_for
from stillframe.accounts.users import Users
from stillframe.catalog.buckets import Grant
from stillframe.console import login
from stillframe.console.pages.objects import OBJECTS_ON_A_PAGE
from stillframe.errors import NotFound, QuotaExceeded
from stillframe.service import objects
from stillframe.storage.bucket import FolderPage

MIB = 1 << 20
HOSTILE = (
    "new\nline.mp4",
    "..%2f..%2fetc.mp4",
    "100% & <script>alert(1)</script>"[:18] + ".mp4",
    "\"'><img src=x onerror=alert(2)>.mp4",
    "日本 {{7*7}} ü.mp4",
    "a?b#c=d+e.mp4",
    "..mp4",
)


@pytest.fixture(scope="module")
def running(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with pytest.MonkeyPatch.context() as patch:
        # the throttle of logins has a test of its own
        patch.setattr(login, "_AT_ONCE", 10_000)
        with service(module_database_url, tmp_path_factory.mktemp("data"), slots=1) as started:
            yield started


@pytest.fixture(scope="module")
def visitor(running: Service) -> Iterator[Visitor]:
    with visiting(running.port) as found:
        found.log_in_by_link(running.assembly.login_link())
        yield found


@contextmanager
def stranger(running: Service, name: str) -> Iterator[tuple[str, Visitor]]:
    """Somebody of another account."""
    with running.account(name) as (account_id, _), visiting(running.port) as found:
        found.log_in_by_key(running.assembly.keys.create(account_id))
        yield account_id, found


def address(bucket: str, key: str, **more: str) -> str:
    return f"/console/buckets/{bucket}/object?{urlencode({'key': key, **more})}"


def put(
    visitor: Visitor, bucket: str, key: str, body: bytes | Iterator[bytes], **more: str
) -> httpx.Response:
    """A file as the page's script sends it."""
    headers = {"Origin": visitor.origin, "X-CSRF-Token": visitor.csrf(), "HX-Request": "true"}
    return visitor.http.put(address(bucket, key, **more), content=body, headers=headers)


def names(page: str) -> list[str]:
    """What a folder's page lists."""
    found = re.findall(r'<th scope="row"><a href="[^"]*"[^>]*>(.*?)</a></th>', page, re.DOTALL)
    return [html.unescape(name) for name in found]


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".stillframe-*")]


def test_thousands_of_objects_are_shown_page_by_page(running: Service, visitor: Visitor) -> None:
    folder = running.folder / "many"
    folder.mkdir()
    numbers = [f"{number:04}.txt" for number in range(2500)]
    for name in numbers:
        (folder / name).touch()
    (folder / "0001 a folder").mkdir()
    (running.folder / "many2").mkdir()
    query, found = "?folder=many/", list[str]()
    for page_number in range(100):
        page = visitor.get(f"/buckets/local{query}").text
        on_page = names(page)
        assert len(on_page) <= OBJECTS_ON_A_PAGE
        assert ("First page" in page) == (page_number > 0)
        found += on_page
        following = re.search(r'<a href="/console/buckets/local([^"]*)" rel="next"', page)
        if following is None:
            break
        query = html.unescape(following[1])
    assert sorted(found) == sorted([*numbers, "0001 a folder/"])
    part = visitor.get("/buckets/local?folder=many&starts=123", **{"HX-Request": "true"}).text
    assert names(part) == [f"123{digit}.txt" for digit in range(10)]
    assert "<html" not in part
    assert "Nothing here begins like that" in visitor.get("/buckets/local?folder=many&starts=x").text
    assert "There is nothing in this folder" in visitor.get("/buckets/local?folder=none").text


def test_hostile_names_are_only_names(running: Service, visitor: Visitor) -> None:
    for name in HOSTILE:
        folder = running.folder / "odd" / name.replace("mp4", "d")
        folder.mkdir(parents=True)
        answer = put(visitor, "local", f"odd/{name}", name.encode())
        assert answer.status_code == 201, (name, answer.text)
        assert (running.folder / "odd" / name).read_bytes() == name.encode()
        (folder / name).write_bytes(b"inner")
    page = visitor.get("/buckets/local?folder=odd").text
    assert sorted(names(page)) == sorted([*HOSTILE, *(f"{name.replace('mp4', 'd')}/" for name in HOSTILE)])
    for forbidden in ("<script>alert", "<img src=x", ">49<"):
        assert forbidden not in page
    for href in re.findall(r'<th scope="row"><a href="(/console[^"]*)"', page):
        inner = visitor.http.get(html.unescape(href)).text
        (name,) = names(inner)
        assert name in HOSTILE
    for href in re.findall(r'<th scope="row"><a href="(http[^"]*)"', page):
        assert httpx.get(html.unescape(href), trust_env=False).text in HOSTILE
    jobs = re.findall(r'<a href="/console/jobs/new\?([^"]*)">New job', page)
    assert {httpx.QueryParams(html.unescape(query))["key"] for query in jobs} == {
        f"odd/{name}" for name in HOSTILE
    }
    for folder_query in (
        "../",
        "..%2f..%2f",
        "odd/../../",
        "%00",
        "a//b",
        ".stillframe-0123456789abcdef.part",
    ):
        answer = visitor.get(f"/buckets/local?folder={folder_query}")
        assert "must be" in answer.text, folder_query
    for bucket in ("%00", "%0a", "..", "%3Cscript%3E", "x" * 300):
        for path in (f"/buckets/{bucket}", f"/buckets/{bucket}/settings", f"/buckets/{bucket}/object?key=x"):
            assert visitor.get(path).status_code in (303, 404), path
    for key in ("../x.mp4", "/x.mp4", "a//x.mp4", "a/../x.mp4", "x\0.mp4", "", "x" * 300):
        answer = put(visitor, "local", key, b"x")
        assert answer.status_code == 400, key
        assert "InvalidParameter" in answer.text
    assert not (running.folder.parent / "x.mp4").exists()


def test_pictures_are_shown_and_the_rest_is_a_link(running: Service, visitor: Visitor) -> None:
    folder = running.folder / "kinds"
    folder.mkdir()
    for name in ("a.jpg", "b.PNG", "c.webp", "d.avif", "e.svg", "f.mp4", "g.txt"):
        (folder / name).write_bytes(b"content")
    (folder / "large.jpg").touch()
    with (folder / "large.jpg").open("r+b") as file:
        file.truncate(11_000_000)
    answer = visitor.get("/buckets/local?folder=kinds")
    shown = re.findall(r'<img src="([^"]*)"[^>]*loading="lazy"', answer.text)
    assert [html.unescape(url).rpartition("/")[2] for url in shown] == ["a.jpg", "b.PNG", "c.webp", "d.avif"]
    assert answer.text.count("/console/jobs/new?bucket=") == 1
    assert f"img-src 'self' {visitor.origin}" in answer.headers["Content-Security-Policy"]
    other = re.search(r'<a href="([^"]*)"[^>]*>e.svg</a>', answer.text)
    assert other is not None
    assert httpx.get(html.unescape(other[1]), trust_env=False).headers["Content-Disposition"] == "attachment"


def test_an_upload_is_written_as_it_is(running: Service, visitor: Visitor) -> None:
    found = visitor.get("/buckets/local/object?" + urlencode({"key": "new/a movie.mp4"}))
    assert (found.status_code, found.text) == (204, "")
    answer = put(visitor, "local", "new/a movie.mp4", b"0123456789")
    assert answer.status_code == 201
    assert (running.folder / "new" / "a movie.mp4").read_bytes() == b"0123456789"
    assert 'href="/console/jobs/new?bucket=local&amp;key=new%2Fa+movie.mp4">New job</a>' in answer.text
    assert put(visitor, "local", "new/empty.txt", b"").status_code == 201
    assert (running.folder / "new" / "empty.txt").read_bytes() == b""


def test_nothing_is_replaced_unless_that_was_said(running: Service, visitor: Visitor) -> None:
    file = running.folder / "there.mp4"
    file.write_bytes(b"before")
    question = visitor.get("/buckets/local/object?key=there.mp4")
    assert question.text == "oss://local/there.mp4 is there already, with 6 bytes. Replace it?"
    refused = put(visitor, "local", "there.mp4", b"after")
    assert refused.status_code == 409
    assert "oss://local/there.mp4 is there already" in refused.text
    assert file.read_bytes() == b"before"

    def somebody_is_quicker() -> Iterator[bytes]:
        yield b"x" * MIB
        wait_for(lambda: leftovers(running.folder))
        (running.folder / "late.mp4").write_bytes(b"before")
        yield b"x" * MIB

    assert put(visitor, "local", "late.mp4", somebody_is_quicker()).status_code == 409
    assert (running.folder / "late.mp4").read_bytes() == b"before"
    assert put(visitor, "local", "there.mp4", b"after", replace="true").status_code == 201
    assert file.read_bytes() == b"after"
    assert leftovers(running.folder) == []


def test_a_large_upload_takes_little_memory(running: Service, visitor: Visitor) -> None:
    grown = growth()
    assert (
        put(visitor, "local", "large.mp4", (bytes([number]) * MIB for number in range(50))).status_code == 201
    )
    # of the client, too, which is in this process
    assert grown() < 25 * MIB
    written = running.folder / "large.mp4"
    assert written.stat().st_size == 50 * MIB
    with written.open("rb") as file:
        file.seek(49 * MIB - 1)
        assert file.read(2) == bytes([48, 49])


def test_an_upload_that_breaks_off_leaves_nothing(running: Service, visitor: Visitor) -> None:
    token = visitor.csrf()
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.http.cookies.items())
    folder = running.folder / "broken"
    head = (
        f"PUT {address('local', 'broken/off/film.mp4')} HTTP/1.1\r\nHost: {visitor.origin[7:]}\r\n"
        f"Origin: {visitor.origin}\r\nX-CSRF-Token: {token}\r\nCookie: {cookies}\r\n"
        f"Content-Length: {10 * MIB}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", running.port), DEADLINE_S) as connection:
        connection.sendall(head.encode() + b"x" * (3 * MIB))
        wait_for(lambda: leftovers(running.folder))
    wait_for(lambda: not leftovers(running.folder))
    assert not folder.exists()
    assert put(visitor, "local", "broken/off/film.mp4", b"x").status_code == 201


def test_who_sends_nothing_is_hung_up_on(
    running: Service, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stillframe.console.pages.objects._LEAST_S", 0.3)
    token = visitor.csrf()

    def silent() -> Iterator[bytes]:
        yield b"x" * MIB
        wait_for(lambda: leftovers(running.folder))
        wait_for(lambda: not leftovers(running.folder))
        yield b"x"

    headers = {"Origin": visitor.origin, "X-CSRF-Token": token, "HX-Request": "true"}
    try:
        answer = visitor.http.put(address("local", "slow.mp4"), content=silent(), headers=headers)
    except httpx.TransportError:
        # what is sent behind the answer meets a closed door
        answer = None
    assert answer is None or answer.status_code == 408
    assert not (running.folder / "slow.mp4").exists()


def test_who_sends_next_to_nothing_is_hung_up_on(
    running: Service, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stillframe.console.pages.objects._LEAST_S", 0.5)

    def trickle() -> Iterator[bytes]:
        yield b"x" * MIB
        wait_for(lambda: leftovers(running.folder))
        deadline = time.monotonic() + DEADLINE_S
        while leftovers(running.folder):
            assert time.monotonic() < deadline
            yield b"x"
            time.sleep(0.01)

    with contextlib.suppress(httpx.TransportError):
        answer = put(visitor, "local", "trickle.mp4", trickle())
        assert (answer.status_code, "Less than 65,536 bytes came" in answer.text) == (408, True)
    wait_for(lambda: not leftovers(running.folder))
    assert not (running.folder / "trickle.mp4").exists()


def test_a_place_is_left_for_who_has_none(running: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "MOST_UPLOADS", 4)
    monkeypatch.setattr(objects, "MOST_OF_ONE", 2)
    running.bucket("places")
    uploads = running.assembly.objects
    with ExitStack() as held:
        accounts = [held.enter_context(running.account(f"places-{number}"))[0] for number in range(3)]

        def begin(account_id: str, key: str) -> None:
            held.callback(uploads.upload(account_id, "places", key).abort)

        for account_id in accounts:
            running.assembly.buckets.grant("places", account_id, Grant("write", ""))
        for account_id, key in ((accounts[0], "1"), (accounts[0], "2"), (accounts[1], "3")):
            begin(account_id, key)
        with pytest.raises(QuotaExceeded, match="3 uploads are in work"):
            begin(accounts[1], "4")
        begin(accounts[2], "5")


def test_a_full_disk_is_told(running: Service, visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("stillframe.storage.local_writer._write_all", full)
    answer = put(visitor, "local", "full/film.mp4", b"x" * MIB)
    assert (answer.status_code, "no space left on the disk" in answer.text) == (403, True)
    assert answer.headers["Connection"] == "close"
    monkeypatch.undo()
    assert leftovers(running.folder) == []
    assert not (running.folder / "full").exists()


def test_a_key_that_no_file_can_have_any_more(running: Service, visitor: Visitor) -> None:
    (running.folder / "dir.mp4").mkdir()
    answer = put(visitor, "local", "dir.mp4", b"x")
    assert answer.status_code in (403, 404)
    assert "is not a regular file" in answer.text or "folder" in answer.text
    answer = put(visitor, "local", "dir.mp4/../x", b"x")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": None},
        {"Origin": "http://evil.example"},
        {"X-CSRF-Token": None},
        {"X-CSRF-Token": "0" * 64},
    ],
    ids=str,
)
def test_only_our_own_pages_send_files(
    running: Service, visitor: Visitor, headers: dict[str, str | None]
) -> None:
    sent = {"Origin": visitor.origin, "X-CSRF-Token": visitor.csrf()} | headers
    given = {name: value for name, value in sent.items() if value is not None}
    answer = visitor.http.put(address("local", "theirs.mp4"), content=b"x", headers=given)
    assert answer.status_code == 403
    assert "not sent by a page of this server" in answer.text
    assert not (running.folder / "theirs.mp4").exists()


def test_nobody_who_is_not_logged_in_sends_files(running: Service) -> None:
    with visiting(running.port) as nobody:
        answer = nobody.http.put(
            address("local", "nobody.mp4"), content=b"x", headers={"Origin": nobody.origin}
        )
        assert answer.headers["Location"].startswith("/console/login")
        part = {"Origin": nobody.origin, "HX-Request": "true"}
        answer = nobody.http.put(address("local", "nobody.mp4"), content=b"x", headers=part)
        assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/console/login")
    assert not (running.folder / "nobody.mp4").exists()


def test_policies_apply_to_files(running: Service) -> None:
    Users(running.assembly.database).create(running.account_id, "viewer")
    users = Users(running.assembly.database)
    users.attach(running.account_id, "viewer", "AliyunICEReadOnlyAccess")
    user_id = next(one.user_id for one in users.all(running.account_id) if one.name == "viewer")
    with visiting(running.port) as viewer:
        viewer.log_in_by_key(running.assembly.keys.create(running.account_id, user_id=user_id))
        page = viewer.get("/buckets/local").text
        assert "data-upload" not in page
        assert "New job" not in page
        refused = put(viewer, "local", "viewers.mp4", b"x")
        assert refused.status_code == 403
        assert "ice:CreateUploadMedia" in refused.text
        assert viewer.get("/buckets/local/object?key=x").status_code == 403


@pytest.mark.parametrize("what", ["key", "policy", "grant", "place"])
def test_an_upload_ends_with_the_right_to_it(running: Service, tmp_path: Path, what: str) -> None:
    rooms, bucket = running.assembly, f"ends-with-{what}"
    folder = running.bucket(bucket)
    users = Users(rooms.database)
    with stranger(running, f"lent-{what}") as (account_id, visitor):
        rooms.buckets.grant(bucket, account_id, Grant("write", ""))
        user_id = users.create(account_id, "sender")
        users.attach(account_id, "sender", "AliyunICEFullAccess")
        key = rooms.keys.create(account_id, user_id=user_id)
        visitor.log_in_by_key(key)

        def sent() -> Iterator[bytes]:
            yield b"x" * MIB
            wait_for(lambda: leftovers(folder))
            if what == "key":
                rooms.keys.set_active(key.access_key_id, active=False)
            elif what == "policy":
                users.detach(account_id, "sender", "AliyunICEFullAccess")
            elif what == "grant":
                rooms.buckets.revoke(bucket, account_id)
            else:
                rooms.buckets.rebind(bucket, f"fs:{tmp_path}", "cn-shanghai")
            yield b"x"

        answer = put(visitor, bucket, "film.mp4", sent())
        told = {
            "key": (403, "You are logged in no more"),
            "policy": (403, "ice:CreateUploadMedia"),
            "grant": (404, "There is no Bucket"),
            "place": (403, "bound to another place"),
        }[what]
        assert (answer.status_code, told[1] in answer.text) == (told[0], True), answer.text
    wait_for(lambda: not leftovers(folder))
    assert not list(folder.iterdir())
    assert not list(tmp_path.iterdir())


def test_an_upload_that_goes_on_ends_with_the_session(
    running: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stillframe.console.pages.objects._LOOK_EVERY_S", 0)
    key = running.assembly.keys.create(running.account_id)

    def going_on() -> Iterator[bytes]:
        yield b"x" * MIB
        wait_for(lambda: leftovers(running.folder))
        running.assembly.keys.set_active(key.access_key_id, active=False)
        yield b"x" * MIB
        # it is given up before its end
        wait_for(lambda: not leftovers(running.folder))

    with visiting(running.port) as visitor:
        visitor.log_in_by_key(key)
        with contextlib.suppress(httpx.TransportError):
            assert put(visitor, "local", "on.mp4", going_on()).status_code == 403
    assert not (running.folder / "on.mp4").exists()


def test_uploads_at_one_time_are_limited(
    running: Service, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads = running.assembly.objects
    own = [f"{number}.mp4" for number in range(objects.MOST_OF_ONE)]
    held = [uploads.upload(running.account_id, "local", key) for key in own]
    refused = put(visitor, "local", "more.mp4", b"x")
    assert refused.status_code == 403
    assert "uploads of the account are in work" in refused.text
    held.pop().abort()
    assert put(visitor, "local", "more.mp4", b"x").status_code == 201
    monkeypatch.setattr(objects, "MOST_UPLOADS", len(held))
    refused = put(visitor, "local", "others.mp4", b"x")
    assert f"{len(held)} uploads are in work" in refused.text
    for upload in held:
        upload.abort()
        upload.abort()
    assert put(visitor, "local", "others.mp4", b"x").status_code == 201


def test_another_account_sees_and_writes_what_it_was_granted(running: Service, visitor: Visitor) -> None:
    folder = running.bucket("lent")
    for name in ("public/a/1.mp4", "public/2.mp4", "publicity.mp4", "secret/3.mp4", "own.mp4"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    with stranger(running, "borrower") as (account_id, borrower):
        for path in ("/buckets/lent", "/buckets/lent/settings", "/buckets/lent/object?key=public/x"):
            theirs, nobodys = borrower.get(path), borrower.get(path.replace("lent", "none"))
            assert theirs.status_code == nobodys.status_code == 404
            assert _bare(theirs.text.replace("lent", "none")) == _bare(nobodys.text)
        assert put(borrower, "lent", "public/x.mp4", b"x").status_code == 404
        running.assembly.buckets.grant("lent", account_id, Grant("read", "public/"))
        assert names(borrower.get("/buckets/lent").text) == ["public/"]
        assert names(borrower.get("/buckets/lent?folder=public").text) == ["a/", "2.mp4"]
        assert names(borrower.get("/buckets/lent?folder=public/a").text) == ["1.mp4"]
        for query in ("folder=secret", "starts=secret", "starts=own"):
            answer = borrower.get(f"/buckets/lent?{query}")
            assert "3.mp4" not in answer.text
            assert answer.status_code == 404
        assert "data-upload" not in borrower.get("/buckets/lent?folder=public").text
        running.assembly.buckets.grant("lent", account_id, Grant("write", "in/"))
        page = borrower.get("/buckets/lent?folder=in")
        assert (page.status_code, "You may write here, but not look." in page.text) == (200, True)
        assert put(borrower, "lent", "in/x.mp4", b"x").status_code == 201
        assert put(borrower, "lent", "public/x.mp4", b"x").status_code == 404
        assert put(borrower, "lent", "in/../public/x.mp4", b"x").status_code == 400
        running.assembly.buckets.grant("lent", account_id, Grant("read", "own"))
        assert names(borrower.get("/buckets/lent").text) == ["public/", "own.mp4"]
    assert names(visitor.get("/buckets/lent").text) == [
        "in/",
        "public/",
        "secret/",
        "own.mp4",
        "publicity.mp4",
    ]


def test_what_lies_beside_a_grant_is_named_nowhere(running: Service) -> None:
    folder = running.bucket("narrow")
    hidden = [f"films/a{end}" for end in ("-secret.mp4", "!", ".mp4", "/own.mp4", "0", "b/1.mp4")]
    for name in (*hidden, "films/a/b/1.mp4", "films/n-1.mp4", "films/n-2.mp4", "films/n/x/2.mp4"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    with running.account("narrow-borrower") as (account_id, _):
        for prefix in ("films/a/b/", "films/n-", "films/n/x", "films/none/"):
            running.assembly.buckets.grant("narrow", account_id, Grant("read", prefix))

        def look(folder: str, starts: str = "", after: str | None = None, most: int = 1) -> FolderPage:
            return running.assembly.objects.look_in(
                account_id, "narrow", folder, starts=starts, after=after, most=most
            ).page

        # whatever the page before is said to have ended at, no page ends at a hidden name
        for after in (None, *hidden, "films/a", "films/a/", "films/a/b/", "films/n-1.mp4", "films/z"):
            page = look("films/", after=after)
            assert page.next in (None, "films/a/", "films/n-1.mp4", "films/n-2.mp4")
            assert set(page.folders) <= {"films/a/", "films/n/"}
            assert page.next is None or after is None or page.next > after
        every = look("films/", most=9)
        assert list(every.folders) == ["films/a/", "films/n/"]
        assert [one.key for one in every.objects] == ["films/n-1.mp4", "films/n-2.mp4"]
        assert list(look("films/", starts="a").folders) == ["films/a/"]
        assert list(look("").folders) == ["films/"]
        for starts in ("a-", "ab", "a/o", "nn"):
            with pytest.raises(NotFound):
                look("films/", starts=starts)


def test_a_lost_store_is_not_told_as_a_missing_object(running: Service, visitor: Visitor) -> None:
    running.bucket("lost").rmdir()
    for answer in (visitor.get("/buckets/lost/object?key=x"), put(visitor, "lost", "x", b"x")):
        assert answer.status_code == 503
        assert "oss://lost: the bucket&#39;s folder: does not exist" in answer.text
        assert "ServiceUnavailable" in answer.text
    assert visitor.get("/buckets/nowhere/object?key=x").status_code == 404


def _bare(page: str) -> str:
    """A page without what is never twice the same."""
    return re.sub(r"[0-9A-F]{8}-[0-9A-F-]{27}|[0-9a-f]{64}", "", page)
