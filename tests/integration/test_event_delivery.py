"""The outbox and its delivery alone: receivers that are slow, failing, redirecting, dead, forbidden or moving."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import URL

from receiver import Message, Receiver, receiving
from service_client import wait_for, while_another_changes
from stillframe.accounts.accounts import Accounts
from stillframe.database.engine import Database, make_engine
from stillframe.events import delivery, outbox, posting
from stillframe.events.callbacks import Callback, Callbacks
from stillframe.events.delivery import Deliverer
from stillframe.events.outbox import Outbox
from stillframe.events.tries import Try
from stillframe.keyring import Keyring
from stillframe.telemetry import Metrics

LOOPBACK = "127.0.0.1/32"
DOCUMENTED_PAUSES_S = delivery._PAUSES_S
HOUR_S = 3600.0
TRIED = Try(datetime.now(UTC), 0.5, "it was away")


@dataclass
class Events:
    """An outbox on a database, and deliverers on it, each as a server of its own has one."""

    database: Database
    keyring: Keyring
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.outbox = Outbox(self.database)
        self.callbacks = Callbacks(self.database, self.keyring)

    def account(self, url: str | None, **options: Any) -> str:
        """A new account, which is told of all events at this URL."""
        account_id = Accounts(self.database).create(f"account-{next(NUMBERS)}")
        if url is not None:
            self.callbacks.set(account_id, Callback(url, ("SnapshotComplete",), **options))
        return account_id

    def happen(self, account_id: str, number: int = 1, type: str = "SnapshotComplete") -> None:
        """Events, in one transaction."""
        with self.database.transaction() as session:
            for k in range(number):
                self.outbox.write(session, account_id, type, lambda k=k: {"Number": k}, datetime.now(UTC))

    @contextlib.contextmanager
    def delivering(self, *retry_s: float, allowed: str = LOOPBACK) -> Iterator[Deliverer]:
        networks = [ip_network(allowed)] if allowed else []
        made = Deliverer(self.outbox, self.callbacks, self.metrics, allowed=networks, retry_s=retry_s)
        made.start()
        try:
            yield made
        finally:
            made.stop()

    def count(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(f"stillframe_events_{name}_total") or 0.0


NUMBERS = itertools.count()


@pytest.fixture
def events(database_url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Events]:
    # nothing here may depend on being looked for: who writes or puts off is to wake who delivers
    monkeypatch.setattr(delivery, "_POLL_S", HOUR_S)
    monkeypatch.setattr(delivery, "_PAUSES_S", (0.01, 0.01))
    database = Database(make_engine(database_url))
    yield Events(database, Keyring.of(tmp_path))
    database.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def numbers(receiver: Receiver) -> list[int]:
    return [message.told["Number"] for message in receiver.messages]


def test_what_happens_is_told_once(events: Events, receiver: Receiver) -> None:
    account_id = events.account(receiver.url)
    with events.delivering():
        events.happen(account_id, 30)
        wait_for(lambda: events.outbox.waiting() == 0)
    assert sorted(numbers(receiver)) == [*range(30)]
    assert (events.count("delivered"), events.count("failed")) == (30, 0)


def test_what_nobody_wants_to_hear_of_is_not_written(events: Events, receiver: Receiver) -> None:
    events.happen(events.account(None))
    events.happen(events.account(receiver.url), type="SomethingElse")
    assert events.outbox.waiting() == 0


def test_a_callback_that_is_removed_just_now_stops_nothing(events: Events) -> None:
    """Whoever ends a job then ends it, and tells nobody."""
    account_id = events.account("http://127.0.0.1:1/")
    remove = "DELETE FROM event_callbacks WHERE account_id = :id"
    while_another_changes(events.database, (remove,), {"id": account_id}, lambda: events.happen(account_id))
    assert events.outbox.waiting() == 0


def test_what_is_rolled_back_has_not_happened(events: Events, receiver: Receiver) -> None:
    account_id = events.account(receiver.url)
    with events.delivering():
        with pytest.raises(ZeroDivisionError), events.database.transaction() as session:
            events.outbox.write(
                session, account_id, "SnapshotComplete", lambda: {"Number": 1}, datetime.now(UTC)
            )
            raise ZeroDivisionError
        events.happen(account_id, 1)
        wait_for(lambda: events.outbox.waiting() == 0)
    assert numbers(receiver) == [0]


@pytest.mark.parametrize(
    ("answer", "retry_s", "tries"),
    [
        pytest.param(lambda _: 500, (), 3, id="failing"),
        pytest.param(lambda _: 204, (), 3, id="not quite 200"),
        pytest.param(lambda _: 500, (0.01, 0.01), 5, id="failing, with a longer schedule"),
    ],
)
def test_a_failing_receiver_gets_the_tries_of_the_rules(
    events: Events,
    receiver: Receiver,
    answer: Callable[[Message], int],
    retry_s: tuple[float, ...],
    tries: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery, "_PAUSES_S", DOCUMENTED_PAUSES_S)
    receiver.answer = answer
    account_id = events.account(receiver.url, webhook_secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    with events.delivering(*retry_s):
        events.happen(account_id)
        wait_for(lambda: events.outbox.waiting() == 0)
    assert len(receiver.messages) == tries
    times = [message.at for message in receiver.messages]
    assert all(later - earlier >= 1.0 for earlier, later in itertools.pairwise(times[:3]))
    assert len({message.body for message in receiver.messages}) == 1
    assert len({message.headers["webhook-id"] for message in receiver.messages}) == 1
    assert (events.count("delivered"), events.count("failed")) == (0, 1)


def test_what_waits_is_measured(events: Events, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the tries of IMS it waits for those of the longer schedule."""
    monkeypatch.setattr(delivery, "_POLL_S", 0.05)
    receiver.answer = lambda _: 503
    account_id = events.account(receiver.url)
    with events.delivering(HOUR_S) as deliverer:
        events.happen(account_id, 2)
        wait_for(lambda: len(receiver.messages) == 6)
        name = "stillframe_outbox_waiting_events"
        wait_for(lambda: events.metrics.registry.get_sample_value(name) == 2)
        wait_for(lambda: not deliverer._in_hand)
        assert deliverer._poster._pool.connections == []
    assert (len(receiver.messages), events.outbox.waiting()) == (6, 2)
    assert (events.count("delivered"), events.count("failed")) == (0, 0)


