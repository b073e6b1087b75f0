"""The console as one ASGI application for all paths below /console.

    Mount("/console", console)

A request goes this way: our name (`gate`), static files, login, whose session it is, a form's token, what the visitor
may do, the page. Every page's handler runs in a thread.
"""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode

import anyio
import structlog
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from stillframe.accounts.console_sessions import LoggedIn
from stillframe.console.gate import is_from_our_page, is_our_name, root_of
from stillframe.console.headers import page_headers, static_headers
from stillframe.console.live import EventStream, Live
from stillframe.console.login import OVER, Login, cookie_name, safe_path
from stillframe.console.page import Intake, Page, Stream
from stillframe.console.registry import HOME, PAGES
from stillframe.console.rooms import Rooms
from stillframe.console.shares import Shares
from stillframe.console.static_files import StaticFiles
from stillframe.console.templating import Templating
from stillframe.console.visit import Section, Visit
from stillframe.errors import SourceError
from stillframe.service.errors import ApiError, as_api_error
from stillframe.service.permission import Circumstances

#: pages that are made at the same time
_THREADS = 8
#: those that wait for stores, and files that are being written, at the same time; and those of one account
_WAITING_THREADS, _WAITING_OF_ONE = 16, 6
_MOST_FORM_BYTES, _MOST_FIELDS = 1 << 20, 1000
_FORM_DEADLINE_S = 30.0
_FORM = "application/x-www-form-urlencoded"
_NOT_OUR_NAME = (
    "This server does not know itself by the name {host}.\n"
    "Open it by its address, or set public_url (STILLFRAME_PUBLIC_URL) to how it is reached.\n"
)
log = structlog.get_logger(__name__)


