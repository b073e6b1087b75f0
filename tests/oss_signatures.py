"""Whether a request to the OSS server of the tests is signed right: OSS's V1 and V4, and Amazon's V4 for its S3 face.

Each of them in the header and in the URL. Written after the descriptions of the algorithms, and not with the code of
any client: what checks it are clients that it has nothing in common with.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal
from urllib.parse import quote, unquote

Face = Literal["oss", "s3"]
_SKEW_S = 15 * 60
_LONGEST_V4_S = 7 * 24 * 3600


class Refused(Exception):
    """An answer that is an error: its status, code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, code, message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True)
class Signed:
    """A request as it came: `path` is percent-encoded still, header names are in lower case."""

    method: str
    path: str
    query: Sequence[tuple[str, str]]
    headers: Mapping[str, str]
    bucket: str
    key: str
    body: bytes


@dataclass(frozen=True)
class Account:
    """Keys that are known, for ever or until `expires_s`."""

    secret: str
    token: str | None = None
    expires_s: float | None = None


def demand_signature(request: Signed, accounts: Mapping[str, Account], region: str, now_s: float) -> Face:
    """Raise Refused unless somebody known has signed this; say which face was meant."""
    given, query = request.headers.get("authorization", ""), dict(request.query)
    for begin, check in _IN_HEADER.items():
        if given.startswith(begin):
            return check(request, accounts, region, now_s)
    for name, check in _IN_QUERY.items():
        if name in query:
            return check(request, accounts, region, now_s)
    raise Refused(403, "AccessDenied", "You have no right to access this object because of bucket acl.")


def _v1_header(request: Signed, accounts: Mapping[str, Account], region: str, now_s: float) -> Face:
    key_id, _, signature = request.headers["authorization"].removeprefix("OSS ").partition(":")
    account = _account(accounts, key_id)
    date = request.headers.get("date", "")
    try:
        told_s = parsedate_to_datetime(date).timestamp()
    except ValueError:
        raise Refused(403, "AccessDenied", "OSS authentication requires a valid Date.") from None
    _demand_time(told_s, now_s)
    _demand_same(_v1(request, account.secret, date, _v1_subresources(request)), signature)
    _demand_token(account, request.headers.get("x-oss-security-token"), now_s)
    return "oss"


def _v1_query(request: Signed, accounts: Mapping[str, Account], region: str, now_s: float) -> Face:
    query = dict(request.query)
    account = _account(accounts, query["OSSAccessKeyId"])
    if int(query["Expires"]) < now_s:
        raise Refused(403, "AccessDenied", "Request has expired.")
    expected = _v1(request, account.secret, query["Expires"], _v1_subresources(request))
    _demand_same(expected, query["Signature"])
    _demand_token(account, query.get("security-token"), now_s)
    return "oss"


def _v1(request: Signed, secret: str, date: str, resource: str) -> str:
    headers = request.headers
    ours = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-oss-"))
    text = "\n".join(
        (
            request.method,
            headers.get("content-md5", ""),
            headers.get("content-type", ""),
            date,
            ours + resource,
        )
    )
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), hashlib.sha1)).decode()


def _v1_subresources(request: Signed) -> str:
    signed = sorted((name, value) for name, value in request.query if _is_v1_subresource(name))
    shown = "&".join(f"{name}={value}" if value else name for name, value in signed)
    return f"/{request.bucket}/{request.key}{shown and '?' + shown}"


def _is_v1_subresource(name: str) -> bool:
    return name in _V1_SUBRESOURCES or name.startswith(("response-", "x-oss-"))


def _v4_header(request: Signed, accounts: Mapping[str, Account], region: str, now_s: float) -> Face:
    told = _told(request.headers["authorization"].removeprefix("OSS4-HMAC-SHA256 "))
    date = request.headers.get("x-oss-date", "")
    _demand_time(_moment(date), now_s)
    payload = request.headers.get("x-oss-content-sha256", "")
    if payload != "UNSIGNED-PAYLOAD":
        raise Refused(400, "InvalidArgument", "Unsupported x-oss-content-sha256.")
    additional = told.get("AdditionalHeaders", "")
    _demand_v4(request, accounts, region, told["Credential"], date, additional, told["Signature"], now_s)
    return "oss"


