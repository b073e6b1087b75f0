"""Errors on the wire: one table, and every error of Stillframe has its place in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillframe.errors import (
    AlreadyRegistered,
    AuthenticationError,
    ConfigError,
    MediaError,
    NotFound,
    NotSupported,
    PastTheEnd,
    SinkError,
    SourceError,
    StillAtWork,
    StillframeError,
    Throttled,
    Unavailable,
)
from stillframe.ims.action import Answer
from stillframe.ims.reply import failure, success
from stillframe.ims.xml_text import to_xml
from stillframe.service.error_table import ERRORS
from stillframe.service.errors import ApiError, as_api_error

#: sections 4.1 and 4.3 of the contract
CONTRACT = {
    "MissingParameter": 400,
    "InvalidParameter": 400,
    "InvalidParameter.NotSupport": 400,
    "OperationDenied": 403,
    "Forbidden": 403,
    "ResourceNotFound": 404,
    "InternalError": 500,
    "ServiceUnavailable": 503,
    "SignatureDoesNotMatch": 400,
    "IncompleteSignature": 400,
    "InvalidAccessKeyId.NotFound": 404,
    "InvalidAccessKeyId.Inactive": 400,
    "InvalidTimeStamp.Expired": 400,
    "InvalidTimeStamp.Format": 400,
    "SignatureNonceUsed": 400,
    "InvalidVersion": 400,
    "InvalidAction.NotFound": 404,
    "MissingAccessKeyId": 400,
    "MissingTimestamp": 400,
    "MissingVersion": 400,
    "InvalidSignatureMethod": 400,
    "UnsupportedHTTPMethod": 400,
    "ContentMD5NotMatched": 400,
    "InvalidSecurityToken.Expired": 400,
    "InvalidSecurityToken.Malformed": 400,
    "InvalidSecurityToken.MismatchWithAccessKey": 400,
    "MissingSecurityToken": 400,
    "Throttling": 400,
    "Throttling.Api": 400,
    "Throttling.User": 400,
    "NoPermission": 403,
}


@pytest.mark.parametrize(("code", "status"), CONTRACT.items())
def test_statuses_are_those_of_the_contract(code: str, status: int) -> None:
    assert ERRORS[code].status == status


@pytest.mark.parametrize("code", ERRORS)
def test_every_code_has_its_sentence_and_says_what_to_do(code: str) -> None:
    kind = ERRORS[code]
    facts = dict.fromkeys(re.findall(r"\{(\w+)\}", kind.message), "FACT")
    error = ApiError(code, flaw="And more.", **facts)
    assert error.message.endswith(" And more.")
    assert "{" not in error.message
    assert kind.remedy.endswith(".")


def subclasses(kind: type[StillframeError]) -> Iterator[type[StillframeError]]:
    yield kind
    for inner in kind.__subclasses__():
        yield from subclasses(inner)


def test_every_error_of_ours_has_a_code_of_the_table() -> None:
    assert [kind for kind in subclasses(StillframeError) if kind.code not in ERRORS] == []


EXAMPLES = [
    (
        ConfigError("SpriteSnapshotConfig.Columns", 0, "a whole number from 1 to 10000"),
        (400, "InvalidParameter"),
        'The specified parameter "SpriteSnapshotConfig.Columns" is not valid. '
        "It is 0, but must be a whole number from 1 to 10000.",
    ),
    (
        ConfigError("X", "y" * 1_000_000, "short"),
        (400, "InvalidParameter"),
        f'The specified parameter "X" is not valid. It is \'{"y" * 199}…, but must be short.',
    ),
    (
        NotSupported("Input.Type", "Media", "OSS"),
        (400, "InvalidParameter.NotSupport"),
        "The specified parameter \"Input.Type\" has a value that is not supported. It is 'Media', but must be OSS.",
    ),
    (
        NotFound("Pipeline", "abc"),
        (404, "ResourceNotFound"),
        "The specified resource for \"Pipeline\" could not be found. There is no Pipeline 'abc'.",
    ),
    (
        AlreadyRegistered("oss://b/k", "0a1b"),
        (409, "MediaAlreadyExist"),
        "The media with the given inputUrl 'oss://b/k' already exists. Its MediaId is 0a1b.",
    ),
    (Throttled(1500), (400, "Throttling.User"), "Request was denied due to user flow control."),
    (
        Unavailable("database"),
        (503, "ServiceUnavailable"),
        f"{ERRORS['ServiceUnavailable'].message} The database cannot be reached at the moment.",
    ),
    (
        StillAtWork("the work on job 0a1b"),
        (503, "ServiceUnavailable"),
        f"{ERRORS['ServiceUnavailable'].message} The work on job 0a1b has not ended yet.",
    ),
    (SourceError("oss://b/k", "no such file"), (404, "ResourceNotFound"), "oss://b/k: no such file"),
    (SinkError("oss://b/k", "the disk is full"), (403, "OperationDenied"), "oss://b/k: the disk is full"),
    (
        MediaError("x.mp4", "empty", "is empty"),
        (400, "InvalidParameter.ResourceContentBad"),
        "x.mp4: is empty",
    ),
    (PastTheEnd("x.mp4", "ends at 5 s"), (400, "InvalidParameter"), "x.mp4: ends at 5 s"),
    (
        AuthenticationError("SignatureNonceUsed", nonce="n"),
        (400, "SignatureNonceUsed"),
        "Specified signature nonce was used already.",
    ),
    (ApiError("Forbidden"), (403, "Forbidden"), "User not authorized to operate on the specified resource."),
]


@pytest.mark.parametrize(("error", "told", "message"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_how_errors_are_told(error: Exception, told: tuple[int, str], message: str) -> None:
    answer = as_api_error(error)
    assert answer is not None
    assert ((answer.status, answer.code), answer.message) == (told, message)


@pytest.mark.parametrize(
    "error", [ValueError("secret"), KeyError("secret"), OSError(5, "secret"), RuntimeError()]
)
def test_nothing_is_told_of_what_nobody_foresaw(error: Exception) -> None:
    assert as_api_error(error) is None


def test_an_answer_bears_all_that_users_look_for() -> None:
    error = ApiError("NoPermission", details={"AccessDeniedDetail": {"AuthAction": "ice:GetSnapshotJob"}})
    assert error.body("R", "h:1") == {
        "RequestId": "R",
        "HostId": "h:1",
        "Code": "NoPermission",
        "Message": ERRORS["NoPermission"].message,
        "Recommend": ERRORS["NoPermission"].remedy,
        "AccessDeniedDetail": {"AuthAction": "ice:GetSnapshotJob"},
    }


def test_throttled_callers_learn_when_to_come_again() -> None:
    error = as_api_error(Throttled(1500))
    assert error is not None
    headers = dict(failure(error, "R", "h", xml=False).headers)
    # milliseconds for the SDK, whole seconds for everybody else
    assert headers == {b"x-acs-retry-after": b"1500", b"retry-after": b"2"}


TREE = {
    "Text": 'a<b>&"é',
    "Number": 3,
    "Flag": True,
    "Nothing": None,
    "Jobs": [{"JobId": "1"}, {"JobId": "2"}],
    "Empty": [],
    "Report": {"any key": {"1": "\x01"}},
}


def test_answers_as_xml() -> None:
    root = ElementTree.fromstring(to_xml("GetResponse", TREE))
    assert root.tag == "GetResponse"
    assert [(one.tag, one.text) for one in root[:3]] == [
        ("Text", 'a<b>&"é'),
        ("Number", "3"),
        ("Flag", "true"),
    ]
    assert [one.findtext("JobId") for one in root.findall("Jobs")] == ["1", "2"]
    assert (root.find("Nothing"), root.find("Empty")) == (None, None)
    entry = root.find("Report/Entry")
    assert entry is not None
    assert entry.get("name") == "any key"
    assert entry[0].text == "\ufffd"


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(st.characters(exclude_categories=["Cs"])),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
        ),
        max_leaves=8,
    )
)
def test_anything_becomes_xml_that_can_be_read(value: object) -> None:
    ElementTree.fromstring(to_xml("Response", {"Value": value}))


def test_a_success_bears_its_request_id() -> None:
    assert success("X", Answer(), "R", xml=False).body == b'{"RequestId":"R"}'
    assert success("X", Answer(), "R", xml=True).body.endswith(
        b"<XResponse><RequestId>R</RequestId></XResponse>"
    )
