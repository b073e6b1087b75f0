"""The one endpoint of the API, an ASGI application for the path `/`.

A request is read whole, and goes its whole way in one thread: action and version, signature, authorisation,
throttle, parameters, use case, answer. What comes first in this order is what a caller hears about.

    Mount("/", Endpoint(Calls(services), keys=..., nonces=...))

It answers for every other path and method, too, so it stands last among the routes. The HTTP server before it must
let heads of `body.MAX_HEAD_BYTES` through, since SDKs put all parameters into the query.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime

import structlog
from starlette.types import Receive, Scope, Send

from stillframe.accounts.signatures import KeyLookup, Nonces, TokenLookup, authenticate, no_tokens
from stillframe.ims import registry, wire
from stillframe.ims.action import Action, Context
from stillframe.ims.body import BODY_DEADLINE_S, MAX_BODY_BYTES, Gone, read_body, send_and_linger
from stillframe.ims.calls import Calls, Served
from stillframe.ims.reply import Reply, failure, success
from stillframe.service.errors import ApiError, shown


def _peer(scope: Scope) -> str | None:
    client = scope.get("client")
    return client[0] if client else None


class Endpoint:
    """The API. `keys`, `nonces` and `tokens` are what `accounts.signatures` asks for.

    `source_ip` is the caller's address. Each request in work holds one of `threads` threads; more wait.
    """

    def __init__(
        self,
        calls: Calls,
        *,
        keys: KeyLookup,
        nonces: Nonces,
        tokens: TokenLookup = no_tokens,
        source_ip: Callable[[Scope], str | None] = _peer,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        threads: int = 16,
        max_body_bytes: int = MAX_BODY_BYTES,
        body_deadline_s: float = BODY_DEADLINE_S,
    ) -> None:
        self._calls = calls
        self._keys = keys
        self._nonces = nonces
        self._tokens = tokens
        self._source_ip = source_ip
        self._now = now
        self._threads = ThreadPoolExecutor(threads, "stillframe-api")
        self._max_body_bytes = max_body_bytes
        self._body_deadline_s = body_deadline_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = str(uuid.uuid4()).upper()
        started = time.perf_counter()
        try:
            _check_target(scope)
            body = await read_body(
                scope, receive, max_bytes=self._max_body_bytes, deadline_s=self._body_deadline_s
            )
        except Gone:
            return
        except ApiError as error:
            reply = failure(error, request_id, _host(scope), xml=False)
            served = Served(None, reply.code, reply.status, time.perf_counter() - started)
            self._calls.report(served, request_id, self._source_ip(scope))
            start = reply.start(request_id, (b"connection", b"close"))
            if error.code == "RequestTimeout":
                # who sends next to nothing is not waited for any longer
                await send(start)
                await send({"type": "http.response.body", "body": reply.body})
            else:
                await send_and_linger(scope, receive, send, start, reply.body)
            return
        # in a context of its own: what is bound for its log lines ends with it
        serve = copy_context().run
        reply = await asyncio.get_running_loop().run_in_executor(
            self._threads, serve, self._serve, scope, body, request_id, started
        )
        await send(reply.start(request_id))
        await send({"type": "http.response.body", "body": reply.body})

    def _serve(self, scope: Scope, body: bytes, request_id: str, started: float) -> Reply:
        structlog.contextvars.bind_contextvars(request_id=request_id)
        action: Action | None = None
        xml = False
        try:
            request = wire.read(scope["method"], scope["path"], scope["query_string"], scope["headers"], body)
            xml = wire.wants_xml(request)
            action = registry.find(wire.action_name(request))
            structlog.contextvars.bind_contextvars(action=action.name)
            now = self._now()
            caller = authenticate(request, keys=self._keys, nonces=self._nonces, tokens=self._tokens, now=now)
            structlog.contextvars.bind_contextvars(
                account_id=caller.account_id, access_key_id=caller.access_key_id
            )
            context = Context(
                caller=caller,
                request_id=request_id,
                source_ip=self._source_ip(scope),
                services=self._calls.services,
                is_secure=scope.get("scheme") == "https",
                arrived_at=now,
            )
            answer = self._calls.run(context, action, lambda: wire.business_parameters(request))
            reply = success(action.name, answer, request_id, xml=xml)
        except Exception as error:
            reply = failure(self._calls.told(error), request_id, _host(scope), xml=xml)
        self._calls.report(
            Served(action.name if action else None, reply.code, reply.status, time.perf_counter() - started),
            request_id,
            self._source_ip(scope),
        )
        return reply


def _check_target(scope: Scope) -> None:
    if scope["path"] not in ("/", ""):
        raise ApiError("InvalidAction.NotFound", flaw=f"There is nothing at {shown(scope['path'])}.")
    if scope["method"] not in ("GET", "POST"):
        raise ApiError("UnsupportedHTTPMethod", method=scope["method"][:64])


def _host(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"host":
            return str(value, "latin-1")
    return ""
