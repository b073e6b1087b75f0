"""Security token services on loopback, Alibaba Cloud's and Amazon's: they check signatures, and lend keys."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

from oss_signatures import Account, Refused, Signed, demand_aws_header
from stillframe.accounts import rpc_v1
from stillframe.accounts.signed_request import SignedRequest

KEY_ID, SECRET = "LTAI-lender", "lent to nobody"
#: what a pod is given
TOKEN = "header.claims.signature"
Lend = Callable[[str, str, str, float], None]


class StsServer(ThreadingHTTPServer):
    """Lends keys to whoever signs with KEY_ID, or brings TOKEN; each time other ones."""

    daemon_threads = True

    def __init__(self, lend: Lend) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lend = lend
        self.lifetime_s = 3600.0
        #: what was asked for, in its order
        self.asked: list[dict[str, str]] = []
        #: whether an answer comes byte by byte, until the test is over
        self.drips = False
        self.is_over = threading.Event()
        #: statuses of the next answers, instead of keys
        self.faults: deque[int] = deque()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def sts_server(lend: Lend = lambda key_id, secret, token, lifetime_s: None) -> Iterator[StsServer]:
    """Running services; `lend` is told of each key that is lent."""
    with StsServer(lend) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.is_over.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: StsServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        form = dict(parse_qsl(body.decode(), strict_parsing=True))
        self.is_aws = form["Version"] == "2011-06-15"
        self.server.asked.append(form)
        try:
            if self.server.faults:
                raise Refused(self.server.faults.popleft(), "Trouble", "as the test wants it")
            self._demand_caller(form, body)
        except Refused as refused:
            told = f"<Error><Code>{refused.code}</Code><Message>{refused.message}</Message></Error>"
            as_json = json.dumps({"Code": refused.code, "Message": refused.message})
            return self._answer(
                refused.status, f"<ErrorResponse>{told}</ErrorResponse>" if self.is_aws else as_json
            )
        number = len(self.server.asked)
        key_id, secret, token = (
            f"STS.{self.server.server_address[1]}.{number}",
            f"secret{number}",
            f"token/+={number}",
        )
        lifetime_s = self.server.lifetime_s
        # whoever is told that they end at once can be seen to fetch other ones first
        self.server.lend(key_id, secret, token, lifetime_s + 60)
        expires = datetime.fromtimestamp(time.time() + lifetime_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return self._answer(200, self._lent(form["Action"], key_id, secret, token, expires))

    def _demand_caller(self, form: dict[str, str], body: bytes) -> None:
        if form["Action"] == "AssumeRoleWithOIDC" or form["Action"] == "AssumeRoleWithWebIdentity":
            if form.get("OIDCToken", form.get("WebIdentityToken")) != TOKEN:
                raise Refused(400, "InvalidToken", "the token is not right")
        elif self.is_aws:
            headers = {name.lower(): value for name, value in self.headers.items()}
            signed = Signed("POST", "/", (), headers, "", "", body)
            accounts = {KEY_ID: Account(SECRET)}
            demand_aws_header(signed, accounts, "eu-west-1", time.time(), service="sts")
        else:
            # our own look at this signature is tried by Alibaba Cloud's SDKs
            request = SignedRequest("POST", "/", {}, (), list(form.items()), "")
            claim = rpc_v1.claim(request)
            if claim.access_key_id != KEY_ID or rpc_v1.sign(SECRET, claim.string_to_sign) != claim.signature:
                raise Refused(400, "SignatureDoesNotMatch", "that is another signature")

    def _lent(self, action: str, key_id: str, secret: str, token: str, expires: str) -> str:
        if not self.is_aws:
            names = ("AccessKeyId", "AccessKeySecret", "SecurityToken", "Expiration")
            return json.dumps(
                {"Credentials": dict(zip(names, (key_id, secret, token, expires), strict=True))}
            )
        told = (
            f"<AccessKeyId>{key_id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>"
            f"<SessionToken>{token}</SessionToken><Expiration>{expires}</Expiration>"
        )
        space = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"'
        result = f"<{action}Result><Credentials>{told}</Credentials></{action}Result>"
        return f"<{action}Response {space}>{result}</{action}Response>"

    def _answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not self.server.drips:
            self.wfile.write(body.encode())
            return
        with contextlib.suppress(OSError):
            for byte in body.encode():
                self.wfile.write(bytes([byte]))
                self.server.is_over.wait(0.02)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
