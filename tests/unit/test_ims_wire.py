"""From bytes to an action's name and parameters; what could mean two things is refused."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import parse_qsl, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillframe.accounts.signed_request import SignedRequest
from stillframe.errors import AuthenticationError, ConfigError
from stillframe.ims import wire
from stillframe.ims.registry import ACTIONS, find
from stillframe.service.errors import ApiError

FORM = (b"content-type", b"application/x-www-form-urlencoded; charset=UTF-8")


def request(query: bytes = b"", body: bytes = b"", *headers: tuple[bytes, bytes]) -> SignedRequest:
    return wire.read("POST", "/", query, headers, body)


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        (b"", []),
        (b"&&", []),
        (b"a=1&b=2", [("a", "1"), ("b", "2")]),
        (b"a=&b", [("a", ""), ("b", "")]),
        (b"a=1&a=2&a=1", [("a", "1"), ("a", "2"), ("a", "1")]),
        (b"a=b=c", [("a", "b=c")]),
        (b"=1", [("", "1")]),
        (b"a=x+y%20z%2B", [("a", "x y z+")]),
        (b"a=%c3%A9%2a~*", [("a", "é*~*")]),
        (b"a=%zz%4", [("a", "%zz%4")]),
        (b"a=1;b=2", [("a", "1;b=2")]),
        ("a=é".encode(), [("a", "é")]),
    ],
)
def test_queries_and_forms_are_read_alike(query: bytes, pairs: list[tuple[str, str]]) -> None:
    assert request(query).query == (pairs or [])
    if query:
        assert request(b"", query, FORM).form == pairs


@given(
    st.lists(
        st.tuples(st.text("ab+ é%", min_size=1), st.text(st.characters(exclude_categories=["Cs"]))),
        max_size=5,
    )
)
def test_it_reads_what_the_standard_library_reads(pairs: list[tuple[str, str]]) -> None:
    text = "&".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in pairs if "\0" not in value)
    assert request(text.encode()).query == parse_qsl(text, keep_blank_values=True)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        (b"Name=%ff", "Name"),
        (b"Name=a%00b", "Name"),
        (b"%ff=1", "Parameters"),
        (b"&".join([b"a"] * 201), "Parameters"),
    ],
)
def test_what_no_parameter_may_be(query: bytes, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        request(query)
    assert caught.value.path == name


@pytest.mark.parametrize("kind", [None, b"application/json", b"multipart/form-data; boundary=x", b""])
def test_a_body_that_is_no_form(kind: bytes | None) -> None:
    headers = [] if kind is None else [(b"content-type", kind)]
    with pytest.raises(ConfigError) as caught:
        request(b"", b"{}", *headers)
    assert caught.value.path == "Content-Type"
    # what is not there needs no type
    assert request(b"", b"", *headers).form == ()


def test_the_digest_of_a_body() -> None:
    right = base64.b64encode(hashlib.md5(b"a=1").digest())
    assert request(b"", b"a=1", FORM, (b"content-md5", right)).form == [("a", "1")]
    with pytest.raises(ApiError) as caught:
        request(b"", b"a=2", FORM, (b"content-md5", right))
    assert (caught.value.status, caught.value.code) == (400, "ContentMD5NotMatched")
    assert right.decode() in caught.value.message
    assert request(b"", b"a=2", FORM).body_sha256 == hashlib.sha256(b"a=2").hexdigest()


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        (b"Action=X&Version=V", {}),
        (b"", {"x-acs-action": "X", "x-acs-version": "V"}),
        (b"Action=X&Version=V", {"x-acs-action": "X", "x-acs-version": "V"}),
        (b"Action=X", {"x-acs-version": "V"}),
    ],
)
def test_where_the_action_is_named(query: bytes, headers: dict[str, str]) -> None:
    raw = [(key.encode(), value.encode()) for key, value in headers.items()]
    assert wire.action_name(request(query, b"", *raw)) == wire.ActionName("X", "V")
    if query:
        assert wire.action_name(request(b"", query, FORM, *raw)) == wire.ActionName("X", "V")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (b"Version=V", "MissingAction"),
        (b"Action=&Version=V", "MissingAction"),
        (b"Action=X", "MissingVersion"),
    ],
)
def test_an_action_must_be_named(query: bytes, code: str) -> None:
    with pytest.raises(AuthenticationError) as caught:
        wire.action_name(request(query))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        (b"Action=X&Version=V", [(b"x-acs-action", b"Y")]),
        (b"Action=X&Version=V", [(b"x-acs-version", b"W")]),
        (b"Action=X&Action=Y&Version=V", []),
        (b"Version=V", [(b"x-acs-action", b"X"), (b"x-acs-action", b"Y")]),
    ],
)
def test_an_action_that_could_be_two(query: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(ConfigError):
        wire.action_name(request(query, b"", *headers))


@pytest.mark.parametrize(
    ("text", "xml"), [("", False), ("json", False), ("JSON", False), ("XML", True), ("xml", True)]
)
def test_the_format_of_the_answer(text: str, xml: bool) -> None:
    assert wire.wants_xml(request(f"Format={text}".encode())) is xml
    with pytest.raises(ConfigError, match="JSON or XML"):
        wire.wants_xml(request(b"Format=yaml"))


def test_parameters_of_the_gateway_are_not_the_actions() -> None:
    query = "&".join(f"{name}=1" for name in wire.GATEWAY_PARAMETERS) + "&JobId=j"
    assert wire.business_parameters(request(query.encode(), b"Name=n", FORM)) == {"JobId": "j", "Name": "n"}
    names = {field.alias for action in ACTIONS.values() for field in action.request.model_fields.values()}
    assert not names & wire.GATEWAY_PARAMETERS


@pytest.mark.parametrize(("query", "body"), [(b"a=1&a=1", b""), (b"a=1", b"a=2"), (b"", b"a=1&a=")])
def test_a_parameter_may_come_once(query: bytes, body: bytes) -> None:
    with pytest.raises(ConfigError, match=r"a is .*given once"):
        wire.business_parameters(request(query, body, FORM))


@pytest.mark.parametrize(
    ("name", "version", "status", "code", "text"),
    [
        ("GetSnapshotJob", "2014-06-18", 400, "InvalidVersion", "must be 2020-11-09"),
        ("GetSnapshotJobs", "2020-11-09", 404, "InvalidAction.NotFound", "did you mean GetSnapshotJob"),
        (
            "getsnapshotjob",
            "2020-11-09",
            404,
            "InvalidAction.NotFound",
            "There is no action 'getsnapshotjob'",
        ),
        ("x" * 100_000, "2020-11-09", 404, "InvalidAction.NotFound", "There is no action 'xxx"),
    ],
)
def test_actions_that_are_not_there(name: str, version: str, status: int, code: str, text: str) -> None:
    with pytest.raises(ApiError) as caught:
        find(wire.ActionName(name, version))
    assert (caught.value.status, caught.value.code) == (status, code)
    assert text in caught.value.message
    assert len(caught.value.message) < 500
