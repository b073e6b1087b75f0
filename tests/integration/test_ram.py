"""Who may do what, through the real endpoint: accounts, users, temporary keys, and the policies of each."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import URL, text

from ims_server import over_http
from ims_signer import Acs3, RpcV1
from service_client import DEADLINE_S, wait_for
from stillframe.accounts.accounts import change_policies
from stillframe.accounts.keys import NewKey
from stillframe.accounts.policies import MANAGED
from stillframe.accounts.policy_store import Policies
from stillframe.accounts.sts import IssuedToken, StsTokens
from stillframe.accounts.users import Users
from stillframe.errors import ConfigError, NotFound
from stillframe.server.assembly import Assembly
from stillframe.service.accounts import open_account
from stillframe.settings import Settings

FULL, READ_ONLY = MANAGED
SUBMIT = {
    "Input": '{"Type":"OSS","Media":"oss://local/movie.mp4"}',
    "Output": '{"Type":"OSS","Media":"oss://local/one.jpg"}',
    "TemplateConfig": '{"TemplateId":"S00000002-000011"}',
}
LISTS = "ListSnapshotJobs"
BOTH = pytest.mark.parametrize("scheme", [Acs3, RpcV1], ids=["acs3", "v1"])
OPENAPI = Path(__file__).parents[2] / "docs" / "openapi.json"
ERROR = json.loads(OPENAPI.read_text(encoding="utf-8"))["components"]["schemas"]["Error"]["properties"]
Scheme = type[Acs3] | type[RpcV1]


@dataclass
class Ram:
    """The service without a worker, and the stores of accounts beside it. `ahead` moves the clock of tokens."""

    assembly: Assembly
    port: int
    account_id: str
    root: NewKey
    users: Users
    policies: Policies
    http: httpx.Client
    ahead: timedelta = timedelta()

    def user(self, name: str, *policies: str) -> NewKey:
        """A key of a new user with these policies."""
        user_id = self.users.create(self.account_id, name)
        for policy in policies:
            self.users.attach(self.account_id, name, policy)
        return self.assembly.keys.create(self.account_id, user_id=user_id)

    def issue(self, **options: Any) -> IssuedToken:
        return self.assembly.sts.issue(self.account_id, **options)

    def send(
        self, signer: Acs3 | RpcV1, action: str, token: str | None = None, **parameters: str
    ) -> httpx.Response:
        signed = signer.sign("POST", f"127.0.0.1:{self.port}", action, [*parameters.items()], token=token)
        url = f"http://127.0.0.1:{self.port}{signed.target}"
        return self.http.request(signed.method, url, headers=signed.headers, content=signed.body)

    def code(
        self, key: NewKey | IssuedToken, action: str = LISTS, scheme: Scheme = Acs3, **parameters: str
    ) -> str:
        """OK, or the code of the error."""
        token = key.security_token if isinstance(key, IssuedToken) else None
        answer = self.send(scheme(key.access_key_id, key.secret), action, token, **parameters)
        return "OK" if answer.status_code == 200 else str(answer.json()["Code"])


def document(effect: str = "Allow", action: str = "ice:*", **more: Any) -> str:
    statement = {"Effect": effect, "Action": action, "Resource": "*"} | more
    return json.dumps({"Version": "1", "Statement": [statement]})


@pytest.fixture(scope="module")
def running(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ram]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), trusted_proxies=["127.0.0.1"])
    assembly = Assembly(settings, module_database_url, owns_database=True)
    first = assembly.first_run()
    assert first is not None
    account_id = assembly.accounts.find("default")
    assert account_id is not None
    database = assembly.database
    with httpx.Client(timeout=DEADLINE_S, trust_env=False) as http:
        ram = Ram(assembly, 0, account_id, first.key, Users(database), Policies(database), http)
        assembly.sts = StsTokens(database, assembly.keyring, lambda: datetime.now(UTC) + ram.ahead)
        with over_http(assembly.app()) as ram.port:
            yield ram
    assembly.stop()


@pytest.fixture
def ram(running: Ram) -> Ram:
    """With no user and no policy of the account's own."""
    for user in running.users.all(running.account_id):
        running.users.delete(running.account_id, user.name)
    for policy in running.policies.all(running.account_id):
        if not policy.is_managed:
            running.policies.delete(running.account_id, policy.name)
    running.ahead = timedelta()
    return running


