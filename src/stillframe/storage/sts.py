"""Keys that security token services lend for a while: Alibaba Cloud's and Amazon's.

AlibabaRole(keys, "acs:ram::123:role/films").lend()    # Keys("STS.…", …, expires_s=…)
AwsWebIdentity("arn:aws:iam::123:role/films", "/var/run/secrets/token").lend()

Each is a lender as `keys` wants them: equal ones lend the same.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import hmac
import json
import os
import time
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException, HTTPResponse, InvalidURL
from pathlib import Path
from typing import cast
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree

from stillframe.errors import os_reason
from stillframe.storage.keys import Keys, Lender, NoKeys, at_hand

_SESSION = "stillframe"
_TIMEOUT_S = 10.0
_TRIES, _PAUSE_S = 3, 0.3
_MOST_ANSWER_BYTES, _CHUNK_BYTES = 256 << 10, 16 << 10


@dataclass(frozen=True, slots=True)
class _Role:
    """What a role may do, for whoever has the keys `source`; both clouds ask by the same names."""

    source: Keys | Lender
    role_arn: str
    session: str | None = None
    external_id: str | None = None
    lifetime_s: int = 3600

    def _asked(self) -> dict[str, str]:
        asked = {
            "Action": "AssumeRole",
            "RoleArn": self.role_arn,
            "RoleSessionName": self.session or _SESSION,
            "DurationSeconds": str(self.lifetime_s),
        }
        return asked | ({"ExternalId": self.external_id} if self.external_id else {})


@dataclass(frozen=True, slots=True)
class AlibabaRole(_Role):
    """AssumeRole: a RAM role."""

    region: str | None = None

    def lend(self) -> Keys:
        asked, keys = self._asked(), at_hand(self.source)
        return _of_alibaba(lambda: _signed_rpc(asked, keys), self.region)


@dataclass(frozen=True, slots=True)
class AlibabaOidc:
    """AssumeRoleWithOIDC: what a RAM role may do, for whoever has the token of a file, as pods have one."""

    role_arn: str
    provider_arn: str
    token_file: str
    session: str | None = None
    region: str | None = None

    def lend(self) -> Keys:
        asked = {
            "Action": "AssumeRoleWithOIDC",
            "RoleArn": self.role_arn,
            "OIDCProviderArn": self.provider_arn,
            "OIDCToken": _token(self.token_file),
            "RoleSessionName": self.session or _SESSION,
        }
        return _of_alibaba(lambda: _plain_rpc(asked), self.region)


@dataclass(frozen=True, slots=True)
class AwsRole(_Role):
    """AssumeRole: an IAM role."""

    region: str = "us-east-1"

    def lend(self) -> Keys:
        asked, keys = self._asked(), at_hand(self.source)
        return _of_aws(
            asked,
            self.region,
            lambda url, body: aws_signature(url, body, keys, self.region, datetime.now(UTC)),
        )


@dataclass(frozen=True, slots=True)
class AwsWebIdentity:
    """AssumeRoleWithWebIdentity: what an IAM role may do, for whoever has the token of a file, as pods have one."""

    role_arn: str
    token_file: str
    session: str | None = None
    region: str = "us-east-1"

    def lend(self) -> Keys:
        asked = {
            "Action": "AssumeRoleWithWebIdentity",
            "RoleArn": self.role_arn,
            "RoleSessionName": self.session or _SESSION,
            "WebIdentityToken": _token(self.token_file),
        }
        return _of_aws(asked, self.region, lambda url, body: {})


def aws_signature(
    url: str, body: bytes, keys: Keys, region: str, now: datetime, service: str = "sts"
) -> dict[str, str]:
    """The headers of a form's POST that is signed with Amazon's version 4."""
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    headers = {"content-type": _FORM, "host": urlsplit(url).netloc, "x-amz-date": moment}
    if keys.session_token:
        headers["x-amz-security-token"] = keys.session_token
    names = ";".join(sorted(headers))
    canonical = "\n".join(
        (
            "POST",
            urlsplit(url).path or "/",
            "",
            "".join(f"{name}:{headers[name]}\n" for name in sorted(headers)),
            names,
            hashlib.sha256(body).hexdigest(),
        )
    )
    scope = [moment[:8], region, service, "aws4_request"]
    text = "\n".join(
        ("AWS4-HMAC-SHA256", moment, "/".join(scope), hashlib.sha256(canonical.encode()).hexdigest())
    )
    key = f"AWS4{keys.secret}".encode()
    for part in (*scope, text):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    credential = f"Credential={keys.access_key_id}/{'/'.join(scope)}"
    headers["authorization"] = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={key.hex()}"
    return headers


def _of_alibaba(form: Callable[[], Mapping[str, str]], region: str | None) -> Keys:
    endpoint = _alibaba_endpoint(region)
    # each try has a number of its own, which is signed
    answer = _posted(endpoint, lambda: (urlencode(form()).encode(), {"content-type": _FORM}), _alibaba_reason)
    try:
        told = json.loads(answer)["Credentials"]
        expires_s = datetime.fromisoformat(told["Expiration"]).timestamp()
        return Keys(told["AccessKeyId"], told["AccessKeySecret"], told["SecurityToken"], expires_s)
    except (ValueError, KeyError, TypeError):
        raise NoKeys(f"{endpoint} answers with no keys") from None


def _of_aws(
    asked: Mapping[str, str], region: str, headers: Callable[[str, bytes], Mapping[str, str]]
) -> Keys:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_STS") or _aws_endpoint(region)
    body = urlencode({**asked, "Version": "2011-06-15"}).encode()
    answer = _posted(
        endpoint, lambda: (body, {"content-type": _FORM, **headers(endpoint, body)}), _aws_reason
    )
    try:
        root = ElementTree.fromstring(answer)
        names = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
        key_id, secret, token, expires = (
            cast("str", root.findtext(f".//{{*}}Credentials/{{*}}{name}")) for name in names
        )
        return Keys(key_id, secret, token, datetime.fromisoformat(expires).timestamp())
    except (ElementTree.ParseError, ValueError, TypeError):
        raise NoKeys(f"{endpoint} answers with no keys") from None


def _posted(
    endpoint: str,
    request: Callable[[], tuple[bytes, Mapping[str, str]]],
    reason: Callable[[bytes], str],
) -> bytes:
    """What a service answers to a form; what may pass is tried again. Raises NoKeys."""
    opener = urllib.request.build_opener(_AsItIs)
    for left in reversed(range(_TRIES)):
        try:
            body, headers = request()
            asked = urllib.request.Request(endpoint, body, dict(headers), method="POST")
            with opener.open(asked, timeout=_TIMEOUT_S) as answer:
                data, status = _read(answer), answer.status
        except (ValueError, InvalidURL):
            raise NoKeys(f"{endpoint} is no address of a security token service") from None
        except OSError as error:
            told, passing = f"{endpoint} cannot be reached: {os_reason(_cause(error))}", True
        except HTTPException:
            told, passing = f"the answer of {endpoint} is cut off, or no HTTP", True
        else:
            if 200 <= status < 300:
                return data
            told, passing = f"{endpoint} answers {status}: {reason(data)}", status >= 500 or status == 429
        if not passing or not left:
            raise NoKeys(told, transient=passing)
        time.sleep(_PAUSE_S)
    raise AssertionError


def _read(answer: HTTPResponse) -> bytes:
    """All of an answer, whose bytes may not come one by one for ever."""
    end_s, data = time.monotonic() + _TIMEOUT_S, b""
    while chunk := answer.read1(_CHUNK_BYTES):
        data += chunk
        if time.monotonic() > end_s or len(data) > _MOST_ANSWER_BYTES:
            raise TimeoutError(errno.ETIMEDOUT, "the answer has no end")
    return data


class _AsItIs(urllib.request.HTTPErrorProcessor):
    """Whatever the status, an answer is read as one; and what is signed for one address is for no other."""

    def http_response(self, request: urllib.request.Request, response: HTTPResponse) -> HTTPResponse:
        return response

    https_response = http_response


def _cause(error: OSError) -> OSError:
    reason = getattr(error, "reason", None)
    return reason if isinstance(reason, OSError) else error


def _signed_rpc(asked: Mapping[str, str], keys: Keys) -> dict[str, str]:
    """A form of Alibaba's RPC style with its signature, version 1."""
    form = _plain_rpc(asked) | {
        "AccessKeyId": keys.access_key_id,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": str(uuid.uuid4()),
    }
    if keys.session_token:
        form["SecurityToken"] = keys.session_token
    canonical = "&".join(f"{_quoted(name)}={_quoted(form[name])}" for name in sorted(form))
    text = f"POST&{_quoted('/')}&{_quoted(canonical)}"
    signature = hmac.digest(f"{keys.secret}&".encode(), text.encode(), hashlib.sha1)
    return form | {"Signature": base64.b64encode(signature).decode()}


