"""A small client of the API, for our own commands: signed with ACS3-HMAC-SHA256 over HTTP.

with Client("http://127.0.0.1:8080", access_key_id, secret) as client:
    job_id = client.call("SubmitSnapshotJob", Input={...}, Output={...}, TemplateConfig={...})["JobId"]
    job = client.wait(job_id, lambda job: print(job["Progress"]))
"""

from __future__ import annotations

import hashlib
import itertools
import json
import secrets
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import httpx

from stillframe.accounts import acs3
from stillframe.accounts.signed_request import SignedRequest
from stillframe.errors import RequestFailed, SettingsError
from stillframe.ims.wire import VERSION

_TIMEOUT_S = 60.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0
#: while a job is waited for, a server that is away for so long is an error
_AWAY_S = 60.0
_FORM = "application/x-www-form-urlencoded"
#: the server's own message is for who writes a client
_WRONG_SECRET = "the AccessKeySecret is wrong, or a proxy changes Host or another header that is signed"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Client:
    """Calls actions by their names. Raises SettingsError for an endpoint that is no address.

    A temporary key needs its `security_token`.
    """

    def __init__(
        self, endpoint: str, access_key_id: str, access_key_secret: str, security_token: str | None = None
    ) -> None:
        url = endpoint_url(endpoint)
        self.endpoint = url
        self.access_key_id = access_key_id
        self._secret = access_key_secret
        self._token = security_token
        self._http = open_http(url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def call(self, action: str, **parameters: Any) -> dict[str, Any]:
        """The answer of an action; objects become JSON text, and what is None is not sent. Raises RequestFailed."""
        url, headers, body = self.signed(action, **parameters)
        return answer_of(self._http, "POST", url, content=body, headers=headers)

    def signed(self, action: str, **parameters: Any) -> tuple[str, dict[str, str], bytes]:
        """The request of an action: its URL, headers and body. It can be sent once, within 15 minutes."""
        form = [(name, _as_text(value)) for name, value in parameters.items() if value is not None]
        body = urlencode(form).encode()
        digest = hashlib.sha256(body).hexdigest()
        headers = {
            "content-type": _FORM,
            "host": urlsplit(self.endpoint).netloc,
            "x-acs-action": action,
            "x-acs-content-sha256": digest,
            "x-acs-date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": secrets.token_hex(16),
            "x-acs-version": VERSION,
        }
        if self._token is not None:
            headers["x-acs-security-token"] = self._token
        lists = {name: [value] for name, value in headers.items()}
        signed = SignedRequest("POST", "/", lists, (), form, digest)
        headers["authorization"] = acs3.authorization(self.access_key_id, self._secret, signed)
        return self.endpoint + "/", headers, body

    def jobs(self, status: str | None, most: int) -> Iterator[dict[str, Any]]:
        """The newest jobs, at most so many. Raises RequestFailed."""

        def page(size: int, token: str | None) -> tuple[list[dict[str, Any]], str | None]:
            told = self.call("ListSnapshotJobs", Status=status, PageSize=size, NextPageToken=token)
            return told["Jobs"], told.get("NextPageToken")

        return _pages(page, most)

    def assets(self, status: str | None, most: int) -> Iterator[dict[str, Any]]:
        """The newest media assets, at most so many. Raises RequestFailed."""

        def page(size: int, token: str | None) -> tuple[list[dict[str, Any]], str | None]:
            told = self.call("ListMediaBasicInfos", Status=status, MaxResults=size, NextToken=token)
            return [one["MediaBasicInfo"] for one in told["MediaInfos"]], told.get("NextToken")

        return _pages(page, most)

    def urls(self, job_id: str, expiry_s: int) -> Iterator[str]:
        """Signed URLs of a job's files: its track first, then its pictures. Raises RequestFailed."""
        for number in itertools.count(1):
            page = self.call(
                "GetSnapshotUrls", JobId=job_id, PageNumber=number, PageSize=30, Timeout=expiry_s
            )
            if number == 1 and page.get("WebVTTUrl"):
                yield page["WebVTTUrl"]
            yield from page["SnapshotUrls"]
            if number * 30 >= page["Total"]:
                return

    def wait(self, job_id: str, on_progress: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """The job once it has ended; told of it whenever its percent or its message changes.

        A server that is restarted meanwhile is waited for. Raises RequestFailed.
        """
        pause_s, told, answered = _FIRST_PAUSE_S, (-1, None), time.monotonic()
        while True:
            try:
                job: dict[str, Any] = self.call("GetSnapshotJob", JobId=job_id)["SnapshotJob"]
            except RequestFailed as error:
                if not error.transient or time.monotonic() - answered > _AWAY_S:
                    raise
            else:
                answered = time.monotonic()
                now = job["Progress"], job.get("Message")
                if now != told:
                    told = now
                    on_progress(job)
                if job["Status"] != "Init":
                    return job
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)


def _pages(
    page: Callable[[int, str | None], tuple[list[dict[str, Any]], str | None]], most: int
) -> Iterator[dict[str, Any]]:
    """What stands on pages of so many at a time, each called with the token that the one before has given."""
    token = None
    while most > 0:
        found, token = page(min(most, 100), token)
        yield from found
        most -= len(found)
        if token is None:
            return


def endpoint_url(endpoint: str) -> str:
    """An endpoint as a URL without a slash at its end; http:// where it names no scheme. Raises SettingsError."""
    url = endpoint if "://" in endpoint else f"http://{endpoint}"
    try:
        parts = urlsplit(url)
        bare = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username)
        right = bare and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        right = False
    if not right:
        raise SettingsError("endpoint", endpoint, "must be an address such as http://127.0.0.1:8080")
    return url.rstrip("/")


def open_http(url: str) -> httpx.Client:
    """A connection; proxies of the environment count, but not for this very machine."""
    return httpx.Client(timeout=_TIMEOUT_S, trust_env=urlsplit(url).hostname not in _LOOPBACK)


def answer_of(http: httpx.Client, method: str, url: str, **sent: Any) -> dict[str, Any]:
    """The JSON object of an answer that is 200. Raises RequestFailed for all others, and for none."""
    try:
        response = http.request(method, url, **sent)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise RequestFailed("ServiceUnavailable", f"{url}: {error}", transient=True) from error
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise RequestFailed(
            "ServiceUnavailable",
            f"{url}: answers {response.status_code}, but not as the API does; is this Stillframe's address?",
            transient=response.status_code in (502, 503, 504),
        )
    if response.status_code != 200:
        code = str(answer.get("Code", "InternalError"))
        away = response.status_code in (502, 503, 504) or code.startswith("Throttling")
        told = (
            _WRONG_SECRET
            if code == "SignatureDoesNotMatch"
            else str(answer.get("Message", response.status_code))
        )
        raise RequestFailed(code, told, transient=away)
    return answer


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