# keys


@BOTH
def test_an_accounts_own_key_may_do_everything(ram: Ram, scheme: Scheme) -> None:
    assert ram.code(ram.root, LISTS, scheme) == "OK"
    # what it may do is looked at before what it wants
    assert ram.code(ram.root, "SubmitSnapshotJob", scheme) == "MissingParameter"


@BOTH
@pytest.mark.parametrize(
    ("policies", "reads", "writes"),
    [((), False, False), ((READ_ONLY,), True, False), ((FULL,), True, True), ((READ_ONLY, FULL), True, True)],
    ids=["nothing", "read only", "full", "both"],
)
def test_a_users_key_may_do_what_is_attached(
    ram: Ram, scheme: Scheme, policies: tuple[str, ...], reads: bool, writes: bool
) -> None:
    key = ram.user("alice", *policies)
    assert ram.code(key, LISTS, scheme) == ("OK" if reads else "NoPermission")
    assert ram.code(key, "GetSnapshotJob", scheme, JobId="0" * 32) == (
        "ResourceNotFound" if reads else "NoPermission"
    )
    for action in ("SubmitSnapshotJob", "CancelSnapshotJob", "DeleteSnapshotJob"):
        assert ram.code(key, action, scheme) == ("MissingParameter" if writes else "NoPermission")


def test_what_a_user_does_belongs_to_the_account(ram: Ram) -> None:
    key = ram.user("alice", FULL)
    signer = Acs3(key.access_key_id, key.secret)
    job_id = ram.send(signer, "SubmitSnapshotJob", **SUBMIT).json()["JobId"]
    assert ram.code(ram.root, "GetSnapshotJob", JobId=job_id) == "OK"
    assert ram.code(ram.root, "CancelSnapshotJob", JobId=job_id) == "OK"


@pytest.mark.parametrize("of_user", [True, False], ids=["a user's", "the account's"])
def test_a_key_that_is_disabled_or_deleted_is_so_at_once(ram: Ram, of_user: bool) -> None:
    keys = ram.assembly.keys
    key = ram.user("alice", FULL) if of_user else keys.create(ram.account_id)
    assert ram.code(key) == "OK"
    keys.set_active(key.access_key_id, active=False)
    assert ram.code(key) == "InvalidAccessKeyId.Inactive"
    keys.set_active(key.access_key_id, active=True)
    assert ram.code(key) == "OK"
    keys.delete(key.access_key_id)
    assert ram.code(key) == "InvalidAccessKeyId.NotFound"


def test_a_user_goes_with_all_their_keys(ram: Ram) -> None:
    key, other = ram.user("alice", FULL), ram.user("bob", FULL)
    token = ram.issue(user="alice")
    assert [ram.code(one) for one in (key, token, other)] == ["OK"] * 3
    ram.users.delete(ram.account_id, "alice")
    assert [ram.code(one) for one in (key, token, other)] == [
        "InvalidAccessKeyId.NotFound",
        "InvalidAccessKeyId.NotFound",
        "OK",
    ]


def test_a_change_of_policies_counts_for_the_very_next_request(ram: Ram) -> None:
    key, account_id = ram.user("alice"), ram.account_id
    other = ram.user("bob", READ_ONLY)
    assert ram.code(key) == "NoPermission"
    ram.users.attach(account_id, "alice", READ_ONLY)
    assert ram.code(key) == "OK"
    ram.policies.create(account_id, "NoLists", document("Deny", "ice:List*"))
    assert ram.code(key) == "OK"
    ram.users.attach(account_id, "alice", "NoLists")
    assert ram.code(key) == "NoPermission"
    ram.policies.update(account_id, "NoLists", document("Deny", "ice:Submit*"))
    assert ram.code(key) == "OK"
    ram.policies.update(account_id, "NoLists", document("Deny", "ice:List*"))
    assert ram.code(key) == "NoPermission"
    ram.users.detach(account_id, "alice", "NoLists")
    assert ram.code(key) == "OK"
    ram.users.detach(account_id, "alice", READ_ONLY)
    assert ram.code(key) == "NoPermission"
    assert ram.code(other) == "OK"