class Console:
    """The pages of `registry.PAGES`, and what all of them have in common."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._static = StaticFiles()
        self._templating = Templating(self._static)
        self._login = Login(rooms.sessions, self._templating)
        self._live = Live()
        self._threads = anyio.CapacityLimiter(_THREADS)
        self._waiting = Shares(_WAITING_THREADS, of_one=_WAITING_OF_ONE)
        self._app = Starlette(
            routes=[
                Route("/static/{name}", self._send_static),
                Route("/login", self._show_login, methods=["GET"]),
                Route("/login", self._try_login, methods=["POST"]),
                Route("/logout", self._log_out, methods=["POST"]),
                Route("/", self._go_home),
                # a path of words stands before one with a placeholder that would match it, too
                *(self._route(page) for page in sorted(PAGES, key=lambda page: "{" in page.path)),
            ],
            exception_handlers={HTTPException: self._not_a_page},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        host = request.headers.get("host", "")
        if not is_our_name(host, self._rooms.public_url()):
            answer = PlainTextResponse(_NOT_OUR_NAME.format(host=host[:200]), 421, page_headers())
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def end(self) -> None:
        """End what would go on for ever: the server is about to end. From any thread."""
        self._live.end()

    def _root(self, request: Request) -> str:
        return root_of(request.headers.get("host", ""), self._rooms.public_url())

    async def _send_static(self, request: Request) -> Response:
        file = self._static.find(request.path_params["name"])
        if file is None:
            return PlainTextResponse("There is no such file.\n", 404, page_headers())
        return Response(file.body, headers=static_headers() | {"Content-Type": file.content_type})

    async def _go_home(self, request: Request) -> Response:
        return RedirectResponse(self._root(request) + HOME, 303, page_headers())

    async def _show_login(self, request: Request) -> Response:
        root = self._root(request)
        next_path = safe_path(request.query_params.get("next", ""), root)
        return self._login.page(root, next_path, wrong=OVER.get(request.query_params.get("over", "")))

    async def _try_login(self, request: Request) -> Response:
        root = self._root(request)
        if not is_from_our_page(request):
            return self._login.cross(root)
        try:
            form = await self._form(request)
            return await run_sync(self._login.try_in, request, root, form, limiter=self._threads)
        except Exception as error:
            told = self._told(error, request)
            return self._login.page(root, "", wrong=told.message, status=told.status)

    async def _log_out(self, request: Request) -> Response:
        async def leave(visit: Visit) -> Response:
            return await run_sync(self._login.out, request, visit.root, request.cookies[cookie_name(request)])

        return await self._visited(request, (), leave)

    async def _not_a_page(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404

        async def say(visit: Visit) -> Response:
            return visit.show("nothing.html", status=status)

        return await self._visited(request, (), say, checks_form=False)

    def _route(self, page: Page | Stream | Intake) -> Route:
        if isinstance(page, Stream):

            async def serve_stream(request: Request) -> Response:
                def begin(visit: Visit) -> Awaitable[Response]:
                    return self._stream(page, request, visit)

                return await self._visited(request, page.actions, begin, page.path)

            return Route(page.path, serve_stream, methods=["GET"])

        if isinstance(page, Intake):

            async def take_in(request: Request) -> Response:
                def receive(visit: Visit) -> Awaitable[Response]:
                    return page.handler(visit, request, self._waiting.of(visit.account_id))

                response = await self._visited(
                    request, page.actions, receive, page.path, throttled=page.actions
                )
                if response.status_code >= 400:
                    # nobody reads the rest of it
                    response.headers["Connection"] = "close"
                return response

            return Route(page.path, take_in, methods=[page.method])

        async def serve(request: Request) -> Response:
            async def show(visit: Visit) -> Response:
                if page.waits:
                    return await self._waiting.of(visit.account_id).run(page.handler, visit)
                return await run_sync(page.handler, visit, limiter=self._threads)

            return await self._visited(
                request, page.actions, show, page.path, of_account=page.of_account, throttled=throttled
            )

        # what the account does for itself goes by no action
        counted = page.actions or ((page.path,) if page.of_account else ())
        throttled = counted if page.method == "POST" and not page.calls_api else ()
        return Route(page.path, serve, methods=[page.method])

    async def _visited(
        self,
        request: Request,
        actions: tuple[str, ...],
        answer: Callable[[Visit], Awaitable[Response]],
        path: str | None = None,
        *,
        checks_form: bool = True,
        of_account: bool = False,
        throttled: tuple[str, ...] = (),
    ) -> Response:
        """The answer to somebody who is logged in and may do all this; to others, why not."""
        root = self._root(request)
        is_part = request.headers.get("hx-request") == "true"
        visit: Visit | None = None
        try:
            who = await run_sync(self._who, request, limiter=self._threads)
            if who is None:
                return _to_login(request, root, is_part=is_part)
            form = await self._form(request) if request.method == "POST" and checks_form else {}
            visit = await run_sync(self._visit, request, who, root, form, is_part, limiter=self._threads)
            _demand_plain_query(visit)
            if request.method not in ("GET", "HEAD") and checks_form:
                _demand_own_form(request, who, form)
            if of_account:
                visit.demand_account()
            for action in actions:
                await run_sync(visit.demand, action, limiter=self._threads)
            for counted in throttled:
                self._rooms.throttle.take(visit.account_id, counted)
            # no name of anything has a NUL, and a database cannot be asked for it
            is_nothing = any("\0" in value for value in visit.path.values())
            response = visit.show("nothing.html", status=404) if is_nothing else await answer(visit)
        except Exception as error:
            response = self._failed(error, request, visit, root)
        if visit is not None and visit.flash is not None and not visit.is_part:
            self._templating.drop_flash(response, root)
        log.info(
            "console",
            method=request.method,
            path=path or request.url.path[:200],
            status=response.status_code,
            account_id=visit.account_id if visit else None,
        )
        return response

    async def _form(self, request: Request) -> Mapping[str, str]:
        """The fields of a form as texts. Raises ApiError for one that is too large, too slow, or no such form."""
        body = await _form_body(request)
        return await run_sync(_fields, body, limiter=self._threads)

    def _who(self, request: Request) -> LoggedIn | None:
        token = request.cookies.get(cookie_name(request))
        return self._rooms.sessions.find(token) if token else None

    def _visit(
        self, request: Request, who: LoggedIn, root: str, form: Mapping[str, str], is_part: bool
    ) -> Visit:
        visit = Visit(
            who=who,
            rooms=self._rooms,
            templating=self._templating,
            root=root,
            circumstances=Circumstances(
                datetime.now(UTC),
                request.client.host if request.client else None,
                request.url.scheme == "https",
            ),
            path={name: str(value) for name, value in request.path_params.items()},
            query=dict(request.query_params),
            form=form,
            is_part=is_part,
            find_again=lambda: self._who(request),
            flash=None if is_part else self._templating.take_flash(request.cookies),
        )
        here = request.url.path.removeprefix(request.scope.get("root_path", ""))
        pages = [page for page in PAGES if isinstance(page, Page) and page.method == "GET"]
        shown = [page for page in pages if page.title and page.is_for(visit)]
        # the longest path that this one begins with: /jobs/new is not under Jobs
        current = max((p.path for p in shown if f"{here}/".startswith(f"{p.path}/")), key=len, default="")
        sections = [Section(page.title or "", page.path, page.path == current) for page in shown]
        return replace(visit, sections=sections, paths=[page.path for page in pages])

    async def _stream(self, stream: Stream, request: Request, visit: Visit) -> Response:
        who = visit.who.csrf_token
        if not self._live.take(who):
            return PlainTextResponse(
                "There are too many streams.\n", 503, page_headers() | {"Retry-After": "30"}
            )
        try:
            watched = await run_sync(stream.watch, visit, limiter=self._threads)
        except BaseException:
            self._live.give_back(who)
            raise

        async def still_may() -> bool:
            try:
                return await run_sync(self._who, request, limiter=self._threads) is not None
            except Exception:
                return False

        headers = page_headers() | {"X-Accel-Buffering": "no"}
        return EventStream(self._live.stream(watched, still_may), headers, lambda: self._live.give_back(who))

    def _failed(self, error: Exception, request: Request, visit: Visit | None, root: str) -> Response:
        request_id = str(uuid.uuid4()).upper()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            told = self._told(error, request)
        if visit is None:
            return self._login.page(root, "", wrong=told.message, status=told.status)
        response = visit.show(
            "failed.html", part="_failed.html", status=told.status, error=told, request_id=request_id
        )
        if visit.is_part:
            response.headers["HX-Retarget"] = "#flash"
            response.headers["HX-Reswap"] = "innerHTML"
        return response

    def _told(self, error: Exception, request: Request) -> ApiError:
        """The error in the words of the API."""
        if isinstance(error, SourceError) and error.transient:
            # the store is away, whatever it has; in a job the same would end in "not found"
            return ApiError("ServiceUnavailable", str(error))
        told = as_api_error(error)
        if told is None and self._rooms.is_unavailable(error):
            log.warning("console failed", path=request.url.path, error=str(error).partition("\n")[0])
            return ApiError("ServiceUnavailable")
        if told is None or told.status >= 500:
            log.exception("console failed", path=request.url.path)
        return told or ApiError("InternalError")


def _demand_plain_query(visit: Visit) -> None:
    """Raises ApiError for a NUL: no database can be asked for it. Forms say by themselves which field has one."""
    for name, value in visit.query.items():
        if "\0" in value:
            raise ApiError("InvalidParameter", path=name, flaw="It must be a text without NUL.")


def _demand_own_form(request: Request, who: LoggedIn, form: Mapping[str, str]) -> None:
    """Raises ApiError unless a page of ours has sent it, with the token that only such a page knows."""
    sent = request.headers.get("x-csrf-token") or form.get("csrf", "")
    if not (is_from_our_page(request) and hmac.compare_digest(sent.encode(), who.csrf_token.encode())):
        raise ApiError(
            "NoPermission",
            "This form was not sent by a page of this server. Open the page again, and send it anew.",
        )


def _to_login(request: Request, root: str, *, is_part: bool) -> Response:
    query = {"over": "session"} if request.cookies.get(cookie_name(request)) else {}
    if request.method == "GET" and not is_part:
        wanted = root + request.url.path.removeprefix(request.scope.get("root_path", ""))
        query |= {"next": wanted + (f"?{request.url.query}" if request.url.query else "")}
    target = f"{root}/login" + (f"?{urlencode(query)}" if query else "")
    if is_part:
        return Response(status_code=401, headers=page_headers() | {"HX-Redirect": target})
    return RedirectResponse(target, 303, page_headers())


async def _form_body(request: Request) -> bytes:
    if request.headers.get("content-type", "").partition(";")[0].strip() not in ("", _FORM):
        raise ApiError("InvalidParameter", path="Content-Type", flaw=f"It must be {_FORM}.")
    body = bytearray()
    try:
        with anyio.fail_after(_FORM_DEADLINE_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _MOST_FORM_BYTES:
                    raise ApiError(
                        "RequestEntityTooLarge",
                        length=f"more than {_MOST_FORM_BYTES} bytes",
                        limit=str(_MOST_FORM_BYTES),
                    )
    except (TimeoutError, ClientDisconnect):
        raise ApiError("RequestTimeout", seconds=f"{_FORM_DEADLINE_S:g}") from None
    if body.count(b"&") >= _MOST_FIELDS:
        raise ApiError("RequestEntityTooLarge", f"The form has more than {_MOST_FIELDS} fields.")
    return bytes(body)


def _fields(body: bytes) -> Mapping[str, str]:
    return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
