"""RPC V1 with HMAC-SHA1, the signature of older SDKs and of programs written by hand.

The rule: the "signature mechanism" page of every RPC product, such as
https://www.alibabacloud.com/help/en/ecs/developer-reference/request-signatures
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from stillframe.accounts.signed_request import (
    Claim,
    SignedRequest,
    canonical_query,
    check_nonce,
    parse_time,
    percent_encoded,
)
from stillframe.errors import AuthenticationError

METHOD = "HMAC-SHA1"
VERSION = "1.0"


def is_signed(request: SignedRequest) -> bool:
    """Whether the request says that it bears a signature of this kind."""
    names = {"AccessKeyId", "Signature", "SignatureType"}
    return any(key in names for pairs in (request.query, request.form) for key, _ in pairs)


def claim(request: SignedRequest) -> Claim:
    """What the parameters of the query and of the form say. Raises AuthenticationError, ConfigError."""
    if kind := request.parameter("SignatureType"):
        raise AuthenticationError("InvalidSignatureMethod", method=f"SignatureType {kind[:64]}")
    access_key_id = _mandatory(request, "AccessKeyId")
    signature = _mandatory(request, "Signature")
    method = _mandatory(request, "SignatureMethod")
    version = _mandatory(request, "SignatureVersion")
    nonce = _mandatory(request, "SignatureNonce")
    time = _mandatory(request, "Timestamp")
    # the headers x-acs-action and x-acs-version bear no signature here
    _mandatory(request, "Action")
    _mandatory(request, "Version")
    if method.upper() != METHOD:
        raise AuthenticationError("InvalidSignatureMethod", method=method[:64])
    if version != VERSION:
        raise AuthenticationError(
            "IncompleteSignature", flaw=f"SignatureVersion is {version[:64]}; {VERSION} is the one there is."
        )

    signed = [pair for pairs in (request.query, request.form) for pair in pairs if pair[0] != "Signature"]
    string_to_sign = f"{request.method}&{percent_encoded('/')}&{percent_encoded(canonical_query(signed))}"
    return Claim(
        access_key_id=access_key_id,
        signature=signature,
        time=parse_time(time, "Timestamp"),
        nonce=check_nonce(nonce),
        string_to_sign=string_to_sign,
        sign=sign,
        evidence={"string_to_sign": string_to_sign},
        security_token=request.parameter("SecurityToken") or None,
    )


def sign(secret: str, string_to_sign: str) -> str:
    """The signature, base64."""
    digest = hmac.new(f"{secret}&".encode(), string_to_sign.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def _mandatory(request: SignedRequest, name: str) -> str:
    value = request.parameter(name)
    if not value:
        raise AuthenticationError(f"Missing{name}", name=name)
    return value