def test_a_change_counts_also_while_many_ask(ram: Ram) -> None:
    """What is read for a version is never older than it, whoever asks meanwhile."""
    key, over = ram.user("alice"), threading.Event()

    def ask() -> None:
        while not over.is_set():
            ram.assembly.keys.find(key.access_key_id)
            ram.code(key)

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    try:
        for _ in range(8):
            ram.users.attach(ram.account_id, "alice", READ_ONLY)
            assert ram.code(key) == "OK"
            ram.users.detach(ram.account_id, "alice", READ_ONLY)
            assert ram.code(key) == "NoPermission"
    finally:
        over.set()
        for thread in asking:
            thread.join()


_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND wait_event_type = 'Lock' AND query LIKE '%policies_version%'"
)


def is_waiting(ram: Ram) -> bool:
    """Whether a change of policies waits for another; one transaction sees one state of that only."""
    with ram.assembly.database.transaction() as session:
        return bool(session.scalar(_WAITING))


def test_changes_of_one_account_happen_one_after_the_other(ram: Ram) -> None:
    """Else what one of them has changed could be kept under the count of the other, which did not see it."""
    ram.user("alice")
    database = ram.assembly.database
    attaching = threading.Thread(target=ram.users.attach, args=(ram.account_id, "alice", READ_ONLY))
    with database.transaction() as session:
        change_policies(session, ram.account_id)
        attaching.start()
        wait_for(lambda: is_waiting(ram))
        assert ram.users.all(ram.account_id)[0].policies == ()
    attaching.join()
    assert ram.users.all(ram.account_id)[0].policies == (READ_ONLY,)


def test_what_a_request_asks_the_database(ram: Ram, monkeypatch: pytest.MonkeyPatch) -> None:
    """The account's own key is looked up and nothing else; a user's policies are read once for each change."""
    asked: list[str] = []
    execute = psycopg.Connection.execute

    def listening(self: psycopg.Connection[Any], query: Any, *arguments: Any, **options: Any) -> Any:
        asked.append(str(query))
        return execute(self, query, *arguments, **options)

    key, token = ram.user("alice", FULL), ram.issue(role="all", policy=document())
    monkeypatch.setattr(psycopg.Connection, "execute", listening)

    def tables(one: NewKey | IssuedToken) -> list[str]:
        asked.clear()
        assert ram.code(one, "SubmitSnapshotJob") == "MissingParameter"
        return [re.search(r"(?:FROM|INTO) (\w+)", query)[1] for query in asked]  # type: ignore[index]

    assert tables(ram.root) == ["access_keys", "used_nonces"]
    assert tables(key) == ["access_keys", "used_nonces", "attached_policies"]
    assert tables(key) == ["access_keys", "used_nonces"]
    ram.users.detach(ram.account_id, "alice", FULL)
    ram.users.attach(ram.account_id, "alice", FULL)
    assert tables(key) == ["access_keys", "used_nonces", "attached_policies"]
    assert tables(token) == ["sts_tokens", "used_nonces", "sts_tokens"]


# what a caller without permission hears


@pytest.mark.parametrize(
    ("policy", "kind", "told"),
    [
        (
            None,
            "ImplicitDeny",
            "No policy of the user alice allows ice:ListSnapshotJobs. On the server, this lets one count: "
            "stillframe user attach alice POLICY.",
        ),
        (
            document("Deny", "ice:List*"),
            "ExplicitDeny",
            "The policy Mine of the user alice denies ice:ListSnapshotJobs.",
        ),
    ],
    ids=["implicit", "explicit"],
)
def test_what_a_user_hears(ram: Ram, policy: str | None, kind: str, told: str) -> None:
    if policy is not None:
        ram.policies.create(ram.account_id, "Mine", policy)
    key = ram.user("alice", *(["Mine"] if policy is not None else []))
    answer = ram.send(Acs3(key.access_key_id, key.secret), LISTS)
    body = answer.json()
    assert (answer.status_code, body["Code"]) == (403, "NoPermission")
    assert body["Message"] == (
        "User not authorized to operate on the specified resource, or this API doesn't support RAM. " + told
    )
    detail = body["AccessDeniedDetail"]
    assert {*detail} == {*ERROR["AccessDeniedDetail"]["properties"]}
    evidence = json.loads(base64.b64decode(detail.pop("EncodedDiagnosticMessage")))
    assert detail == {
        "AuthAction": "ice:ListSnapshotJobs",
        "AuthPrincipalDisplayName": "alice",
        "AuthPrincipalOwnerId": ram.account_id,
        "AuthPrincipalType": "SubUser",
        "NoPermissionType": kind,
        "PolicyType": "AccountLevelIdentityBasedPolicy",
    }
    assert evidence["Conditions"]["acs:SourceIp"] == "127.0.0.1"
    assert evidence["Resource"] == f"acs:ice:cn-shanghai:{ram.account_id}:*"


