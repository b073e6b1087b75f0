"""Who gets in to the console, for how long, and from where: against the real service over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import URL, text

from console_client import Visitor, visiting
from service_client import Service, service
from stillframe.accounts.keys import NewKey
from stillframe.accounts.users import Users
from stillframe.console import login
from stillframe.console.login import safe_path


@pytest.fixture(scope="module")
def running(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        # the throttle of logins has a test of its own
        patch.setattr(login, "_AT_ONCE", 10_000)
        with service(
            module_database_url, folder, slots=1, trusted_proxies="127.0.0.1", sandbox="off"
        ) as started:
            yield started


@pytest.fixture
def visitor(running: Service) -> Iterator[Visitor]:
    with visiting(running.port) as found:
        yield found


@pytest.fixture
def key(running: Service) -> NewKey:
    return running.assembly.keys.create(running.account_id)


def change(running: Service, statement: str) -> None:
    with running.assembly.database.transaction() as session:
        session.execute(text(statement))


def test_nobody_sees_a_page_without_logging_in(visitor: Visitor) -> None:
    answer = visitor.get("/jobs?status=Fail")
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/console/login?next=%2Fconsole%2Fjobs%3Fstatus%3DFail"
    part = visitor.get("/jobs", **{"HX-Request": "true"})
    assert (part.status_code, part.headers["HX-Redirect"]) == (401, "/console/login")
    assert visitor.get("/jobs/events").status_code == 303
    assert visitor.post("/jobs/1/delete").headers["Location"] == "/console/login"


def test_a_link_logs_in_once(running: Service, visitor: Visitor) -> None:
    link = running.assembly.login_link()
    answer = visitor.log_in_by_link(link)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/console")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/console" in cookie
    assert "Secure" not in cookie
    assert visitor.is_in
    with visiting(running.port) as another:
        refused = another.log_in_by_link(link)
        assert refused.status_code == 401
        assert "used before" in refused.text
        assert not another.is_in


def test_of_two_who_follow_a_link_at_once_one_gets_in(running: Service) -> None:
    for _ in range(5):
        link = running.assembly.login_link()
        with visiting(running.port) as one, visiting(running.port) as two, ThreadPoolExecutor(2) as threads:
            answers = threads.map(lambda visitor: visitor.log_in_by_link(link).status_code, (one, two))  # noqa: B023
            assert sorted(answers) == [303, 401]


def test_a_link_is_over_some_time(running: Service, visitor: Visitor) -> None:
    link = running.assembly.login_link()
    change(running, "UPDATE login_links SET expires_at = now()")
    assert visitor.log_in_by_link(link).status_code == 401
    assert visitor.log_in_by_link("#not-a-link").status_code == 401


def test_a_key_logs_in_and_goes_on_to_the_page_that_was_wanted(visitor: Visitor, key: NewKey) -> None:
    answer = visitor.log_in_by_key(key, "/console/jobs?status=Fail")
    assert answer.headers["Location"] == "/console/jobs?status=Fail"
    assert visitor.is_in


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/console",
        "//evil.example",
        "/consoles",
        "/console/../x\\y",
        "javascript:1",
        "/console/\r\nSet-Cookie: a=b",
    ],
)
def test_nobody_is_led_elsewhere(path: str) -> None:
    assert safe_path(path, "/console") == ""


def test_wrong_keys_are_all_alike(running: Service, visitor: Visitor, key: NewKey) -> None:
    wrong = [
        NewKey(key.access_key_id, "wrong"),
        NewKey("SFnobody", key.secret),
        NewKey("", ""),
        NewKey("a\0b", "c"),
        NewKey("x" * 5000, "y"),
    ]
    answers = [visitor.log_in_by_key(one) for one in wrong]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert not visitor.is_in


def test_a_temporary_key_does_not_log_in(running: Service, visitor: Visitor) -> None:
    token = running.assembly.sts.issue(
        running.account_id,
        role="r",
        policy='{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}',
    )
    assert visitor.log_in_by_key(NewKey(token.access_key_id, token.secret)).status_code == 401


def test_a_disabled_key_logs_nobody_in_and_its_sessions_stay_over(
    running: Service, visitor: Visitor, key: NewKey
) -> None:
    visitor.log_in_by_key(key)
    assert visitor.is_in
    running.assembly.keys.set_active(key.access_key_id, active=False)
    assert not visitor.is_in
    assert "disabled" in visitor.log_in_by_key(key).text
    running.assembly.keys.set_active(key.access_key_id, active=True)
    assert not visitor.is_in
    # disabled by a program that knows nothing of sessions
    visitor.log_in_by_key(key)
    change(running, f"UPDATE access_keys SET active = false WHERE access_key_id = '{key.access_key_id}'")
    assert not visitor.is_in


def test_sessions_end_with_their_key_and_their_user(running: Service, key: NewKey) -> None:
    users = Users(running.assembly.database)
    user_id = users.create(running.account_id, "leaving")
    of_user = running.assembly.keys.create(running.account_id, user_id=user_id)
    with visiting(running.port) as one, visiting(running.port) as two:
        one.log_in_by_key(key)
        two.log_in_by_key(of_user)
        assert one.is_in
        assert two.is_in
        running.assembly.keys.delete(key.access_key_id)
        users.delete(running.account_id, "leaving")
        assert not one.is_in
        assert not two.is_in


@pytest.mark.parametrize("column", ["expires_at = now()", "seen_at = now() - interval '25 hours'"])
def test_a_session_is_over_some_time_and_is_swept_away(
    running: Service, visitor: Visitor, column: str
) -> None:
    visitor.log_in_by_link(running.assembly.login_link())
    assert visitor.is_in
    change(running, f"UPDATE console_sessions SET {column}")
    assert not visitor.is_in
    with running.assembly.database.transaction() as session:
        removed, _ = running.assembly.sessions.forget_expired(session, 1000)
        left = session.scalar(text("SELECT count(*) FROM console_sessions"))
    assert removed >= 1
    assert left == 0


def test_links_that_are_over_are_swept_away(running: Service) -> None:
    kept = running.assembly.login_link()
    change(running, "UPDATE login_links SET expires_at = now() - interval '1 second'")
    fresh = running.assembly.login_link()
    with running.assembly.database.transaction() as session:
        removed, is_more = running.assembly.login_links.forget_expired(session, 1000)
    assert removed >= 1
    assert not is_more
    with visiting(running.port) as one:
        assert one.log_in_by_link(kept).status_code == 401
        assert one.log_in_by_link(fresh).status_code == 303


def test_logging_out_ends_the_session_itself(running: Service, visitor: Visitor) -> None:
    visitor.log_in_by_link(running.assembly.login_link())
    kept = dict(visitor.http.cookies)
    assert visitor.send("/logout").headers["Location"] == "/console/login"
    assert not visitor.is_in
    visitor.http.cookies.update(kept)
    assert not visitor.is_in


def test_only_digests_are_stored(running: Service, visitor: Visitor) -> None:
    link = running.assembly.login_link() or ""
    visitor.log_in_by_link(running.assembly.login_link())
    tokens = [link.partition("#")[2], *visitor.http.cookies.values()]
    with running.assembly.database.transaction() as session:
        rows = session.execute(
            text(
                "SELECT token_sha256::text FROM login_links UNION SELECT token_sha256::text FROM console_sessions"
            )
        )
        stored = " ".join(row[0] for row in rows)
    assert all(token.encode().hex() not in stored for token in tokens)


@pytest.mark.parametrize(
    "headers",
    [{"Origin": ""}, {"Origin": "null"}, {"Origin": "http://evil.example"}, {"Origin": "http://127.0.0.1:1"}],
)
def test_forms_of_other_sites_are_refused(
    running: Service, visitor: Visitor, headers: dict[str, str]
) -> None:
    link = running.assembly.login_link() or ""
    form = {"link": link.partition("#")[2]}
    assert visitor.post("/login", form, **headers).status_code == 403
    visitor.log_in_by_link(link)
    refused = visitor.post("/logout", {"csrf": visitor.csrf()}, **headers)
    assert refused.status_code == 403
    assert visitor.is_in


@pytest.mark.parametrize("form", [{}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": "ü"}])
def test_forms_without_their_token_are_refused(
    running: Service, visitor: Visitor, form: dict[str, str]
) -> None:
    visitor.log_in_by_link(running.assembly.login_link())
    assert visitor.post("/logout", form).status_code == 403
    assert visitor.is_in
    with visiting(running.port) as another:
        another.log_in_by_link(running.assembly.login_link())
        assert visitor.post("/logout", {"csrf": another.csrf()}).status_code == 403
    assert visitor.post("/logout", **{"X-CSRF-Token": visitor.csrf()}).status_code == 303


def test_only_our_own_names_are_answered(running: Service, visitor: Visitor) -> None:
    port = running.port
    for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "", "[::1"):
        assert visitor.get("/login", Host=host).status_code in (400, 421), host
    for host in ("127.0.0.1:99999", "127.0.0.1:x", "127.0.0.1:-1", "localhost:x"):
        for path in ("/login", "/jobs", "/static/none.css"):
            assert visitor.get(path, Host=host).status_code == 421, (host, path)
    for origin in ("http://[::1", "http://127.0.0.1:x", "null", ""):
        assert visitor.post("/login", {"link": "x"}, Origin=origin).status_code == 403, origin
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}", f"10.1.2.3:{port}"):
        assert visitor.get("/login", Host=host).status_code == 200, host


@pytest.mark.parametrize(
    "path", ["/jobs/new?like=", "/jobs?pipeline=", "/templates/new?copy=", "/jobs/new?bucket=local&key="]
)
def test_a_query_with_a_nul_is_refused(running: Service, visitor: Visitor, path: str) -> None:
    visitor.log_in_by_link(running.assembly.login_link())
    answer = visitor.get(f"{path}a%00b")
    assert (answer.status_code, "It must be a text without NUL." in answer.text) == (400, True)


def test_the_public_url_is_a_name_of_ours_and_may_have_a_folder(
    running: Service, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running.assembly, "public_url", "https://snap.example/video")
    headers = {"Host": "snap.example", "X-Forwarded-Proto": "https", "Origin": "https://snap.example"}
    link = running.assembly.login_link() or ""
    assert link.startswith("https://snap.example/video/console/login#")
    assert "/video/console/static/" in visitor.get("/login", **headers).text
    answer = visitor.post("/login", {"link": link.partition("#")[2]}, **headers)
    assert answer.headers["Location"] == "/video/console"
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Secure-stillframe_console=")
    assert "Secure" in cookie
    assert "Path=/video/console" in cookie


def test_guessing_is_slowed_down(database_url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "_AT_ONCE", 3)
    monkeypatch.setattr(login, "_THEN_EVERY_S", 3600.0)
    with (
        service(database_url, tmp_path, slots=1, sandbox="off") as running,
        visiting(running.port) as visitor,
    ):
        wrong = NewKey("SFnobody", "x")
        assert [visitor.log_in_by_key(wrong).status_code for _ in range(4)] == [401, 401, 401, 429]
        refused = visitor.log_in_by_link(running.assembly.login_link())
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) > 0
        # who is in stays in
        assert visitor.get("/login").status_code == 200


def test_the_console_can_be_left_out(database_url: URL, tmp_path: Path) -> None:
    with service(database_url, tmp_path, slots=1, sandbox="off", console="off") as running:
        assert running.assembly.login_link() is None
        with visiting(running.port) as visitor:
            assert visitor.get("/login").json()["Code"] == "InvalidAction.NotFound"


def test_a_browser_at_the_servers_address_is_led_to_the_console(visitor: Visitor) -> None:
    for path, accept in (("/", "text/html,*/*"), ("/console", "*/*")):
        answer = visitor.http.get(path, headers={"Accept": accept})
        assert (answer.status_code, answer.headers["Location"]) == (303, "./console/")
    assert visitor.http.get("/", headers={"Accept": "*/*"}).json()["Code"] == "MissingAction"