def _v4_query(request: Signed, accounts: Mapping[str, Account], region: str, now_s: float) -> Face:
    query = dict(request.query)
    date = query["x-oss-date"]
    _demand_lifetime(date, query["x-oss-expires"], now_s)
    additional, credential = query.get("x-oss-additional-headers", ""), query["x-oss-credential"]
    _demand_v4(request, accounts, region, credential, date, additional, query["x-oss-signature"], now_s)
    return "oss"


def _demand_v4(
    request: Signed,
    accounts: Mapping[str, Account],
    region: str,
    credential: str,
    date: str,
    additional: str,
    signature: str,
    now_s: float,
) -> None:
    key_id, *scope = credential.split("/")
    account = _account(accounts, key_id)
    if scope != [date[:8], region, "oss", "aliyun_v4_request"]:
        raise Refused(400, "InvalidArgument", "Invalid signing region in Authorization header.")
    headers, more = request.headers, [name for name in additional.split(";") if name]
    signed = sorted(
        name
        for name in headers
        if name.startswith("x-oss-") or name in ("content-type", "content-md5", *more)
    )
    resource = quote(f"/{request.bucket}/{request.key}", safe="/-_.~")
    canonical = "\n".join(
        (
            request.method,
            resource,
            _sorted_query(request.query, "x-oss-signature", bare=True),
            "".join(f"{name}:{headers[name].strip()}\n" for name in signed),
            ";".join(sorted(more)),
            headers.get("x-oss-content-sha256", "UNSIGNED-PAYLOAD"),
        )
    )
    text = "\n".join(("OSS4-HMAC-SHA256", date, "/".join(scope), _sha256(canonical.encode())))
    _demand_same(_chained(f"aliyun_v4{account.secret}", scope, text), signature)
    token = headers.get("x-oss-security-token") or dict(request.query).get("x-oss-security-token")
    _demand_token(account, token, now_s)


def _aws_header(request: Signed, accounts: Mapping[str, Account], region: str, now_s: float) -> Face:
    if request.headers.get("x-amz-content-sha256") not in ("UNSIGNED-PAYLOAD", _sha256(request.body)):
        raise Refused(400, "XAmzContentSHA256Mismatch", "The body is not what was signed.")
    demand_aws_header(request, accounts, region, now_s, service="s3")
    return "s3"


def demand_aws_header(
    request: Signed, accounts: Mapping[str, Account], region: str, now_s: float, *, service: str
) -> None:
    """Raise Refused unless somebody known has signed this with Amazon's V4 in its header."""
    told = _told(request.headers["authorization"].removeprefix("AWS4-HMAC-SHA256 "))
    date = request.headers.get("x-amz-date", "")
    payload = request.headers.get("x-amz-content-sha256", _sha256(request.body))
    _demand_time(_moment(date), now_s)
    scope, names = [date[:8], region, service, "aws4_request"], told["SignedHeaders"]
    _demand_aws(request, accounts, scope, told["Credential"], date, names, payload, told["Signature"], now_s)


def _aws_query(request: Signed, accounts: Mapping[str, Account], region: str, now_s: float) -> Face:
    query = dict(request.query)
    date, names = query["X-Amz-Date"], query["X-Amz-SignedHeaders"]
    _demand_lifetime(date, query["X-Amz-Expires"], now_s)
    credential, signature = query["X-Amz-Credential"], query["X-Amz-Signature"]
    scope, payload = [date[:8], region, "s3", "aws4_request"], "UNSIGNED-PAYLOAD"
    _demand_aws(request, accounts, scope, credential, date, names, payload, signature, now_s)
    return "s3"


