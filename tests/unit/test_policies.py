"""RAM policies: what each statement says of a request, and what is said of documents that are none."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillframe.accounts.authorization import Authorizer
from stillframe.accounts.policies import (
    LONGEST_DOCUMENT,
    MANAGED,
    AccessRequest,
    Decision,
    Policy,
    evaluate,
    parse_policy,
)
from stillframe.accounts.policy_conditions import OPERATORS
from stillframe.accounts.signatures import Caller, Principal
from stillframe.accounts.wildcards import matches
from stillframe.database.engine import Database, make_engine
from stillframe.errors import ConfigError
from stillframe.ims.registry import ACTIONS

CONTEXT = {
    "acs:CurrentTime": "2026-11-22T17:30:42Z",
    "acs:MFAPresent": "false",
    "acs:SecureTransport": "true",
    "acs:SourceIp": "203.0.113.7",
    "other:Count": "10",
    "other:Name": "Alice",
}
EVERYTHING = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
IDENTITY, SESSION = "AccountLevelIdentityBasedPolicy", "SessionPolicy"


def request(action: str = "ice:GetSnapshotJob", **context: str | None) -> AccessRequest:
    told = CONTEXT | {key.replace("_", ":"): value for key, value in context.items()}
    return AccessRequest(
        action, "cn-shanghai", "1001", {key: value for key, value in told.items() if value is not None}
    )


def policy(*statements: dict[str, Any], name: str = "p") -> Policy:
    return parse_policy(json.dumps({"Version": "1", "Statement": [*statements]}), name)


def statement(
    effect: str = "Allow", action: Any = "ice:*", resource: Any = "*", /, **more: Any
) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource} | more


def is_allowed(*statements: dict[str, Any], asked: AccessRequest | None = None) -> bool:
    return evaluate(asked or request(), [policy(*statements)]).is_allowed


# actions and resources


@pytest.mark.parametrize(
    ("pattern", "action", "expected"),
    [
        ("*", "ice:GetSnapshotJob", True),
        ("*:*", "ice:GetSnapshotJob", True),
        ("ice:*", "ice:GetSnapshotJob", True),
        ("ice:GetSnapshotJob", "ice:GetSnapshotJob", True),
        ("ICE:getsnapshotjob", "ice:GetSnapshotJob", True),
        ("ice:Get*", "ice:GetSnapshotJob", True),
        ("ice:Get*", "ice:SubmitSnapshotJob", False),
        ("ice:*Job", "ice:SubmitSnapshotJob", True),
        ("ice:*Job", "ice:ListSnapshotJobs", False),
        ("ice:*Job?", "ice:ListSnapshotJobs", True),
        ("ice:*Snapshot*", "ice:GetSnapshotUrls", True),
        ("ice:Get?napshotJob", "ice:GetSnapshotJob", True),
        ("ice:GetSnapshotJob?", "ice:GetSnapshotJob", False),
        ("ice:GetSnapshotJob*", "ice:GetSnapshotJob", True),
        ("ice:Get", "ice:GetSnapshotJob", False),
        ("ic?:Get*", "ice:GetSnapshotJob", True),
        ("oss:*", "ice:GetSnapshotJob", False),
        ("ice2:*", "ice:GetSnapshotJob", False),
        (["oss:*", "ice:Get*"], "ice:GetSnapshotJob", True),
        (["oss:*", "mts:*"], "ice:GetSnapshotJob", False),
    ],
)
@pytest.mark.parametrize("element", ["Action", "NotAction"])
def test_actions(element: str, pattern: Any, action: str, expected: bool) -> None:
    allow = {"Effect": "Allow", element: pattern, "Resource": "*"}
    assert is_allowed(allow, asked=request(action)) is (expected is (element == "Action"))
    # and the same statement takes away what it could give
    deny = allow | {"Effect": "Deny"}
    assert is_allowed(*EVERYTHING, deny, asked=request(action)) is not (expected is (element == "Action"))


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ("*", True),
        ("acs:ice:*:*:*", True),
        ("acs:*:*:*:*", True),
        ("acs:ice:cn-shanghai:*:*", True),
        ("acs:ice:cn-*:*:*", True),
        ("acs:ice:cn-beijing:*:*", False),
        ("acs:ice:*:1001:*", True),
        ("acs:ice:*:10?1:*", True),
        ("acs:ice:cn-shanghai:1001:*", True),
        ("acs:ice:*:1002:*", False),
        ("acs:ice:cn-shanghai:1002:*", False),
        ("acs:oss:*:*:*", False),
        ("acs:ice:*:*:snapshotjob/*", False),
        ("acs:ice:*:*:?", False),
        ("acs:ice:*:*:*/*", False),
        (["acs:oss:*:*:*", "acs:ice:*:*:*"], True),
        (["acs:ice:*:1002:*", "acs:ice:*:1003:*"], False),
    ],
)
@pytest.mark.parametrize("effect", ["Allow", "Deny"])
def test_resources(effect: str, resource: Any, expected: bool) -> None:
    told = statement(effect, "ice:*", resource)
    if effect == "Allow":
        assert is_allowed(told) is expected
    else:
        assert is_allowed(*EVERYTHING, told) is not expected


# conditions


@pytest.mark.parametrize(
    ("operator", "key", "values", "expected"),
    [
        ("StringEquals", "other:Name", "Alice", True),
        ("StringEquals", "other:Name", "alice", False),
        ("StringEquals", "other:Name", "A*", False),
        ("StringEquals", "other:Name", ["Bob", "Alice"], True),
        ("StringEquals", "other:None", "Alice", False),
        ("StringEquals", "acs:SourceIp", "203.0.113.7", True),
        ("StringEquals", "acs:SecureTransport", True, True),
        ("StringEquals", "other:Count", 10, True),
        ("StringNotEquals", "other:Name", "Bob", True),
        ("StringNotEquals", "other:Name", "Alice", False),
        ("StringNotEquals", "other:Name", ["Bob", "Alice"], False),
        ("StringNotEquals", "other:Name", ["Bob", "Carol"], True),
        ("StringNotEquals", "other:None", "Alice", True),
        ("StringEqualsIgnoreCase", "other:Name", "aLICE", True),
        ("StringEqualsIgnoreCase", "other:Name", "bob", False),
        ("StringNotEqualsIgnoreCase", "other:Name", "aLICE", False),
        ("StringNotEqualsIgnoreCase", "other:Name", "bob", True),
        ("StringLike", "other:Name", "A*", True),
        ("StringLike", "other:Name", "Al?ce", True),
        ("StringLike", "other:Name", "a*", False),
        ("StringLike", "other:Name", "Al?", False),
        ("StringLike", "acs:SourceIp", "203.0.113.*", True),
        ("StringNotLike", "other:Name", "A*", False),
        ("StringNotLike", "other:Name", ["B*", "C*"], True),
        ("StringNotLike", "other:Name", ["B*", "A*"], False),
        ("NumericEquals", "other:Count", "10", True),
        ("NumericEquals", "other:Count", 10, True),
        ("NumericEquals", "other:Count", "10.0", True),
        ("NumericEquals", "other:Count", ["9", "11"], False),
        ("NumericEquals", "other:Name", "10", False),
        ("NumericNotEquals", "other:Count", "9", True),
        ("NumericNotEquals", "other:Count", ["9", "10"], False),
        ("NumericNotEquals", "other:Name", "9", True),
        ("NumericLessThan", "other:Count", "10", False),
        ("NumericLessThan", "other:Count", 10.5, True),
        ("NumericLessThan", "other:Count", "9", False),
        ("NumericLessThanEquals", "other:Count", "10", True),
        ("NumericLessThanEquals", "other:Count", "9", False),
        ("NumericGreaterThan", "other:Count", "10", False),
        ("NumericGreaterThan", "other:Count", "9", True),
        ("NumericGreaterThan", "other:Count", "-9", True),
        ("NumericGreaterThanEquals", "other:Count", "10", True),
        ("NumericGreaterThanEquals", "other:Count", "11", False),
        ("DateEquals", "acs:CurrentTime", "2026-11-22T17:30:42Z", True),
        ("DateEquals", "acs:CurrentTime", "2026-11-23T01:30:42+08:00", True),
        ("DateEquals", "acs:CurrentTime", "2026-11-22T17:30:43Z", False),
        ("DateNotEquals", "acs:CurrentTime", "2026-11-22T17:30:42Z", False),
        ("DateNotEquals", "acs:CurrentTime", "2026-11-22T17:30:43Z", True),
        ("DateLessThan", "acs:CurrentTime", "2026-11-22T17:30:42Z", False),
        ("DateLessThan", "acs:CurrentTime", "2026-11-22T17:30:43Z", True),
        ("DateLessThan", "acs:CurrentTime", "2025-01-01T00:00:00Z", False),
        ("DateLessThanEquals", "acs:CurrentTime", "2026-11-22T17:30:42Z", True),
        ("DateLessThanEquals", "acs:CurrentTime", "2026-11-22T17:30:41Z", False),
        ("DateGreaterThan", "acs:CurrentTime", "2026-11-22T17:30:42Z", False),
        ("DateGreaterThan", "acs:CurrentTime", "2026-11-22T17:30:41Z", True),
        ("DateGreaterThanEquals", "acs:CurrentTime", "2026-11-22T17:30:42Z", True),
        ("DateGreaterThanEquals", "acs:CurrentTime", "2026-11-22T17:30:43Z", False),
        ("DateLessThan", "other:Name", "2026-11-22T17:30:42Z", False),
        ("Bool", "acs:SecureTransport", "true", True),
        ("Bool", "acs:SecureTransport", "True", True),
        ("Bool", "acs:SecureTransport", True, True),
        ("Bool", "acs:SecureTransport", "false", False),
        ("Bool", "acs:MFAPresent", "true", False),
        ("Bool", "acs:MFAPresent", False, True),
        ("Bool", "acs:MFAPresent", ["true", "false"], True),
        ("Bool", "other:Name", "true", False),
        ("IpAddress", "acs:SourceIp", "203.0.113.7", True),
        ("IpAddress", "acs:SourceIp", "203.0.113.8", False),
        ("IpAddress", "acs:SourceIp", "203.0.113.0/24", True),
        ("IpAddress", "acs:SourceIp", "203.0.113.9/24", True),
        ("IpAddress", "acs:SourceIp", "203.0.113.8/29", False),
        ("IpAddress", "acs:SourceIp", ["10.0.0.0/8", "203.0.113.0/28"], True),
        ("IpAddress", "acs:SourceIp", "0.0.0.0/0", True),
        ("IpAddress", "acs:SourceIp", "::/0", False),
        ("IpAddress", "acs:SourceIp", "::ffff:203.0.113.7", True),
        ("IpAddress", "acs:SourceIp", "::ffff:203.0.113.0/120", True),
        ("IpAddress", "acs:SourceIp", "::ffff:203.0.113.8/125", False),
        ("IpAddress", "acs:SourceIp", "::ffff:0:0/96", True),
        ("NotIpAddress", "acs:SourceIp", "::ffff:203.0.113.0/120", False),
        ("NotIpAddress", "acs:SourceIp", "203.0.113.0/24", False),
        ("NotIpAddress", "acs:SourceIp", "10.0.0.0/8", True),
        ("NotIpAddress", "acs:SourceIp", ["10.0.0.0/8", "203.0.113.7"], False),
        ("NotIpAddress", "acs:SourceIp", ["10.0.0.0/8", "192.0.2.0/24"], True),
    ],
)
def test_conditions(operator: str, key: str, values: Any, expected: bool) -> None:
    condition = {operator: {key: values}}
    assert is_allowed(statement(Condition=condition)) is expected
    assert is_allowed(*EVERYTHING, statement("Deny", Condition=condition)) is not expected


@pytest.mark.parametrize(
    ("source_ip", "wanted", "expected"),
    [
        ("::ffff:10.1.2.3", "10.0.0.0/8", True),
        ("2001:db8::5", "2001:db8::/32", True),
        ("2001:db9::5", "2001:db8::/32", False),
        ("10.1.2.3", "2001:db8::/32", False),
        ("no address", "0.0.0.0/0", False),
        (None, "0.0.0.0/0", False),
    ],
)
def test_addresses_of_both_kinds(source_ip: str | None, wanted: str, expected: bool) -> None:
    asked = request(acs_SourceIp=source_ip)
    for operator in ("IpAddress", "NotIpAddress"):
        condition = {operator: {"acs:SourceIp": wanted}}
        told = is_allowed(statement(Condition=condition), asked=asked)
        assert told is (expected is (operator == "IpAddress"))


HERE, THERE = {"acs:SourceIp": "203.0.113.0/24"}, {"acs:SourceIp": "10.0.0.0/8"}
SAFE, UNSAFE = {"acs:SecureTransport": "true"}, {"acs:SecureTransport": "false"}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"IpAddress": HERE, "Bool": SAFE}, True),
        ({"IpAddress": HERE, "Bool": UNSAFE}, False),
        ({"IpAddress": THERE, "Bool": SAFE}, False),
        ({"IpAddress": THERE, "Bool": UNSAFE}, False),
        ({"Bool": SAFE | {"acs:MFAPresent": "false"}}, True),
        ({"Bool": SAFE | {"acs:MFAPresent": "true"}}, False),
    ],
)
def test_operators_and_keys_must_all_hold(condition: dict[str, Any], expected: bool) -> None:
    assert is_allowed(statement(Condition=condition)) is expected


# several statements and policies

GET, SUBMIT = statement("Allow", "ice:Get*"), statement("Allow", "ice:Submit*")
NO_GET, NO_SUBMIT = statement("Deny", "ice:Get*"), statement("Deny", "ice:Submit*")
NEVER = statement("Deny", Condition={"IpAddress": THERE})
EXPLICIT, IMPLICIT = "ExplicitDeny", "ImplicitDeny"


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([], IMPLICIT),
        ([[GET]], None),
        ([[SUBMIT]], IMPLICIT),
        ([[SUBMIT, GET]], None),
        ([[SUBMIT], [GET]], None),
        ([[NO_GET]], EXPLICIT),
        ([[GET, NO_GET]], EXPLICIT),
        ([[NO_GET, GET]], EXPLICIT),
        ([[GET], [NO_GET]], EXPLICIT),
        ([[NO_GET], [GET], EVERYTHING], EXPLICIT),
        ([[GET, NO_SUBMIT]], None),
        ([[GET, NEVER]], None),
        ([[NEVER]], IMPLICIT),
    ],
)
def test_a_deny_wins_and_an_allow_is_needed(
    statements: list[list[dict[str, Any]]], expected: str | None
) -> None:
    policies = [policy(*several, name=str(number)) for number, several in enumerate(statements)]
    found = evaluate(request(), policies)
    assert found.is_allowed is (expected is None)
    assert (found.no_permission_type, found.policy_type) == (expected, expected and IDENTITY)
    told = [number for number, several in enumerate(statements) if NO_GET in several]
    assert found.policy == (str(told[0]) if told else None)


@pytest.mark.parametrize(
    ("identity", "session", "expected"),
    [
        (None, None, Decision()),
        (None, [GET], Decision()),
        (None, [SUBMIT], Decision(IMPLICIT, SESSION)),
        (None, [GET, NO_GET], Decision(EXPLICIT, SESSION, "session")),
        ([GET], None, Decision()),
        ([GET], [GET], Decision()),
        ([GET], EVERYTHING, Decision()),
        (EVERYTHING, [GET], Decision()),
        ([SUBMIT], [GET], Decision(IMPLICIT, IDENTITY)),
        ([GET], [SUBMIT], Decision(IMPLICIT, SESSION)),
        ([SUBMIT], [SUBMIT], Decision(IMPLICIT, SESSION)),
        ([GET, NO_GET], [SUBMIT], Decision(EXPLICIT, IDENTITY, "own")),
        ([SUBMIT], [NO_GET], Decision(EXPLICIT, SESSION, "session")),
        ([NO_GET], [NO_GET], Decision(EXPLICIT, SESSION, "session")),
    ],
)
def test_a_session_can_no_more_than_both_allow(
    identity: list[dict[str, Any]] | None, session: list[dict[str, Any]] | None, expected: Decision
) -> None:
    own = None if identity is None else [policy(*identity, name="own")]
    assert evaluate(request(), own, session and policy(*session, name="session")) == expected


@pytest.mark.parametrize("name", ACTIONS)
def test_the_managed_policies(name: str) -> None:
    full, read_only = (
        evaluate(request(f"ice:{name}"), [parse_policy(MANAGED[managed], managed)]).is_allowed
        for managed in ("AliyunICEFullAccess", "AliyunICEReadOnlyAccess")
    )
    assert full
    assert read_only is name.startswith(("Get", "List", "Describe"))
    # that of IMS knows no other beginnings
    assert read_only is (ACTIONS[name].access == "read" and not name.startswith("Batch"))


# documents that are none


@pytest.mark.parametrize(
    ("document", "path", "words"),
    [
        ("", "Policy", "a JSON object"),
        ("[]", "Policy", "a JSON object"),
        ("[" * 5000, "Policy", "a JSON object"),
        ('{"Version":NaN}', "Policy", "NaN is not JSON"),
        ("9" * 5000, "Policy", "a JSON object"),
        (" " * (LONGEST_DOCUMENT + 1), "Policy", "6144 characters or less"),
        ('{"Statement":[]}', "Version", 'is missing, but must be the text "1"'),
        ('{"Version":"1"}', "Statement", "is missing, but must be a list of one statement or more"),
        ('{"Version":"1","Version":"2"}', "Version", "['1', '2'], but must be written once"),
        ('{"version":"1"}', "version", "did you mean Version?"),
    ],
)
def test_documents(document: str, path: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_policy(document)
    assert caught.value.path == path
    assert words in str(caught.value)


ONE = {"Effect": "Allow", "Action": "ice:*", "Resource": "*"}


@pytest.mark.parametrize(
    ("document", "path", "words"),
    [
        ({"Version": 1}, "Version", "is 1, but must be the text"),
        ({"Version": "2"}, "Version", "is '2', but must be the text"),
        ({"Statement": []}, "Statement", "a list of one statement or more"),
        ({"Statement": ONE}, "Statement", "a list of one statement or more"),
        ({"Statement": ["Allow"]}, "Statement[0]", "an object with Effect"),
        ({"Statement": [ONE, ONE | {"Effect": "allow"}]}, "Statement[1].Effect", '"Allow" or "Deny"'),
        ({"Statement": [{"Action": "*", "Resource": "*"}]}, "Statement[0].Effect", "is missing"),
        ({"Id": "x"}, "Id", "left out: there are Version, Statement"),
    ],
)
def test_policies_that_are_none(document: dict[str, Any], path: str, words: str) -> None:
    demand_refusal({"Version": "1", "Statement": [ONE]} | document, path, words)


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"Action": None}, "Action", "an action such as"),
        ({"Action": []}, "Action", "an action such as"),
        ({"Action": ["ice:*", "Get"]}, "Action[1]", "is 'Get', but must be an action such as"),
        ({"Action": "ice:Get Job"}, "Action", "an action such as"),
        ({"Action": "ice:a:b"}, "Action", "an action such as"),
        ({"NotAction": "ice:*"}, "", "['Action', 'NotAction'], but must be given either"),
        ({"Resource": "acs:ice:*:*"}, "Resource", "with * for any"),
        ({"Resource": "acs:ice:::*"}, "Resource", "with * for any"),
        ({"Resource": "arn:ice:*:*:*"}, "Resource", "with * for any"),
        ({"Resource": ["*", 5]}, "Resource[1]", "is 5, but must be"),
        ({"Resource": []}, "Resource", "with * for any"),
        ({"NotResource": "*"}, "NotResource", "did you mean Resource?"),
        ({"Principal": "*"}, "Principal", "left out"),
        ({"Condition": {}}, "Condition", "an object of operators"),
        ({"Condition": {"Bool": {}}}, "Condition.Bool", "an object of keys"),
        ({"Condition": {"Bool": "true"}}, "Condition.Bool", "an object of keys"),
    ],
)
def test_statements_that_are_none(changes: dict[str, Any], path: str, words: str) -> None:
    where = f"Statement[0].{path}".removesuffix(".")
    demand_refusal({"Version": "1", "Statement": [ONE | changes]}, where, words)


@pytest.mark.parametrize(
    ("operator", "key", "values", "words"),
    [
        ("IpAdress", "acs:SourceIp", "10.0.0.0/8", "must be IpAddress, or another of: StringEquals,"),
        ("ipaddress", "acs:SourceIp", "10.0.0.0/8", "must be IpAddress, or another of:"),
        ("Null", "acs:SourceIp", "true", "one of: StringEquals, StringNotEquals"),
        ("IpAddress", "acs:sourceip", "10.0.0.0/8", "acs:MFAPresent, acs:SecureTransport, acs:SourceIp"),
        ("StringEquals", "ice:Bucket", "x", "is 'ice:Bucket', but must be one of: acs:CurrentTime"),
        ("StringEquals", "SourceIp", "x", "one of: acs:CurrentTime"),
        (
            "DateLessThan",
            "acs:SourceIp",
            "2026-11-22T17:30:42Z",
            "an operator for acs:SourceIp: StringEquals",
        ),
        ("IpAddress", "acs:CurrentTime", "10.0.0.0/8", "an operator for acs:CurrentTime"),
        ("NumericEquals", "acs:MFAPresent", "1", "an operator for acs:MFAPresent"),
        ("IpAddress", "acs:SourceIp", [], "an address or a block of them"),
        ("IpAddress", "acs:SourceIp", "10.0.0.0/33", "an address or a block of them"),
        ("IpAddress", "acs:SourceIp", 167772160, "an address or a block of them"),
        ("IpAddress", "acs:SourceIp", ["10.0.0.0/8", None], "is None, but must be"),
        ("DateLessThan", "acs:CurrentTime", "2026-11-22T17:30:42", "a time with its zone"),
        ("DateLessThan", "acs:CurrentTime", "tomorrow", "a time with its zone"),
        ("Bool", "acs:MFAPresent", "yes", "true or false"),
        ("NumericEquals", "other:Count", "ten", "a number"),
        ("NumericEquals", "other:Count", 1e300, "a number"),
        ("StringEquals", "other:Name", {"a": "b"}, "a text"),
    ],
)
def test_conditions_that_are_none(operator: str, key: str, values: Any, words: str) -> None:
    changed = ONE | {"Condition": {operator: {key: values}}}
    is_unknown = operator not in OPERATORS
    path = f"Statement[0].Condition.{operator}" + ("" if is_unknown else f".{key}")
    demand_refusal({"Version": "1", "Statement": [changed]}, path, words)


def demand_refusal(document: dict[str, Any], path: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_policy(json.dumps(document))
    assert caught.value.path == path
    assert words in str(caught.value)


def test_a_role_without_a_policy_may_do_nothing() -> None:
    """There is none in the database; were there one, it would not have all of the account's rights."""
    nowhere = Database(make_engine("postgresql://127.0.0.1:1/none"))
    caller = Caller("1001", "STS.someone", Principal(role="player"))
    assert Authorizer(nowhere).decide(caller, request()).no_permission_type == "ImplicitDeny"


# wildcards


@pytest.mark.parametrize(
    ("pattern", "text"), list(product(["", "*", "?", "a*", "*a", "a*a", "?*", "*?*"], ["", "a", "ab", "aba"]))
)
def test_wildcards_are_those_of_the_shell(pattern: str, text: str) -> None:
    first = {"": 0, "?": 1, "?*": 1, "*?*": 1}
    expected = {
        "": text == "",
        "*": True,
        "?": len(text) == 1,
        "a*": text.startswith("a"),
        "*a": text.endswith("a"),
        "a*a": len(text) > 1 and text[0] == text[-1] == "a",
    }.get(pattern, len(text) >= first.get(pattern, 0))
    assert matches(pattern, text) is expected


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=12))
def test_wildcards_agree_with_the_simplest_definition(pattern: str, text: str) -> None:
    assert matches(pattern, text) is naive(pattern, text)


def naive(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(naive(pattern[1:], text[n:]) for n in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and naive(pattern[1:], text[1:])


def test_many_stars_take_no_time() -> None:
    # what takes each star's choices one by one would never come back
    assert not matches("a*" * 2000 + "b", "a" * 5000)