def test_what_a_role_hears(ram: Ram) -> None:
    token = ram.issue(role="uploader", policy=document("Allow", "ice:Submit*"))
    answer = ram.send(Acs3(token.access_key_id, token.secret), LISTS, token.security_token)
    body = answer.json()
    assert body["Message"].endswith(
        "The policy of this session of the role uploader does not allow ice:ListSnapshotJobs."
    )
    detail = body["AccessDeniedDetail"]
    assert (detail["AuthPrincipalType"], detail["AuthPrincipalDisplayName"]) == (
        "AssumedRoleUser",
        "uploader",
    )
    assert (detail["NoPermissionType"], detail["PolicyType"]) == ("ImplicitDeny", "SessionPolicy")


# the keys of conditions


@pytest.mark.parametrize(
    ("condition", "headers", "expected"),
    [
        ({"IpAddress": {"acs:SourceIp": "127.0.0.0/8"}}, {}, True),
        ({"IpAddress": {"acs:SourceIp": "127.0.0.0/8"}}, {"x-forwarded-for": "198.51.100.7"}, False),
        ({"IpAddress": {"acs:SourceIp": "198.51.100.7"}}, {"x-forwarded-for": "198.51.100.7"}, True),
        (
            {"IpAddress": {"acs:SourceIp": "198.51.100.7"}},
            {"x-forwarded-for": "198.51.100.7, 10.0.0.1"},
            False,
        ),
        ({"Bool": {"acs:SecureTransport": "true"}}, {}, False),
        ({"Bool": {"acs:SecureTransport": "true"}}, {"x-forwarded-proto": "https"}, True),
        ({"Bool": {"acs:MFAPresent": "true"}}, {}, False),
        ({"Bool": {"acs:MFAPresent": "false"}}, {}, True),
        ({"DateGreaterThan": {"acs:CurrentTime": "2026-01-01T00:00:00Z"}}, {}, True),
        ({"DateLessThan": {"acs:CurrentTime": "2026-01-01T00:00:00Z"}}, {}, False),
    ],
)
def test_conditions_see_the_request(
    ram: Ram, condition: dict[str, Any], headers: dict[str, str], expected: bool
) -> None:
    ram.policies.create(ram.account_id, "Some", document(Condition=condition))
    key = ram.user("alice", "Some")
    signed = Acs3(key.access_key_id, key.secret).sign("POST", f"127.0.0.1:{ram.port}", LISTS)
    answer = ram.http.post(f"http://127.0.0.1:{ram.port}/", headers=signed.headers | headers)
    assert answer.status_code == (200 if expected else 403)


# temporary keys


@BOTH
def test_a_token_of_a_user_may_do_what_the_user_may(ram: Ram, scheme: Scheme) -> None:
    ram.user("alice", READ_ONLY)
    token = ram.issue(user="alice")
    assert ram.code(token, LISTS, scheme) == "OK"
    assert ram.code(token, "SubmitSnapshotJob", scheme) == "NoPermission"
    ram.users.detach(ram.account_id, "alice", READ_ONLY)
    assert ram.code(token, LISTS, scheme) == "NoPermission"


@BOTH
@pytest.mark.parametrize(
    ("session", "reads", "writes"),
    [
        (document(), True, False),
        (document("Allow", "ice:Submit*"), False, False),
        (document("Allow", "ice:List*"), True, False),
        (document("Deny", "ice:List*"), False, False),
    ],
)
def test_a_token_of_a_user_is_narrowed_by_its_policy_and_never_widened(
    ram: Ram, scheme: Scheme, session: str, reads: bool, writes: bool
) -> None:
    ram.user("alice", READ_ONLY)
    token = ram.issue(user="alice", policy=session)
    assert (ram.code(token, LISTS, scheme) == "OK") is reads
    assert (ram.code(token, "SubmitSnapshotJob", scheme) == "MissingParameter") is writes