def test_a_receiver_that_comes_to_itself_gets_it(events: Events, receiver: Receiver) -> None:
    receiver.answer = lambda _: 200 if len(receiver.messages) == 3 else 503
    account_id = events.account(receiver.url)
    with events.delivering():
        events.happen(account_id)
        wait_for(lambda: events.outbox.waiting() == 0)
    assert len(receiver.messages) == 3
    assert (events.count("delivered"), events.count("failed")) == (1, 0)


def test_a_dead_receiver_is_given_up(events: Events) -> None:
    with socket.socket() as holder:
        # bound and not listening: whoever connects is refused
        holder.bind(("127.0.0.1", 0))
        account_id = events.account(f"http://127.0.0.1:{holder.getsockname()[1]}/")
        with events.delivering():
            events.happen(account_id, 3)
            wait_for(lambda: events.outbox.waiting() == 0)
    assert (events.count("delivered"), events.count("failed")) == (0, 3)


def test_what_the_rules_say_in_seconds() -> None:
    """Other tests make these shorter. A lease is longer than a try, or two would be at one event."""
    assert (posting.ANSWER_S, DOCUMENTED_PAUSES_S) == (3.0, (1.0, 1.0))
    assert outbox.LEASE_S > posting.ANSWER_S + posting._REST_S


def test_redirects_are_not_followed(events: Events, receiver: Receiver) -> None:
    with receiving() as other:
        receiver.answer = lambda _: (307, {"Location": other.url})
        account_id = events.account(receiver.url)
        with events.delivering():
            events.happen(account_id)
            wait_for(lambda: events.outbox.waiting() == 0)
        assert (len(receiver.messages), other.messages) == (3, [])


