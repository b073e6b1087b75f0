"""From the bytes of an HTTP request to the name of its action and its parameters.

Parameters come in the query, in a urlencoded form, or in both; the action's name comes in the header
`x-acs-action`, as a parameter, or in both. Nothing is guessed: what could mean two things is refused.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from stillframe.accounts.signed_request import Pairs, SignedRequest
from stillframe.errors import AuthenticationError, ConfigError
from stillframe.service.errors import ApiError

VERSION = "2020-11-09"
FORM = "application/x-www-form-urlencoded"

#: more parameters than any action has; splitting more would only cost time
MOST_PARAMETERS = 200

#: parameters that every action takes and that belong to the gateway, not to the action
GATEWAY_PARAMETERS = frozenset(
    {
        "AccessKeyId",
        "Action",
        "Format",
        "OwnerAccount",
        "OwnerId",
        "RegionId",
        "ResourceOwnerAccount",
        "ResourceOwnerId",
        "SecurityToken",
        "Signature",
        "SignatureMethod",
        "SignatureNonce",
        "SignatureType",
        "SignatureVersion",
        "Timestamp",
        "Version",
    }
)


@dataclass(frozen=True, slots=True)
class ActionName:
    """The action that a request asks for, by name and version, as they were written."""

    action: str
    version: str


def read(
    method: str, path: str, query: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes
) -> SignedRequest:
    """The parts of a request. `headers` are as ASGI gives them: names in lower case, values untrimmed.

    Raises ConfigError for text that is not UTF-8, for NUL, and for a body that is no form; ApiError for a
    body that does not bear out its Content-MD5.
    """
    named = _headers(headers)
    form: Pairs = ()
    if body:
        _check_body(named, body)
        form = _pairs(body)
    return SignedRequest(
        method=method,
        path=path,
        headers=named,
        query=_pairs(query),
        form=form,
        body_sha256=hashlib.sha256(body).hexdigest(),
    )


def action_name(request: SignedRequest) -> ActionName:
    """What the request asks for. Raises AuthenticationError (Missing...) or ConfigError."""
    return ActionName(_stated(request, "Action"), _stated(request, "Version"))


def wants_xml(request: SignedRequest) -> bool:
    """Whether the answer is to be XML: only when Format says so. Raises ConfigError for another Format."""
    wanted = request.parameter("Format") or "JSON"
    if wanted.upper() not in ("JSON", "XML"):
        raise ConfigError("Format", wanted, "JSON or XML")
    return wanted.upper() == "XML"


def business_parameters(request: SignedRequest) -> dict[str, str]:
    """The parameters of the action itself. Raises ConfigError for one that was given more than once."""
    parameters: dict[str, str] = {}
    for pairs in (request.query, request.form):
        for key, value in pairs:
            if key in GATEWAY_PARAMETERS:
                continue
            if key in parameters:
                raise ConfigError(key, [parameters[key], value], "given once, in the query or in the form")
            parameters[key] = value
    return parameters


def _stated(request: SignedRequest, name: str) -> str:
    in_header = request.header(f"x-acs-{name.lower()}")
    in_parameters = request.parameter(name)
    if in_header and in_parameters and in_header != in_parameters:
        raise ConfigError(name, in_parameters, f"the same as the header x-acs-{name.lower()} ({in_header!r})")
    stated = in_header or in_parameters
    if not stated:
        raise AuthenticationError(f"Missing{name}", name=name)
    return stated


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in raw:
        try:
            text = value.decode()
        except UnicodeDecodeError:
            text = value.decode("latin-1")
        headers.setdefault(name.decode("latin-1"), []).append(text.strip())
    return headers


def _check_body(headers: dict[str, list[str]], body: bytes) -> None:
    kind = ", ".join(headers.get("content-type", ())) or "nothing"
    if kind.partition(";")[0].strip().lower() != FORM:
        raise ConfigError("Content-Type", kind, f"{FORM}; parameters go into the query or into a form")
    for announced in headers.get("content-md5", ()):
        actual = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        if announced != actual:
            raise ApiError("ContentMD5NotMatched", announced=announced[:64], actual=actual)


def _pairs(raw: bytes) -> Pairs:
    if raw.count(b"&") >= MOST_PARAMETERS:
        raise ConfigError("Parameters", raw.count(b"&") + 1, f"{MOST_PARAMETERS} parameters or fewer")
    pairs = []
    for part in raw.split(b"&"):
        if part:
            key, _, value = part.partition(b"=")
            name = _text(key, "Parameters")
            pairs.append((name, _text(value, name)))
    return pairs


def _text(raw: bytes, name: str) -> str:
    decoded = unquote_to_bytes(raw.replace(b"+", b" "))
    try:
        text = decoded.decode()
    except UnicodeDecodeError:
        raise ConfigError(name, decoded[:64], "text in UTF-8, percent-encoded") from None
    if "\0" in text:
        raise ConfigError(name, text[:64], "text without NUL")
    return text