def _plain_rpc(asked: Mapping[str, str]) -> dict[str, str]:
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {**asked, "Format": "JSON", "Version": "2015-04-01", "Timestamp": moment}


def _alibaba_endpoint(region: str | None) -> str:
    told = os.environ
    if named := told.get("ALIBABA_CLOUD_STS_ENDPOINT"):
        return named if "://" in named else f"https://{named}"
    region = region or told.get("ALIBABA_CLOUD_STS_REGION")
    kind = "sts-vpc" if told.get("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED", "").lower() == "true" else "sts"
    return f"https://{kind}.{region}.aliyuncs.com" if region else "https://sts.aliyuncs.com"


def _aws_endpoint(region: str) -> str:
    return f"https://sts.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def _alibaba_reason(answer: bytes) -> str:
    try:
        told = json.loads(answer)
        return f"{told['Code']}: {told['Message']}"
    except (ValueError, KeyError, TypeError):
        return "no reason is told"


def _aws_reason(answer: bytes) -> str:
    try:
        root = ElementTree.fromstring(answer)
    except ElementTree.ParseError:
        return "no reason is told"
    return f"{root.findtext('.//{*}Code')}: {root.findtext('.//{*}Message')}"


def _token(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        reason = os_reason(error) if isinstance(error, OSError) else "it is no text"
        raise NoKeys(f"the token {file} cannot be read: {reason}") from None


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")


_FORM = "application/x-www-form-urlencoded"