def test_a_slow_receiver_holds_up_nobody_else(
    events: Events, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has more events than there is room for, and answers none of them before it ends."""
    # nor are there second tries while the others are waited for
    monkeypatch.setattr(posting, "ANSWER_S", HOUR_S)
    monkeypatch.setattr(outbox, "LEASE_S", HOUR_S)
    receiver.answer = lambda _: 200 if receiver.ending.wait(60) else 500
    slow = events.account(receiver.url)
    with receiving() as quick, events.delivering():
        account_id = events.account(quick.url)
        events.happen(slow, 50)
        wait_for(lambda: receiver.messages)
        events.happen(account_id, 20)
        wait_for(lambda: len(quick.messages) == 20)
        assert len(receiver.messages) <= delivery._EACH
        receiver.ending.set()
        wait_for(lambda: events.outbox.waiting() == 0)
        assert {*numbers(receiver)} == {*range(50)}


def test_an_answer_without_end_is_not_read_to_its_end(events: Events) -> None:
    """200 counts; what follows it for ever takes neither time nor memory."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked = []

        def talk() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                asked.append(connection.recv(65_536))
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                while True:
                    connection.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")

        talking = threading.Thread(target=talk)
        talking.start()
        account_id = events.account(f"http://127.0.0.1:{server.getsockname()[1]}/")
        with events.delivering():
            events.happen(account_id)
            wait_for(lambda: events.outbox.waiting() == 0)
        talking.join()
    assert len(asked) == 1
    assert events.count("delivered") == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "receiver.test", "2130706433", "0x7f.1"])