def _demand_aws(
    request: Signed,
    accounts: Mapping[str, Account],
    expected: Sequence[str],
    credential: str,
    date: str,
    names: str,
    payload: str,
    signature: str,
    now_s: float,
) -> None:
    key_id, *scope = credential.split("/")
    account = _account(accounts, key_id)
    if scope != expected:
        message = f"The authorization header is malformed; expecting '{expected[1]}'"
        raise Refused(400, "AuthorizationHeaderMalformed", message)
    canonical = "\n".join(
        (
            request.method,
            quote(unquote(request.path), safe="/-_.~"),
            _sorted_query(request.query, "X-Amz-Signature", bare=False),
            "".join(f"{name}:{request.headers.get(name, '').strip()}\n" for name in names.split(";")),
            names,
            payload,
        )
    )
    text = "\n".join(("AWS4-HMAC-SHA256", date, "/".join(scope), _sha256(canonical.encode())))
    _demand_same(_chained(f"AWS4{account.secret}", scope, text), signature)
    query = dict(request.query)
    _demand_token(
        account, request.headers.get("x-amz-security-token") or query.get("X-Amz-Security-Token"), now_s
    )


def _sorted_query(query: Sequence[tuple[str, str]], without: str, *, bare: bool) -> str:
    encoded = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query)
    return "&".join(
        name if bare and not value else f"{name}={value}" for name, value in encoded if name != without
    )


def _chained(begin: str, scope: Sequence[str], text: str) -> str:
    signing = begin.encode()
    for part in scope:
        signing = hmac.digest(signing, part.encode(), hashlib.sha256)
    return hmac.new(signing, text.encode(), hashlib.sha256).hexdigest()


def _account(accounts: Mapping[str, Account], key_id: str) -> Account:
    if key_id not in accounts:
        message = "The OSS Access Key Id you provided does not exist in our records."
        raise Refused(403, "InvalidAccessKeyId", message)
    return accounts[key_id]


def _demand_same(expected: str, given: str) -> None:
    if not hmac.compare_digest(expected.encode(), given.encode()):
        message = "The request signature we calculated does not match the signature you provided."
        raise Refused(403, "SignatureDoesNotMatch", message)


def _demand_token(account: Account, token: str | None, now_s: float) -> None:
    if token != account.token:
        raise Refused(403, "InvalidSecurityToken", "The security token you provided is invalid.")
    if account.expires_s is not None and account.expires_s <= now_s:
        raise Refused(403, "SecurityTokenExpired", "The security token you provided has expired.")


def _demand_time(told_s: float, now_s: float) -> None:
    if abs(told_s - now_s) > _SKEW_S:
        message = "The difference between the request time and the current time is too large."
        raise Refused(403, "RequestTimeTooSkewed", message)


def _demand_lifetime(date: str, expires: str, now_s: float) -> None:
    begin_s, lifetime_s = _moment(date), int(expires)
    if not 0 < lifetime_s <= _LONGEST_V4_S:
        raise Refused(400, "InvalidArgument", "Expires must be between 1 and 604800 seconds.")
    if begin_s - now_s > _SKEW_S or begin_s + lifetime_s < now_s:
        raise Refused(403, "AccessDenied", "Request has expired.")


def _moment(date: str) -> float:
    try:
        return datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise Refused(403, "AccessDenied", "The date of the signature is not valid.") from None


def _told(text: str) -> dict[str, str]:
    parts = (part.strip().partition("=") for part in text.split(","))
    return {name: value for name, _, value in parts}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


_IN_HEADER = {"OSS ": _v1_header, "OSS4-HMAC-SHA256 ": _v4_header, "AWS4-HMAC-SHA256 ": _aws_header}
_IN_QUERY = {"OSSAccessKeyId": _v1_query, "x-oss-signature": _v4_query, "X-Amz-Signature": _aws_query}
#: those of OSS's list that the tests' clients send
_V1_SUBRESOURCES = {
    "acl",
    "append",
    "bucketInfo",
    "continuation-token",
    "delete",
    "location",
    "partNumber",
    "position",
    "security-token",
    "uploadId",
    "uploads",
    "versionId",
    "versions",
}
