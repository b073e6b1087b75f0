"""Signatures, keys, times, nonces and tokens that must be refused, each with the gateway's code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from signing import ACS3, BOTH, HOST, KEYS, NOW, V1, Nonces, arrived, check, refusal

from ims_signer import Acs3, RpcV1, Signed, utc
from stillframe.accounts import acs3, rpc_v1
from stillframe.accounts.signatures import WINDOW, Caller, TokenState
from stillframe.errors import AuthenticationError
from stillframe.service.errors import LONGEST_MESSAGE


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


@pytest.mark.parametrize("names", ["Host;", "host;host;", ";host;", "host;gone;"])
def test_acs3_must_name_its_headers_cleanly(names: str) -> None:
    signed = ACS3.sign("POST", HOST, "X", moment=NOW)
    check(arrived(signed))
    authorization = signed.headers["authorization"].replace("=host;", f"={names}")
    changed = replace(signed, headers=signed.headers | {"authorization": authorization})
    assert refusal(arrived(changed))[:2] == (400, "IncompleteSignature")


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
