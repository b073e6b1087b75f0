"""Signatures that are right: published vectors, recorded requests of three SDKs, and any text."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signing import ACS3, BOTH, HOST, NOW, arrived, check, refusal

from ims_signer import Acs3, RpcV1, Signed
from stillframe.accounts.signatures import Caller, KeyFacts, Principal, TokenState
from stillframe.accounts.signed_request import SignedRequest
from stillframe.errors import AuthenticationError
from stillframe.ims import wire

CAPTURES = Path(__file__).parent / "captures"


def test_the_published_vector_of_acs3() -> None:
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com",
        "x-acs-action": "RunInstances",
        "x-acs-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "x-acs-date": "2023-10-26T10:22:32Z",
        "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
        "x-acs-version": "2014-05-26",
    }
    headers["Authorization"] = (
        f"ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders={';'.join(headers)},"
        "Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    )
    query = "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai"
    caller = check(
        arrived(Signed("POST", query, headers)),
        keys={"YourAccessKeyId": KeyFacts("YourAccessKeyId", "YourAccessKeySecret", "1")}.get,
        now=datetime(2023, 10, 26, 10, 22, 32, tzinfo=UTC),
    )
    assert caller == Caller("1", "YourAccessKeyId")


def test_the_published_vector_of_v1() -> None:
    query = (
        "AccessKeyId=testId&Action=SearchTemplate&Format=XML&PageSize=2&SignatureMethod=HMAC-SHA1"
        "&SignatureNonce=4902260a-516a-4b6a-a455-45b653cf6150&SignatureVersion=1.0"
        "&Timestamp=2015-05-14T09:03:45Z&Version=2014-06-18&Signature=kmDv4mWo806GWPjQMy2z4VhBBDQ%3D"
    )
    caller = check(
        arrived(Signed("GET", query, {"host": "mts.aliyuncs.com"})),
        keys={"testId": KeyFacts("testId", "testKeySecret", "1")}.get,
        now=datetime(2015, 5, 14, 9, 3, 45, tzinfo=UTC),
    )
    assert caller == Caller("1", "testId")


def recorded() -> list[Any]:
    """Raw requests of the official SDKs, as they came over the socket."""
    return [
        pytest.param(raw.removesuffix("\n"), id=f"{path.stem}-{number}")
        for path in sorted(CAPTURES.glob("*.http"))
        for number, raw in enumerate(path.read_text(encoding="utf-8").split("\n%%%\n"))
    ]


RECORDED_KEYS = {
    "testAK": KeyFacts("testAK", "testSecret", "1"),
    "STS.testAK": KeyFacts("STS.testAK", "testSecret", "1", temporary=True),
    "STS.ak": KeyFacts("STS.ak", "sk", "1", temporary=True),
}


def parsed(raw: str) -> SignedRequest:
    head, _, body = raw.partition("\n\n")
    first, *lines = head.split("\n")
    method, target, _ = first.split(" ")
    headers = [line.partition(":")[::2] for line in lines]
    raw_headers = [(name.lower().encode(), value.encode()) for name, value in headers]
    return wire.read(method, "/", target.partition("?")[2].encode(), raw_headers, body.encode())


def check_recorded(request: SignedRequest) -> Caller:
    now = datetime(2026, 11, 22, 17, 35, 0, tzinfo=UTC)
    return check(request, keys=RECORDED_KEYS.get, tokens=lambda token, key: TokenState.VALID, now=now)


@pytest.mark.parametrize("raw", recorded())
def test_recorded_requests_are_right_as_they_came(raw: str) -> None:
    assert check_recorded(parsed(raw)).account_id == "1"


def test_all_recordings_are_there() -> None:
    assert len(recorded()) == 20


@pytest.mark.parametrize("raw", recorded())
def test_recorded_requests_are_wrong_with_any_other_parameter(raw: str) -> None:
    request = parsed(raw)
    with pytest.raises(AuthenticationError, match="SignatureDoesNotMatch"):
        check_recorded(replace(request, query=[*request.query, ("More", "")]))


def test_the_tokens_of_recorded_requests_come_out_as_they_went_in() -> None:
    tokens = {check_recorded(parsed(param.values[0])).security_token for param in recorded()}
    assert tokens == {None, "tok/en+==", "to/k+="}


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
TRICKY = st.sampled_from(
    ["", "+", "*", "~", " ", "%", "%2B", "a+b", "a b", "é", "日本", "🎞", "&", "=", "-_.~", "/", "\n"]
)
NAMES = st.text("abcXYZ019 +*~é.", min_size=1, max_size=4)
PAIRS = st.lists(st.tuples(NAMES, TEXT | TRICKY), max_size=6)


@BOTH
@given(query=PAIRS, form=PAIRS, method=st.sampled_from(["GET", "POST"]))
def test_any_parameters_survive(
    signer: Acs3 | RpcV1, query: list[tuple[str, str]], form: list[tuple[str, str]], method: str
) -> None:
    signed = signer.sign(method, HOST, "GetSnapshotJob", query, form=form, moment=NOW)
    request = arrived(signed)
    assert check(request) == Caller("1001", "id", Principal("7", "alice"))
    assert [pair for pair in request.query if pair in query] == query or isinstance(signer, RpcV1)
    assert list(request.form) == form


@BOTH
@given(query=PAIRS)
def test_a_space_may_be_a_plus_on_the_way(signer: Acs3 | RpcV1, query: list[tuple[str, str]]) -> None:
    signed = signer.sign("POST", HOST, "GetSnapshotJob", query, moment=NOW)
    check(arrived(replace(signed, query=signed.query.replace("%20", "+"))))


@BOTH
@given(query=PAIRS, other=PAIRS)
def test_no_other_parameters_pass(
    signer: Acs3 | RpcV1, query: list[tuple[str, str]], other: list[tuple[str, str]]
) -> None:
    request = arrived(signer.sign("POST", HOST, "GetSnapshotJob", query, moment=NOW))
    others = [pair for pair in request.query if pair not in query] + other
    if sorted(others) == sorted(request.query):
        check(replace(request, query=others))
    else:
        assert refusal(replace(request, query=others))[1] == "SignatureDoesNotMatch"


@given(agent=st.text(st.characters(min_codepoint=33, exclude_categories=["Cs", "Z", "C"]), max_size=20))
def test_headers_of_any_text_survive(agent: str) -> None:
    check(arrived(ACS3.sign("POST", HOST, "GetSnapshotJob", moment=NOW, more={"user-agent": agent})))


def test_headers_in_latin_1_are_signed_as_their_characters() -> None:
    signed = ACS3.sign("POST", HOST, "GetSnapshotJob", moment=NOW, more={"user-agent": "café"})
    headers = [(name.encode(), value.encode("latin-1")) for name, value in signed.headers.items()]
    check(wire.read("POST", "/", signed.query.encode(), headers, b""))


def test_repeated_headers_are_signed_sorted() -> None:
    signed = ACS3.sign("POST", HOST, "GetSnapshotJob", moment=NOW, more={"x-acs-tag": "a,b"})
    headers = [
        (name.encode(), value.encode()) for name, value in signed.headers.items() if name != "x-acs-tag"
    ]
    twice = [*headers, (b"x-acs-tag", b" b"), (b"x-acs-tag", b"a ")]
    check(wire.read("POST", "/", b"", twice, b""))