def test_a_private_receiver_is_refused(
    events: Events, receiver: Receiver, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its address, by a name that leads there, and however the address is written."""
    resolving(monkeypatch, {"receiver.test": ["127.0.0.1", "::1", "10.0.0.1", "169.254.169.254"]})
    account_id = events.account(f"http://{host}:{receiver.port}/events")
    with events.delivering(allowed="192.0.2.0/24"):
        events.happen(account_id)
        wait_for(lambda: events.outbox.waiting() == 0)
    assert receiver.messages == []
    assert events.count("failed") == 1


def test_a_name_that_changes_its_mind_leads_nowhere_else(
    events: Events, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each second answer is an address that is refused, with somebody listening there: it is never reached."""
    asked = resolving(monkeypatch, {"receiver.test": [["127.0.0.1"], ["127.0.0.2"]]})
    with receiving("127.0.0.2", receiver.port) as other:
        account_id = events.account(f"http://receiver.test:{receiver.port}/events")
        receiver.answer = lambda _: 503
        with events.delivering():
            events.happen(account_id)
            wait_for(lambda: events.outbox.waiting() == 0)
        assert asked == ["receiver.test"] * 3
        assert (len(receiver.messages), other.messages) == (2, [])
        assert {message.headers["Host"] for message in receiver.messages} == {
            f"receiver.test:{receiver.port}"
        }


def resolving(monkeypatch: pytest.MonkeyPatch, names: dict[str, Any]) -> list[str]:
    """A name server that knows these names, and for lists of lists answers in turn; the names that it was asked for."""
    asked: list[str] = []
    real = socket.getaddrinfo
    turns = {
        name: itertools.cycle(told if isinstance(told[0], list) else [told]) for name, told in names.items()
    }

    def getaddrinfo(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        if host not in turns:
            return real(host, port, *arguments, **options)
        asked.append(host)
        return [
            found for address in next(turns[host]) for found in real(address, port, *arguments, **options)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_a_name_server_that_keeps_silent_holds_one_thread(
    events: Events, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, speaks, real = [], threading.Event(), socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        if host != "silent.test":
            return real(host, *arguments, **options)
        asked.append(host)
        speaks.wait(60)
        raise OSError("there is no such name")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    silent, other = events.account("http://silent.test/"), events.account(receiver.url)
    with events.delivering(), contextlib.ExitStack() as at_last:
        at_last.callback(speaks.set)
        # for these alone: the others have their time on a busy machine, too
        with monkeypatch.context() as patch:
            patch.setattr(posting, "ANSWER_S", 0.1)
            events.happen(silent, 5)
            wait_for(lambda: events.outbox.waiting() == 0)
        events.happen(other, 5)
        wait_for(lambda: events.outbox.waiting() == 0)
        assert asked == ["silent.test"]
    assert (events.count("delivered"), events.count("failed")) == (5, 5)


def test_of_several_addresses_one_that_answers_is_found(
    events: Events, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, {"receiver.test": ["127.0.0.3", "10.0.0.1", "127.0.0.1"]})
    account_id = events.account(f"http://receiver.test:{receiver.port}/events")
    with events.delivering(allowed="127.0.0.0/8"):
        events.happen(account_id)
        wait_for(lambda: events.outbox.waiting() == 0)
    assert len(receiver.messages) == 1


def test_two_servers_share_the_work_and_do_nothing_twice(events: Events, receiver: Receiver) -> None:
    account_id = events.account(receiver.url)
    other = Events(events.database, events.keyring)
    events.happen(account_id, 60)
    with events.delivering(), other.delivering():
        wait_for(lambda: events.outbox.waiting() == 0)
    assert sorted(numbers(receiver)) == [*range(60)]
    assert events.count("delivered") + other.count("delivered") == 60


def test_what_a_dead_server_had_in_hand_is_due_again(events: Events, receiver: Receiver) -> None:
    account_id = events.account(receiver.url)
    events.happen(account_id, 3)
    held = events.outbox.claim({}, each=8, most=8)
    assert len(held) == 3
    assert events.outbox.claim({}, each=8, most=8) == []
    with events.database.statements() as connection:
        # as if so long had passed
        connection.execute(f"UPDATE events SET due_at = due_at - interval '{outbox.LEASE_S} s'")
    with events.delivering():
        wait_for(lambda: events.outbox.waiting() == 0)
    assert sorted(numbers(receiver)) == [0, 1, 2]


def test_who_has_lost_its_lease_decides_nothing(events: Events) -> None:
    """But that the receiver has it: that is so, whoever says it."""
    events.happen(events.account("http://127.0.0.1:1/"))
    (slow,) = events.outbox.claim({}, each=1, most=1)
    with events.database.statements() as connection:
        connection.execute("UPDATE events SET due_at = clock_timestamp()")
    (quick,) = events.outbox.claim({}, each=1, most=1)

    events.outbox.put_off(slow, TRIED, HOUR_S)
    assert not events.outbox.give_up(slow, TRIED)
    with events.database.statements() as connection:
        found = connection.execute("SELECT failures, due_at FROM events").fetchall()
    assert found == [(0, quick.lease_end)]
    events.outbox.delivered(slow, TRIED)
    assert events.outbox.waiting() == 0


def test_a_new_url_gets_what_waits_and_a_removed_callback_nothing(events: Events, receiver: Receiver) -> None:
    account_id, other = events.account("http://127.0.0.1:1/"), events.account("http://127.0.0.1:1/")
    events.happen(account_id, 2)
    events.happen(other, 2)
    events.callbacks.set(account_id, Callback(receiver.url, ("ALL",)))
    events.callbacks.remove(other)
    with events.delivering():
        wait_for(lambda: events.outbox.waiting() == 0)
    assert sorted(numbers(receiver)) == [0, 1]
    assert (events.count("delivered"), events.count("failed")) == (2, 0)


def test_secrets_are_encrypted_at_rest(events: Events) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    account_id = events.account(
        "http://127.0.0.1:1/", auth_switch=True, auth_key="TestKey001", webhook_secret=secret
    )
    with events.database.statements() as connection:
        row = str(connection.execute("SELECT * FROM event_callbacks").fetchall())
    assert account_id in row
    assert "TestKey001" not in row
    assert secret not in row
    found = events.callbacks.find(account_id)
    assert found is not None
    assert (found.auth_key, found.webhook_secret) == ("TestKey001", secret)
    assert "TestKey001" not in repr(found)


def test_tls_asks_for_the_name_and_not_for_the_address(
    events: Events, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same receiver by two names: the certificate is for one of them."""
    resolving(monkeypatch, {"receiver.test": ["127.0.0.1"], "another.test": ["127.0.0.1"]})
    certificate = self_signed(tmp_path, "receiver.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with receiving(context=context) as secure:
        for host in ("receiver.test", "another.test"):
            events.happen(events.account(f"https://{host}:{secure.port}/events"))
        with events.delivering():
            wait_for(lambda: events.outbox.waiting() == 0)
        assert [message.headers["Host"] for message in secure.messages] == [f"receiver.test:{secure.port}"]
    assert (events.count("delivered"), events.count("failed")) == (1, 1)


def self_signed(folder: Path, host: str) -> Path:
    """A certificate and its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    no_password = serialization.NoEncryption()
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    file.write_bytes(key.private_bytes(encoding, form, no_password) + made.public_bytes(encoding))
    return file
