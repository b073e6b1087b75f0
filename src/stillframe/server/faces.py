"""The faces of the service, made from its rooms: the API for programs, the console for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from stillframe.accounts.policy_store import Policies
from stillframe.accounts.sts import key_lookup
from stillframe.accounts.throttle import Throttle
from stillframe.accounts.users import Users
from stillframe.console.api_actions import ApiActions
from stillframe.console.app import Console
from stillframe.console.rooms import Rooms
from stillframe.database.engine import is_transient
from stillframe.ims.calls import Calls
from stillframe.ims.endpoint import Endpoint
from stillframe.ims.parameters import described
from stillframe.ims.registry import GROUPS
from stillframe.server.proxies import BehindProxies
from stillframe.service.permission import Permission
from stillframe.service.pipelines import PipelineControl
from stillframe.service.templates import TemplateKeeper
from stillframe.service.use_cases import Services
from stillframe.settings import Network

if TYPE_CHECKING:
    from stillframe.server.assembly import Assembly

CONSOLE = "/console"


def make_services(rooms: Assembly) -> Services:
    """The use cases of both faces."""
    return Services(
        rooms.jobs,
        rooms.templates,
        TemplateKeeper(rooms.templates),
        rooms.buckets,
        rooms.pipelines,
        PipelineControl(rooms.database, rooms.queue),
        rooms.event_callbacks,
        rooms.media_assets,
        rooms.probes,
    )


def make_calls(rooms: Assembly, permission: Permission, throttle: Throttle) -> Calls:
    """The actions of the API, with their limits: one throttle for both faces, so that nobody has twice as many."""
    return Calls(
        make_services(rooms),
        authorize=lambda context, action: permission.demand(
            context.caller, action.name, context.circumstances
        ),
        throttle=lambda context, action: throttle.take(context.caller.account_id, action.name),
        is_unavailable=is_transient,
    )


def make_endpoint(rooms: Assembly, calls: Calls) -> Endpoint:
    """The API."""
    settings = rooms.settings
    return Endpoint(
        calls,
        keys=key_lookup(rooms.keys.find, rooms.sts.find),
        nonces=rooms.nonces,
        tokens=rooms.sts.state,
        body_deadline_s=settings.request_seconds,
        max_body_bytes=settings.max_body_bytes,
    )


def make_console(rooms: Assembly, permission: Permission, throttle: Throttle, calls: Calls) -> Console:
    """The console."""
    return Console(
        Rooms(
            services=calls.services,
            actions=ApiActions(described(GROUPS), calls.answer),
            gallery=rooms.gallery,
            job_previews=rooms.job_previews,
            track_previews=rooms.track_previews,
            checks=rooms.checks,
            objects=rooms.objects,
            accounts=rooms.accounts,
            permission=permission,
            throttle=throttle,
            sessions=rooms.sessions,
            caps=rooms.caps,
            region=rooms.settings.region,
            users=Users(rooms.database),
            keys=rooms.keys,
            policies=Policies(rooms.database),
            nonces=rooms.nonces,
            event_history=rooms.event_history,
            public_url=lambda: rooms.public_url,
            is_unavailable=is_transient,
        )
    )


def application(
    endpoint: Endpoint, console: Console | None, routes: Sequence[BaseRoute], proxies: Sequence[Network]
) -> ASGIApp:
    """Both faces and all other routes, behind the proxies that are trusted."""
    faces = [Mount(CONSOLE, console)] if console is not None else []
    others = Starlette(routes=[*routes, *faces, Mount("/", endpoint)])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # the API's calls all go to one path: no router is asked for it
        is_api = scope["type"] == "http" and scope["path"] == "/"
        if console is not None and (scope.get("path") == CONSOLE or (is_api and _is_browser(scope))):
            # beside each other, whatever folder a proxy has put before us
            await RedirectResponse("./console/", 303, {"Cache-Control": "no-store"})(scope, receive, send)
            return
        await (endpoint if is_api else others)(scope, receive, send)

    return BehindProxies(app, networks=proxies) if proxies else app


def _is_browser(scope: Scope) -> bool:
    """Whether somebody has typed in the server's address: no program asks for HTML, and for nothing in it."""
    if scope["method"] != "GET" or scope["query_string"]:
        return False
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])
