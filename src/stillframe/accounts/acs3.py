"""ACS3-HMAC-SHA256, the signature of today's SDKs (version 3 of the OpenAPI signature).

The rule: https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature
"""

from __future__ import annotations

import hashlib
import hmac
import re

from stillframe.accounts.signed_request import (
    Claim,
    SignedRequest,
    canonical_query,
    check_nonce,
    parse_time,
)
from stillframe.errors import AuthenticationError

ALGORITHM = "ACS3-HMAC-SHA256"

#: what a signature must cover, lest somebody on the way changes what a request means
MUST_BE_SIGNED = (
    "host",
    "x-acs-action",
    "x-acs-content-sha256",
    "x-acs-date",
    "x-acs-signature-nonce",
    "x-acs-version",
)


def claim(request: SignedRequest, authorization: str) -> Claim:
    """What the Authorization header and the headers that it names say. Raises AuthenticationError, ConfigError."""
    access_key_id, names, signature = _parts(authorization)
    time = _mandatory(request, "x-acs-date", "MissingTimestamp")
    nonce = _mandatory(request, "x-acs-signature-nonce", "MissingSignatureNonce")
    token = request.header("x-acs-security-token") or None
    _check_names(request, names, token)

    canonical_request = _canonical_request(request, names)
    digest = hashlib.sha256(canonical_request.encode()).hexdigest()
    evidence = {"string_to_sign": f"{ALGORITHM}\n{digest}", "canonical_request": canonical_request}
    announced = _mandatory(request, "x-acs-content-sha256", "IncompleteSignature")
    if announced.lower() != request.body_sha256:
        evidence["flaw"] = f"x-acs-content-sha256 is {announced[:64]}, the body has {request.body_sha256}."
    return Claim(
        access_key_id=access_key_id,
        signature=signature.lower(),
        time=parse_time(time, "x-acs-date"),
        nonce=check_nonce(nonce),
        string_to_sign=evidence["string_to_sign"],
        sign=sign,
        evidence=evidence,
        security_token=token,
    )


def sign(secret: str, string_to_sign: str) -> str:
    """The signature, lower-case hex."""
    return hmac.new(secret.encode(), string_to_sign.encode(), hashlib.sha256).hexdigest()


def authorization(access_key_id: str, secret: str, request: SignedRequest) -> str:
    """The Authorization header of a request that is about to be sent; all of its headers are signed."""
    names = sorted(request.headers)
    digest = hashlib.sha256(_canonical_request(request, names).encode()).hexdigest()
    signature = sign(secret, f"{ALGORITHM}\n{digest}")
    return f"{ALGORITHM} Credential={access_key_id},SignedHeaders={';'.join(names)},Signature={signature}"


def _parts(authorization: str) -> tuple[str, list[str], str]:
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM:
        raise AuthenticationError("InvalidSignatureMethod", method=algorithm[:64])
    found = re.fullmatch(
        r"\s*Credential=([^,\s]+),\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9A-Fa-f]+)\s*", rest
    )
    if found is None:
        flaw = f"The header Authorization must read: {ALGORITHM} Credential=...,SignedHeaders=a;b,Signature=<hex>"
        raise AuthenticationError("IncompleteSignature", flaw=flaw)
    return found[1], found[2].split(";"), found[3]


def _mandatory(request: SignedRequest, name: str, code: str) -> str:
    value = request.header(name)
    if not value:
        raise AuthenticationError(code, name=name, flaw=f"The header {name} is missing.")
    return value


def _check_names(request: SignedRequest, names: list[str], token: str | None) -> None:
    wanted = (*MUST_BE_SIGNED, "x-acs-security-token") if token else MUST_BE_SIGNED
    unsigned = [name for name in wanted if name not in names]
    if unsigned:
        flaw = f"SignedHeaders leaves out {', '.join(unsigned)}."
    elif any(name != name.lower() for name in names) or len(set(names)) != len(names):
        flaw = "SignedHeaders must name each header once, in lower case, divided by semicolons."
    elif gone := [name for name in names if name not in request.headers]:
        flaw = (
            f"SignedHeaders names {', '.join(gone)}, but no such header arrived; a proxy may have removed it."
        )
    else:
        return
    raise AuthenticationError("IncompleteSignature", flaw=flaw)


def _canonical_request(request: SignedRequest, names: list[str]) -> str:
    headers = "".join(f"{name}:{','.join(sorted(request.headers[name]))}\n" for name in sorted(names))
    return "\n".join(
        (
            request.method,
            request.path,
            canonical_query(request.query),
            headers,
            ";".join(names),
            request.body_sha256,
        )
    )
