"""Events in the console: real messages to a real receiver that fails, and then takes them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import URL, text

from console_client import Visitor, visiting
from receiver import Receiver, receiving
from service_client import Service, service, wait_for
from stillframe.accounts.users import Users
from stillframe.console import login
from stillframe.console.pages import events
from stillframe.events import delivery, history
from stillframe.events.callbacks import Callback
from stillframe.events.history import SettledEvents

READ_ONLY = "AliyunICEReadOnlyAccess"
AUTH_KEY = "TestKey001"
#: longer than a test takes
LATER_S = 3600.0


@pytest.fixture(scope="module")
def running(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(login, "_AT_ONCE", 10_000)
        patch.setattr(delivery, "_PAUSES_S", (0.01,))
        with service(
            module_database_url,
            tmp_path_factory.mktemp("data"),
            slots=1,
            sandbox="off",
            callback_allow_networks="127.0.0.1",
        ) as started:
            yield started


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


class Account:
    """An account of its own, at its console, and what happens to it."""

    def __init__(self, running: Service, account_id: str, visitor: Visitor) -> None:
        self.running, self.account_id, self.visitor = running, account_id, visitor

    def told_at(self, url: str) -> None:
        self.visitor.send("/events/callback", url=url, type_SnapshotComplete="on")

    def happen(self, *names: str) -> None:
        for name in names:
            message = {"JobId": "0" * 32, "Name": name, "Status": "Success"}
            with self.running.assembly.database.transaction() as session:
                self.running.assembly.outbox.write(
                    session,
                    self.account_id,
                    "SnapshotComplete",
                    lambda message=message: message,
                    datetime.now(UTC),
                )

    def names(self, query: str = "") -> list[str]:
        """Whom the events of a page are about, in its order."""
        page = self.visitor.get(f"/events{query}")
        assert page.status_code == 200
        return re.findall(r'/jobs/0{32}">([^<]*)</a>', page.text)

    def until(self, state: str, *names: str) -> None:
        wait_for(lambda: {*self.names(f"?state={state}")} == {*names})

    def event_of(self, name: str) -> str:
        """The path of its page."""
        found = re.search(
            rf'<a href="/console(/events/[0-9a-f]{{32}})">(?:(?!<tr>).)*>{name}<',
            self.visitor.get("/events").text,
            re.DOTALL,
        )
        assert found is not None
        return found[1]


@pytest.fixture
def account(running: Service, request: pytest.FixtureRequest) -> Iterator[Account]:
    name = f"a{abs(hash(request.node.name))}"
    with running.account(name) as (account_id, _), visiting(running.port) as visitor:
        visitor.log_in_by_key(running.assembly.keys.create(account_id))
        yield Account(running, account_id, visitor)


def test_an_event_that_failed_is_sent_again(account: Account, receiver: Receiver) -> None:
    visitor = account.visitor
    assert "Set a callback" in visitor.get("/events").text
    receiver.answer = lambda _: 503
    account.told_at(receiver.url)
    assert "There are no events yet" in visitor.get("/events").text
    account.happen("film")
    account.until("failed", "film")
    page = visitor.get("/events").text
    assert "the receiver answers 503" in page
    assert "after 2 tries" in page
    path = account.event_of("film")
    event = visitor.get(path).text
    assert event.count("the receiver answers 503") == 2
    assert '"JobId": "' + "0" * 32 in html.unescape(event)
    receiver.answer = lambda _: 200
    assert visitor.send(f"{path}/again").headers["Location"] == f"/console{path}"
    account.until("delivered", "film")
    event = visitor.get(path).text
    assert "Delivered" in event
    assert event.count("the receiver answers 503") == 2
    ids = {message.headers["webhook-id"] for message in receiver.messages if "webhook-id" in message.headers}
    bodies = {message.body for message in receiver.messages}
    assert (len(receiver.messages), len(bodies), ids) == (3, 1, set())
    # what was delivered may be sent again as well
    visitor.send(f"{path}/again")
    wait_for(lambda: len(receiver.messages) == 4)


def test_all_that_failed_is_sent_again_so_many_at_a_time(
    account: Account, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.answer = lambda _: 503
    account.told_at(receiver.url)
    names = [f"film {number}" for number in range(5)]
    account.happen(*names)
    account.until("failed", *names)
    assert "Send all failed again" in account.visitor.get("/events").text
    receiver.answer = lambda _: 200
    monkeypatch.setattr(history, "MOST_AGAIN", 3)
    monkeypatch.setattr(events, "MOST_AGAIN", 3)
    assert "Send the oldest 3 failed again" in account.visitor.get("/events").text
    account.visitor.send("/events/again")
    assert "3 events are sent again." in account.visitor.get("/events").text
    account.until("delivered", *names[:3])
    assert account.names("?state=failed") == [*reversed(names[3:])]
    account.visitor.send("/events/again")
    account.until("delivered", *names)
    assert account.names() == [*reversed(names)]


def test_what_waits_says_when_it_is_tried_next_and_may_go_at_once(
    account: Account, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliverer = account.running.assembly._deliverer
    assert deliverer is not None
    monkeypatch.setattr(deliverer, "_pauses_s", (LATER_S,))
    receiver.answer = lambda _: 500
    account.told_at(receiver.url)
    account.happen("film")
    wait_for(lambda: "at try 1" in account.visitor.get("/events?state=waiting").text)
    page = account.visitor.get(account.event_of("film")).text
    found = re.search(r"<dt>Next try</dt><dd><time datetime=\"([^\"]+)\"", page)
    assert found is not None
    away = datetime.fromisoformat(found[1]) - datetime.now(UTC)
    assert LATER_S - 120 < away.total_seconds() <= LATER_S
    receiver.answer = lambda _: 200
    assert "Send now" in page
    account.visitor.send(f"{account.event_of('film')}/again")
    account.until("delivered", "film")
    assert "at try 2" in account.visitor.get("/events").text


def test_the_list_has_pages(account: Account, receiver: Receiver) -> None:
    account.told_at(receiver.url)
    names = [f"film {number:02}" for number in range(events.EVENTS_ON_A_PAGE + 3)]
    account.happen(*names)
    wait_for(lambda: "Nothing waits" in account.visitor.get("/events").text)
    for state in ("", "state=delivered"):
        first = account.visitor.get(f"/events?{state}").text
        found = re.search(r'<a href="/console/events([^"]*)" rel="next"', first)
        assert found is not None
        rest = html.unescape(found[1])
        assert account.names(f"?{state}") + account.names(rest) == [*reversed(names)]
        assert "First page" in account.visitor.get(f"/events{rest}").text
    assert account.visitor.get("/events?page=wrong").status_code == 400
    assert "No event is like that" in account.visitor.get("/events?state=failed").text


def test_the_stream_tells_when_an_event_has_arrived(account: Account, receiver: Receiver) -> None:
    account.told_at(receiver.url)
    with account.visitor.http.stream("GET", "/console/events/changes") as stream:
        lines = stream.iter_lines()
        _changed(lines)
        account.happen("film")
        _changed(lines)
    account.until("delivered", "film")
    path = account.event_of("film")
    with account.visitor.http.stream("GET", f"/console{path}/changes") as stream:
        lines = stream.iter_lines()
        _changed(lines)
        account.visitor.send(f"{path}/again")
        _changed(lines)
    part = account.visitor.get(path, **{"HX-Request": "true"}).text
    assert "<html" not in part
    assert "Tries" in part


def _changed(lines: Iterator[str]) -> None:
    assert next(line for line in lines if line.startswith("event:")) == "event: changed"


def test_a_callback_is_set_changed_and_removed(account: Account, receiver: Receiver) -> None:
    visitor, callbacks = account.visitor, account.running.assembly.event_callbacks
    form = {
        "url": receiver.url,
        "type_SnapshotComplete": "on",
        "type_DeleteMediaComplete": "on",
        "auth_switch": "on",
        "auth_key": AUTH_KEY,
        "webhook": "make",
    }
    form["once"] = _once(visitor)
    made = visitor.send("/events/callback", **form)
    found = re.search(r'aria-label="WebhookSecret"><code>(whsec_[^<]+)<', made.text)
    assert found is not None
    secret = html.unescape(found[1])
    types = ("SnapshotComplete", "DeleteMediaComplete")
    assert callbacks.get(account.account_id) == Callback(receiver.url, types, True, AUTH_KEY, secret)
    assert "was sent before" in visitor.send("/events/callback", **form).text
    page = visitor.get("/events/callback").text
    assert AUTH_KEY not in page
    assert secret not in html.unescape(page)
    assert "One is set: leave this empty to keep it." in page
    # what is kept stays, without being shown
    visitor.send("/events/callback", url=receiver.url, type_ALL="on", auth_switch="on", webhook="keep")
    assert callbacks.get(account.account_id) == Callback(receiver.url, ("ALL",), True, AUTH_KEY, secret)
    account.happen("film")
    wait_for(lambda: receiver.messages)
    assert {"X-ICE-SIGNATURE", "webhook-signature"} <= receiver.messages[0].headers.keys()
    visitor.send("/events/callback", url=receiver.url, type_ALL="on", webhook="none")
    found_now = callbacks.get(account.account_id)
    assert found_now is not None
    assert (found_now.auth_switch, found_now.webhook_secret) == (False, None)
    assert visitor.send("/events/callback/remove").headers["Location"] == "/console/events"
    assert callbacks.get(account.account_id) is None
    account.until("delivered", "film")
    visitor.send(f"{account.event_of('film')}/again")
    assert "set a callback first" in visitor.get("/events").text


def _once(visitor: Visitor) -> str:
    found = re.search(r'name="once" value="([0-9a-f]{32})"', visitor.get("/events/callback").text)
    assert found is not None
    return found[1]


def test_events_that_programs_have_asked_for_are_kept(account: Account) -> None:
    url = "https://receiver.example/events"
    callbacks = account.running.assembly.event_callbacks
    account.running.assembly._callbacks.set(account.account_id, Callback(url, ("TranscodeComplete",)))
    assert "never sent here: TranscodeComplete" in account.visitor.get("/events/callback").text
    account.told_at(url)
    found = callbacks.get(account.account_id)
    assert found is not None
    assert found.event_types == ("SnapshotComplete", "TranscodeComplete")


@pytest.mark.parametrize(
    ("form", "field", "told"),
    [
        ({"url": "ftp://a"}, "url", "It is 'ftp://a', but must be an address such as"),
        (
            {"url": "http://10.0.0.1/"},
            "url",
            "It is 'http://10.0.0.1/', but must be an address that the public",
        ),
        ({"type_SnapshotComplete": ""}, "types", "Choose at least one."),
        ({"auth_switch": "on"}, "auth_key", "Must be set when AuthSwitch is on."),
        ({"auth_key": "weak"}, "auth_key", "Must be 32 characters at the most"),
        ({"webhook": "own", "webhook_secret": "x"}, "webhook_secret", "Must be whsec_ and 24 to 64"),
    ],
)
def test_what_is_wrong_with_a_callback_stands_beside_it(
    account: Account, form: dict[str, str], field: str, told: str
) -> None:
    good = {"url": "https://receiver.example/events", "type_SnapshotComplete": "on"}
    answer = account.visitor.send("/events/callback", **good | form)
    assert answer.status_code == 400
    found = re.search(rf'<p class="error" id="about-{field}">(.*?)</p>', answer.text)
    assert found is not None
    assert html.unescape(found[1]).startswith(told)
    assert "weak" not in answer.text
    assert account.running.assembly.event_callbacks.get(account.account_id) is None


def test_policies_apply_to_events(account: Account, receiver: Receiver) -> None:
    account.told_at(receiver.url)
    account.happen("film")
    account.until("delivered", "film")
    path = account.event_of("film")
    users, running = Users(account.running.assembly.database), account.running
    for name, policy in (("reader", READ_ONLY), ("nobody", None)):
        user_id = users.create(account.account_id, name)
        if policy:
            users.attach(account.account_id, name, policy)
        with visiting(running.port) as visitor:
            visitor.log_in_by_key(running.assembly.keys.create(account.account_id, user_id=user_id))
            status = 200 if policy else 403
            for where in ("/events", path, "/events/callback"):
                page = visitor.get(where)
                assert page.status_code == status
                assert "/again" not in page.text
                assert "/remove" not in page.text
            for where in (f"{path}/again", "/events/again", "/events/callback", "/events/callback/remove"):
                refused = visitor.send(where, url=receiver.url, type_ALL="on")
                assert refused.status_code == 403
                assert "ice:SetEventCallback" in refused.text
    assert len(receiver.messages) == 1


def test_two_accounts_see_nothing_of_each_other(
    running: Service, account: Account, receiver: Receiver
) -> None:
    receiver.answer = lambda _: 503
    account.told_at(receiver.url)
    account.happen("secret film")
    account.until("failed", "secret film")
    path = account.event_of("secret film")
    with running.account("strangers") as (stranger_id, _), visiting(running.port) as stranger:
        stranger.log_in_by_key(running.assembly.keys.create(stranger_id))
        other = Account(running, stranger_id, stranger)
        other.told_at(receiver.url)
        assert other.names() == []
        assert stranger.get(path).status_code == 404
        assert stranger.send(f"{path}/again").status_code == 404
        stranger.send("/events/again")
        assert "0 events are sent again." in stranger.get("/events").text
        token = re.search(r"page=([^\"&]+)", _many(other, receiver))
        assert token is not None
        assert account.visitor.get(f"/events?page={token[1]}").status_code == 400
    assert account.names("?state=failed") == ["secret film"]


def _many(account: Account, receiver: Receiver) -> str:
    account.happen(*(f"film {number}" for number in range(events.EVENTS_ON_A_PAGE + 1)))
    wait_for(lambda: "Nothing waits" in account.visitor.get("/events?state=waiting").text)
    return account.visitor.get("/events").text


def test_what_was_settled_long_ago_is_removed(account: Account, receiver: Receiver) -> None:
    account.told_at(receiver.url)
    account.happen("old", "young")
    account.until("delivered", "old", "young")
    old = account.event_of("old").rpartition("/")[2]
    with account.running.assembly.database.transaction() as session:
        session.execute(
            text("UPDATE settled_events SET settled_at = now() - interval '8 days' WHERE event_id = :id"),
            {"id": old},
        )
        assert SettledEvents(days=7)(session, 1000) == (1, False)
    assert account.names() == ["young"]
    chores = account.running.assembly._chores()
    assert isinstance(chores["event"], SettledEvents)