@BOTH
def test_a_token_of_a_role_may_do_what_its_policy_allows(ram: Ram, scheme: Scheme) -> None:
    token = ram.issue(role="reader", policy=MANAGED[READ_ONLY])
    assert ram.code(token, LISTS, scheme) == "OK"
    assert ram.code(token, "SubmitSnapshotJob", scheme) == "NoPermission"


@BOTH
def test_a_token_ends(ram: Ram, scheme: Scheme) -> None:
    token = ram.issue(role="reader", policy=document(), duration_s=900)
    ram.ahead = timedelta(seconds=890)
    assert ram.code(token, LISTS, scheme) == "OK"
    ram.ahead = timedelta(seconds=901)
    assert ram.code(token, LISTS, scheme) == "InvalidSecurityToken.Expired"
    assert token.access_key_id not in [one.access_key_id for one in ram.assembly.sts.all(ram.account_id)]
    assert forgotten(ram) == 0
    assert ram.code(token, LISTS, scheme) == "InvalidSecurityToken.Expired"
    ram.ahead = timedelta(days=2)
    assert forgotten(ram) > 0
    assert ram.code(token, LISTS, scheme) == "InvalidAccessKeyId.NotFound"


def forgotten(ram: Ram) -> int:
    with ram.assembly.database.transaction() as session:
        number, is_more = ram.assembly.sts.forget_expired(session, 1000)
    assert not is_more
    return number


def test_a_token_is_revoked_at_once(ram: Ram) -> None:
    token = ram.issue(role="reader", policy=document())
    assert ram.code(token) == "OK"
    assert token.access_key_id in [one.access_key_id for one in ram.assembly.sts.all(ram.account_id)]
    ram.assembly.sts.revoke(token.access_key_id)
    assert ram.code(token) == "InvalidAccessKeyId.NotFound"
    with pytest.raises(NotFound):
        ram.assembly.sts.revoke(token.access_key_id)


@BOTH
def test_a_token_counts_with_its_own_key_alone(ram: Ram, scheme: Scheme) -> None:
    narrow = ram.issue(role="narrow", policy=document("Allow", "ice:Submit*"))
    wide = ram.issue(role="wide", policy=document())
    key = ram.user("alice")
    for one in (narrow, key, ram.root):
        answer = ram.send(scheme(one.access_key_id, one.secret), LISTS, wide.security_token)
        assert answer.json()["Code"] == "InvalidSecurityToken.MismatchWithAccessKey"
    signer = scheme(wide.access_key_id, wide.secret)
    assert ram.send(signer, LISTS).json()["Code"] == "MissingSecurityToken"
    changed = [
        wide.security_token[:-1],
        f"{wide.security_token}A",
        wide.security_token.swapcase(),
        wide.access_key_id,
        "A" * 5000,
    ]
    for token in changed:
        assert ram.send(signer, LISTS, token).json()["Code"] == "InvalidSecurityToken.Malformed"
    wrong = replace(signer, secret=narrow.secret)
    assert ram.send(wrong, LISTS, wide.security_token).json()["Code"] == "SignatureDoesNotMatch"
    assert ram.code(wide, LISTS, scheme) == "OK"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, ConfigError),
        ({"role": "reader"}, ConfigError),
        ({"role": "no good", "policy": document()}, ConfigError),
        ({"role": "reader", "user": "alice", "policy": document()}, ConfigError),
        ({"role": "reader", "policy": "{}"}, ConfigError),
        ({"user": "alice", "duration_s": 899}, ConfigError),
        ({"user": "alice", "duration_s": 43_201}, ConfigError),
        ({"user": "nobody"}, NotFound),
    ],
)
def test_tokens_that_are_not_issued(ram: Ram, options: dict[str, Any], error: type[Exception]) -> None:
    ram.user("alice")
    with pytest.raises(error):
        ram.issue(**options)


# two accounts


