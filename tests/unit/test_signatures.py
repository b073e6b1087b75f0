"""Signatures: published vectors, recorded requests of three SDKs, any text, and everything that must be refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_signer import Acs3, RpcV1, Signed, utc
from stillframe.accounts import acs3, rpc_v1
from stillframe.accounts.signatures import WINDOW, Caller, KeyFacts, TokenState, authenticate
from stillframe.accounts.signed_request import SignedRequest
from stillframe.errors import AuthenticationError, ConfigError
from stillframe.ims import wire
from stillframe.ims.errors import LONGEST_MESSAGE, as_api_error

CAPTURES = Path(__file__).parent / "captures"
NOW = datetime(2026, 11, 22, 17, 30, 42, tzinfo=UTC)
HOST = "127.0.0.1:8080"
ACS3 = Acs3("id", "secret")
V1 = RpcV1("id", "secret")
BOTH = pytest.mark.parametrize("signer", [ACS3, V1], ids=["acs3", "v1"])

KEYS = {
    "id": KeyFacts("id", "secret", "1001", user_id="alice"),
    "off": KeyFacts("off", "secret", "1001", active=False),
    "STS.id": KeyFacts("STS.id", "secret", "1001", temporary=True),
}


class Nonces:
    """Nonces in a set; `until` is what the last one was to be remembered for."""

    def __init__(self) -> None:
        self.used: set[tuple[str, str]] = set()
        self.until: datetime | None = None

    def use(self, nonce: str, access_key_id: str, until: datetime) -> bool:
        if (nonce, access_key_id) in self.used:
            return False
        self.used.add((nonce, access_key_id))
        self.until = until
        return True


def arrived(signed: Signed) -> SignedRequest:
    headers = [(name.lower().encode(), value.encode()) for name, value in signed.headers.items()]
    return wire.read(signed.method, "/", signed.query.encode(), headers, signed.body)


def check(request: SignedRequest, nonces: Nonces | None = None, **options: Any) -> Caller:
    options = {"keys": KEYS.get, "nonces": nonces or Nonces(), "now": NOW} | options
    return authenticate(request, **options)


def refusal(request: SignedRequest, nonces: Nonces | None = None, **options: Any) -> tuple[int, str, str]:
    """Status, code and message of the answer."""
    with pytest.raises((AuthenticationError, ConfigError)) as caught:
        check(request, nonces, **options)
    told = as_api_error(caught.value)
    assert told is not None
    return told.status, told.code, told.message


# published vectors and recorded requests


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


# any text

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
    assert check(request) == Caller("1001", "id", "alice")
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


# what must be refused


@BOTH
def test_a_wrong_secret_shows_what_was_signed(signer: Acs3 | RpcV1) -> None:
    wrong = replace(signer, secret="another")
    status, code, message = refusal(arrived(wrong.sign("GET", HOST, "X", [("a", "ü +")], moment=NOW)))
    assert (status, code) == (400, "SignatureDoesNotMatch")
    if signer is V1:
        assert "matched with our calculation. server string to sign is:GET&%2F&AccessKeyId%3Did%26" in message
        # how the core SDK finds it, to compare it with its own
        assert message.split(":")[1].endswith("%26a%3D%25C3%25BC%2520%252B")
    else:
        assert "does not match our calculation. server StringToSign is [ACS3-HMAC-SHA256\n" in message
        assert f"server CanonicalRequest is [GET\n/\na=%C3%BC%20%2B\nhost:{HOST}\n" in message


@BOTH
def test_the_string_to_sign_that_is_shown_makes_the_right_signature(signer: Acs3 | RpcV1) -> None:
    wrong = replace(signer, secret="another")
    right = signer.sign("POST", HOST, "X", moment=NOW, nonce="n")
    with pytest.raises(AuthenticationError) as caught:
        check(arrived(wrong.sign("POST", HOST, "X", moment=NOW, nonce="n")))
    sign = rpc_v1.sign if signer is V1 else acs3.sign
    signature = sign("secret", caught.value.facts["string_to_sign"])
    request = arrived(right)
    assert signature in (request.parameter("Signature"), (request.header("authorization") or "")[-64:])


@BOTH
@pytest.mark.parametrize(
    ("key", "expected"),
    [("nobody", (404, "InvalidAccessKeyId.NotFound")), ("off", (400, "InvalidAccessKeyId.Inactive"))],
)
def test_keys_that_do_not_count(signer: Acs3 | RpcV1, key: str, expected: tuple[int, str]) -> None:
    # the key is looked at before the signature
    signer = replace(signer, key=key, secret="whatever")
    assert refusal(arrived(signer.sign("POST", HOST, "X", moment=NOW)))[:2] == expected


@BOTH
@pytest.mark.parametrize("off", [-WINDOW, timedelta(), WINDOW])
def test_times_within_the_window(signer: Acs3 | RpcV1, off: timedelta) -> None:
    nonces = Nonces()
    check(arrived(signer.sign("POST", HOST, "X", moment=NOW + off)), nonces)
    # the nonce is remembered for as long as the request could be sent again
    assert nonces.until == NOW + off + WINDOW


@BOTH
@pytest.mark.parametrize("off", [-WINDOW - timedelta(seconds=1), WINDOW + timedelta(seconds=1)])
def test_times_outside_the_window(signer: Acs3 | RpcV1, off: timedelta) -> None:
    status, code, message = refusal(arrived(signer.sign("POST", HOST, "X", moment=NOW + off)))
    assert (status, code) == (400, "InvalidTimeStamp.Expired")
    assert message == (
        "Specified time stamp or date value is expired. "
        f"It is {utc(NOW + off)}; the server's clock says 2026-11-22T17:30:42Z."
    )


@pytest.mark.parametrize(
    "time",
    [
        "2026-11-22 17:30:42",
        "1795368642",
        "2026-13-01T00:00:00Z",
        "2026-11-22T17:30:42+08:00",
        "٢٠٢٦-11-22T17:30:42Z",
    ],
)
@BOTH
def test_times_that_are_none(signer: Acs3 | RpcV1, time: str) -> None:
    name = "Timestamp" if isinstance(signer, RpcV1) else "x-acs-date"
    signed = signer.sign("POST", HOST, "X", moment=NOW, more={name: time})
    assert refusal(arrived(signed))[:2] == (400, "InvalidTimeStamp.Format")


@BOTH
def test_a_nonce_counts_once_for_each_key(signer: Acs3 | RpcV1) -> None:
    nonces = Nonces()
    request = arrived(signer.sign("POST", HOST, "X", moment=NOW, nonce="n"))
    check(request, nonces)
    assert refusal(request, nonces)[:2] == (400, "SignatureNonceUsed")
    check(arrived(signer.sign("POST", HOST, "X", moment=NOW, nonce="m")), nonces)


@BOTH
def test_nobody_burns_the_nonce_of_another(signer: Acs3 | RpcV1) -> None:
    nonces = Nonces()
    wrong = replace(signer, secret="another")
    assert (
        refusal(arrived(wrong.sign("POST", HOST, "X", moment=NOW, nonce="n")), nonces)[1]
        == "SignatureDoesNotMatch"
    )
    check(arrived(signer.sign("POST", HOST, "X", moment=NOW, nonce="n")), nonces)


@BOTH
def test_a_nonce_has_an_end(signer: Acs3 | RpcV1) -> None:
    check(arrived(signer.sign("POST", HOST, "X", moment=NOW, nonce="n" * 128)))
    assert refusal(arrived(signer.sign("POST", HOST, "X", moment=NOW, nonce="n" * 129)))[:2] == (
        400,
        "IncompleteSignature",
    )


def drop(name: str) -> Callable[[Signed], Signed]:
    return lambda signed: replace(
        signed, headers={key: value for key, value in signed.headers.items() if key != name}
    )


def put(name: str, value: str) -> Callable[[Signed], Signed]:
    return lambda signed: replace(signed, headers=signed.headers | {name: value})


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (drop("authorization"), "MissingAccessKeyId"),
        (drop("x-acs-date"), "MissingTimestamp"),
        (drop("x-acs-signature-nonce"), "MissingSignatureNonce"),
        (drop("x-acs-content-sha256"), "IncompleteSignature"),
        (drop("user-agent"), "IncompleteSignature"),
        (put("host", "other"), "SignatureDoesNotMatch"),
        (put("user-agent", "other"), "SignatureDoesNotMatch"),
        (put("x-acs-action", "DeleteSnapshotJob"), "SignatureDoesNotMatch"),
        (put("x-acs-version", "2020-11-10"), "SignatureDoesNotMatch"),
        (put("x-acs-date", "2026-11-22T17:30:43Z"), "SignatureDoesNotMatch"),
        (put("x-acs-signature-nonce", "other"), "SignatureDoesNotMatch"),
        (put("x-acs-content-sha256", "0" * 64), "SignatureDoesNotMatch"),
        (put("authorization", "Basic abc"), "InvalidSignatureMethod"),
        (put("authorization", "Bearer abc"), "InvalidSignatureMethod"),
        (
            put("authorization", "ACS3-HMAC-SM3 Credential=id,SignedHeaders=host,Signature=00"),
            "InvalidSignatureMethod",
        ),
        (put("authorization", "ACS3-HMAC-SHA256"), "IncompleteSignature"),
        (put("authorization", "ACS3-HMAC-SHA256 Credential=id,SignedHeaders=host"), "IncompleteSignature"),
        (
            put("authorization", "ACS3-HMAC-SHA256 Credential=id,SignedHeaders=host,Signature=xyz"),
            "IncompleteSignature",
        ),
        (lambda signed: replace(signed, body=b"b=2"), "SignatureDoesNotMatch"),
        (lambda signed: replace(signed, method="GET"), "SignatureDoesNotMatch"),
        (lambda signed: replace(signed, query=signed.query + "&b=2"), "SignatureDoesNotMatch"),
    ],
)
def test_acs3_that_was_changed_on_the_way(change: Callable[[Signed], Signed], code: str) -> None:
    signed = ACS3.sign(
        "POST", HOST, "X", [("a", "1")], form=[("b", "1")], moment=NOW, more={"user-agent": "me"}
    )
    check(arrived(signed))
    assert refusal(arrived(change(signed)))[:2] == (400, code)


@pytest.mark.parametrize(
    "name",
    ["host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"],
)
def test_acs3_must_cover_what_a_request_means(name: str) -> None:
    signed = ACS3.sign("POST", HOST, "X", moment=NOW, leave_out=[name])
    status, code, message = refusal(arrived(signed))
    assert (status, code) == (400, "IncompleteSignature")
    assert message.endswith(f" SignedHeaders leaves out {name}.")


def test_acs3_must_cover_the_token() -> None:
    signed = Acs3("STS.id", "secret").sign(
        "POST", HOST, "X", moment=NOW, token="t", leave_out=["x-acs-security-token"]
    )
    assert refusal(arrived(signed), tokens=lambda token, key: TokenState.VALID)[1] == "IncompleteSignature"


def test_a_body_that_its_signer_did_not_mean() -> None:
    # the signature is right, but for a header that speaks of another body
    signed = ACS3.sign(
        "POST", HOST, "X", form=[("b", "1")], moment=NOW, more={"x-acs-content-sha256": "0" * 64}
    )
    _, code, message = refusal(arrived(signed))
    assert code == "SignatureDoesNotMatch"
    assert f" x-acs-content-sha256 is {'0' * 64}, the body has " in message


@pytest.mark.parametrize(
    "name",
    ["x-acs-date", "x-acs-signature-nonce", "authorization", "x-acs-content-sha256", "x-acs-security-token"],
)
def test_headers_that_come_twice(name: str) -> None:
    request = arrived(ACS3.sign("POST", HOST, "X", moment=NOW, token="t"))
    twice = dict(request.headers) | {name: [*request.headers[name], "other"]}
    status, code, message = refusal(replace(request, headers=twice))
    assert (status, code) == (400, "InvalidParameter")
    assert f'"{name}"' in message


@pytest.mark.parametrize(
    "name",
    [
        "AccessKeyId",
        "SignatureMethod",
        "SignatureVersion",
        "SignatureNonce",
        "Timestamp",
        "Signature",
        "Action",
        "Version",
    ],
)
def test_v1_needs_all_its_parameters(name: str) -> None:
    status, code, message = refusal(arrived(V1.sign("POST", HOST, "X", moment=NOW, leave_out=[name])))
    assert (status, code, message) == (400, f"Missing{name}", f"{name} is mandatory for this action.")


@pytest.mark.parametrize("name", ["AccessKeyId", "SignatureNonce", "Timestamp", "Signature", "Action"])
@pytest.mark.parametrize("where", ["query", "form"])
def test_public_parameters_that_come_twice(name: str, where: str) -> None:
    request = arrived(V1.sign("POST", HOST, "X", moment=NOW))
    pairs = [*getattr(request, where), (name, "other")]
    status, code, message = refusal(replace(request, **{where: pairs}))
    assert (status, code) == (400, "InvalidParameter")
    assert f'"{name}"' in message


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"SignatureMethod": "HMAC-SHA256"}, "InvalidSignatureMethod"),
        ({"SignatureMethod": "hmac-sha1"}, None),
        ({"SignatureVersion": "2.0"}, "IncompleteSignature"),
        ({"SignatureType": ""}, None),
        ({"SignatureType": "BEARERTOKEN"}, "InvalidSignatureMethod"),
    ],
)
def test_kinds_of_v1(more: dict[str, str], code: str | None) -> None:
    request = arrived(V1.sign("POST", HOST, "X", moment=NOW, more=more))
    if code is None:
        check(request)
    else:
        assert refusal(request)[:2] == (400, code)


@pytest.mark.parametrize(
    "change",
    [
        lambda signed: replace(signed, body=b"b=2"),
        lambda signed: replace(signed, method="GET"),
        lambda signed: replace(signed, query=signed.query.replace("a=1", "a=2")),
        lambda signed: replace(signed, query=signed.query + "&c="),
        lambda signed: replace(signed, query=signed.query.replace("Action=X", "Action=Y")),
        lambda signed: replace(signed, query=signed.query.replace("Format=JSON", "Format=XML")),
    ],
)
def test_v1_that_was_changed_on_the_way(change: Callable[[Signed], Signed]) -> None:
    signed = V1.sign("POST", HOST, "X", [("a", "1")], form=[("b", "1")], moment=NOW)
    check(arrived(signed))
    assert refusal(arrived(change(signed)))[:2] == (400, "SignatureDoesNotMatch")


def test_v1_may_stand_in_the_form_altogether() -> None:
    signed = V1.sign("POST", HOST, "X", [("a", "1")], moment=NOW)
    headers = signed.headers | {"content-type": "application/x-www-form-urlencoded"}
    assert check(arrived(Signed("POST", "", headers, signed.query.encode()))).account_id == "1001"


def test_what_bears_no_signature_at_all() -> None:
    assert refusal(arrived(Signed("POST", "JobId=x", {"host": HOST})))[:2] == (400, "MissingAccessKeyId")


@BOTH
@pytest.mark.parametrize(
    ("key", "token", "state", "expected"),
    [
        ("STS.id", "t", TokenState.VALID, None),
        ("STS.id", None, TokenState.VALID, "MissingSecurityToken"),
        ("STS.id", "t", TokenState.EXPIRED, "InvalidSecurityToken.Expired"),
        ("STS.id", "t", TokenState.MALFORMED, "InvalidSecurityToken.Malformed"),
        ("STS.id", "t", TokenState.FOREIGN, "InvalidSecurityToken.MismatchWithAccessKey"),
        ("id", "t", None, "InvalidSecurityToken.Malformed"),
    ],
)
def test_tokens(
    signer: Acs3 | RpcV1, key: str, token: str | None, state: TokenState | None, expected: str | None
) -> None:
    request = arrived(replace(signer, key=key).sign("POST", HOST, "X", moment=NOW, token=token))
    # None: a service that has never issued a token
    options = (
        {}
        if state is None
        else {"tokens": lambda given, its_key: state if (given, its_key) == (token, key) else None}
    )
    if expected is None:
        assert check(request, **options).security_token == token
    else:
        assert refusal(request, **options)[:2] == (400, expected)


@BOTH
def test_a_token_is_looked_at_only_with_a_right_signature(signer: Acs3 | RpcV1) -> None:
    request = arrived(replace(signer, secret="another").sign("POST", HOST, "X", moment=NOW, token="t"))
    assert refusal(request, tokens=lambda token, key: pytest.fail("asked"))[1] == "SignatureDoesNotMatch"


def test_secrets_and_tokens_show_nowhere() -> None:
    caller = Caller("1", "id", security_token="hidden")
    assert "secret" not in repr(KEYS["id"]).replace("secret=", "")
    assert "hidden" not in repr(caller)


def test_messages_do_not_grow_with_requests() -> None:
    request = arrived(
        replace(V1, secret="another").sign("POST", HOST, "X", [("a", "x" * 100_000)], moment=NOW)
    )
    assert len(refusal(request)[2]) <= LONGEST_MESSAGE + 1
