"""Actions as they are called, by whoever has proven who they are: permission, throttle, parameters, use case, answer.

calls = Calls(services, authorize=..., throttle=...)
calls.run(context, action, parameters)                            # the API: raises what goes wrong
calls.answer("ListSnapshotJobs", {"PageSize": "5"}, caller, ...)  # the console: an answer whatever goes wrong
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import structlog

from stillframe.accounts.signatures import Caller
from stillframe.ims import registry, wire
from stillframe.ims.action import Action, Answer, Context
from stillframe.ims.reply import Reply, failure, success
from stillframe.service.errors import ApiError, as_api_error
from stillframe.service.permission import Circumstances
from stillframe.service.use_cases import Services

#: a step before the action that raises (ApiError, Throttled) when the caller may not go on
Check = Callable[[Context, Action], None]

_FORM_HEADERS = [(b"content-type", wire.FORM.encode())]
log = structlog.get_logger("stillframe.ims")


@dataclass(frozen=True, slots=True)
class Served:
    """A request that was answered; `code` is OK or an error's, `action` is None when it has none that exists."""

    action: str | None
    code: str
    status: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Answered:
    """What the API answers to who does not ask over HTTP. `headers` are those that tell something."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    request_id: str
    seconds: float


def _anybody(context: Context, action: Action) -> None:
    """The check of a service that has no policies and no limits."""


def _nobody_listens(served: Served) -> None:
    """The observer of a service without metrics."""


class Calls:
    """Runs actions.

    `is_unavailable` knows the exceptions that mean "the database is away": they become ServiceUnavailable. `observe` is
    told of every answer, for metrics.
    """

    def __init__(
        self,
        services: Services,
        *,
        authorize: Check = _anybody,
        throttle: Check = _anybody,
        observe: Callable[[Served], None] = _nobody_listens,
        is_unavailable: Callable[[Exception], bool] = lambda _: False,
    ) -> None:
        self.services = services
        self._authorize = authorize
        self._throttle = throttle
        self._observe = observe
        self._is_unavailable = is_unavailable

    def run(self, context: Context, action: Action, parameters: Callable[[], Mapping[str, str]]) -> Answer:
        """The answer of an action; its parameters are asked for once the caller may call it at all.

        Raises ApiError, and whatever `told` knows.
        """
        self._authorize(context, action)
        self._throttle(context, action)
        return action.handler(context, action.parse(parameters()))

    def told(self, error: Exception) -> ApiError:
        """What goes out for an error; the log has the rest."""
        told = as_api_error(error)
        if told is None and self._is_unavailable(error):
            told = ApiError("ServiceUnavailable")
            # so it goes for every request until the database is back; below the first line is the statement
            log.warning("request failed", code=told.code, error=str(error).partition("\n")[0])
        elif told is None or told.status >= 500:
            log.exception("request failed", code=told.code if told else "InternalError")
        return told or ApiError("InternalError")

    def report(self, served: Served, request_id: str, source_ip: str | None) -> None:
        """The line of the log that each request has, and what metrics count."""
        log.info(
            "request",
            request_id=request_id,
            source_ip=source_ip,
            code=served.code,
            status=served.status,
            duration_ms=round(served.seconds * 1000, 1),
        )
        self._observe(served)

    def answer(
        self,
        name: str,
        parameters: Mapping[str, str],
        *,
        caller: Caller,
        circumstances: Circumstances,
        host: str,
    ) -> Answered:
        """What the API answers this caller, as JSON: the same checks, the same words, the same limits.

        `host` is the server's name, as errors bear it. Jobs that are made so are the console's.
        """
        request_id = str(uuid.uuid4()).upper()
        action = registry.ACTIONS[name]
        with structlog.contextvars.bound_contextvars(
            request_id=request_id,
            action=name,
            account_id=caller.account_id,
            access_key_id=caller.access_key_id,
        ):
            started = time.perf_counter()
            reply = self._reply(action, parameters, caller, circumstances, request_id, host)
            served = Served(name, reply.code, reply.status, time.perf_counter() - started)
            self.report(served, request_id, circumstances.source_ip)
        headers = {"Content-Type": reply.content_type, "x-acs-request-id": request_id}
        headers |= {key.decode(): value.decode() for key, value in reply.headers}
        return Answered(reply.status, headers, reply.body, request_id, served.seconds)

    def _reply(
        self,
        action: Action,
        parameters: Mapping[str, str],
        caller: Caller,
        circumstances: Circumstances,
        request_id: str,
        host: str,
    ) -> Reply:
        context = Context(
            caller=caller,
            request_id=request_id,
            source_ip=circumstances.source_ip,
            services=self.services,
            is_secure=circumstances.is_secure,
            arrived_at=circumstances.arrived_at,
            trigger_source="Console",
        )

        def read() -> Mapping[str, str]:
            # by the way of every request: what is refused there is refused here
            form = urlencode(parameters).encode()
            return wire.business_parameters(wire.read("POST", "/", b"", _FORM_HEADERS, form))

        try:
            return success(action.name, self.run(context, action, read), request_id, xml=False)
        except Exception as error:
            return failure(self.told(error), request_id, host, xml=False)