def test_accounts_know_nothing_of_each_other(ram: Ram) -> None:
    assembly = ram.assembly
    with assembly.database.transaction() as session:
        other_id, other_root = open_account(
            f"other-{ram.port}", assembly.accounts, assembly.pipelines, assembly.keys, within=session
        )
    ram.user("alice", READ_ONLY)
    ram.policies.create(ram.account_id, "Mine", document())
    assert ram.users.all(other_id) == []
    assert [policy.name for policy in ram.policies.all(other_id)] == [FULL, READ_ONLY]
    alice = ram.users.id_of(ram.account_id, "alice")
    for attempt in (
        lambda: ram.users.attach(other_id, "alice", FULL),
        lambda: ram.users.delete(other_id, "alice"),
        lambda: ram.policies.document(other_id, "Mine"),
        lambda: ram.policies.update(other_id, "Mine", document()),
        lambda: ram.policies.delete(other_id, "Mine"),
        lambda: assembly.keys.create(other_id, user_id=alice),
        lambda: assembly.sts.issue(other_id, user="alice"),
    ):
        with pytest.raises(NotFound):
            attempt()
    # the same name is somebody else there, with policies of that account's own
    bob = ram.users.create(other_id, "alice")
    ram.policies.create(other_id, "Mine", document("Deny", "*"))
    ram.users.attach(other_id, "alice", "Mine")
    ram.users.attach(ram.account_id, "alice", "Mine")
    key, other_key = (
        assembly.keys.create(account_id, user_id=user_id)
        for account_id, user_id in ((ram.account_id, alice), (other_id, bob))
    )
    assert (ram.code(key), ram.code(other_key)) == ("OK", "NoPermission")
    job_id = ram.send(Acs3(key.access_key_id, key.secret), "SubmitSnapshotJob", **SUBMIT).json()["JobId"]
    token = assembly.sts.issue(other_id, role="all", policy=document())
    for one in (other_root, token):
        for action in ("GetSnapshotJob", "GetSnapshotUrls", "CancelSnapshotJob", "DeleteSnapshotJob"):
            assert ram.code(one, action, JobId=job_id) == "ResourceNotFound"
        assert ram.code(one, "SubmitSnapshotJob", **SUBMIT) == "ResourceNotFound"
    assert ram.code(ram.root, "CancelSnapshotJob", JobId=job_id) == "OK"


# what cannot be


def test_policies_and_users_that_cannot_be(ram: Ram) -> None:
    account_id = ram.account_id
    ram.user("alice", READ_ONLY)
    ram.policies.create(account_id, "Mine", document())
    ram.users.attach(account_id, "alice", "Mine")
    ram.users.attach(account_id, "alice", "Mine")
    assert ram.users.all(account_id)[0].policies == (READ_ONLY, "Mine")
    assert [(policy.name, policy.users) for policy in ram.policies.all(account_id)] == [
        (FULL, 0),
        (READ_ONLY, 1),
        ("Mine", 1),
    ]
    for attempt, told in (
        (lambda: ram.users.create(account_id, "alice"), "a name that no other user of the account has"),
        (lambda: ram.users.create(account_id, "a b"), "letters, digits, dots"),
        (lambda: ram.policies.create(account_id, "Mine", document()), "no other policy of the account"),
        (lambda: ram.policies.create(account_id, FULL, document()), "no other policy of the account"),
        (lambda: ram.policies.create(account_id, "a.b", document()), "letters, digits and hyphens"),
        (lambda: ram.policies.create(account_id, "New", "{}"), "Version is missing"),
        (lambda: ram.policies.update(account_id, "Mine", "{}"), "Version is missing"),
        (lambda: ram.policies.update(account_id, FULL, document()), "managed ones do not change"),
        (lambda: ram.policies.delete(account_id, FULL), "managed ones do not change"),
        (lambda: ram.policies.delete(account_id, "Mine"), "detached first from: alice"),
    ):
        with pytest.raises(ConfigError, match=told):
            attempt()
    assert ram.policies.document(account_id, "Mine") == document()
    ram.users.detach(account_id, "alice", "Mine")
    ram.policies.delete(account_id, "Mine")
    for missing in (
        lambda: ram.users.attach(account_id, "alice", "Mine"),
        lambda: ram.users.detach(account_id, "alice", "Mine"),
        lambda: ram.users.attach(account_id, "bob", READ_ONLY),
        lambda: ram.users.id_of(account_id, "bob"),
    ):
        with pytest.raises(NotFound):
            missing()
