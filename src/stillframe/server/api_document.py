"""The API as an OpenAPI document, at `/openapi.json`. It needs no signature: it says what docs/openapi.json says.

app = Starlette(routes=[document_route(lambda: "https://snapshots.example.com")])
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import lru_cache

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stillframe.ims.openapi import document
from stillframe.ims.registry import ACTIONS
from stillframe.server.conditions import Entity, answer

PATH = "/openapi.json"


def document_route(public_url: Callable[[], str]) -> Route:
    """The route. `public_url` is where clients find the service: the document names it as its server."""

    async def serve(request: Request) -> Response:
        content, etag = await run_sync(_content, public_url())
        headers = {
            # tools that run in a browser come from other sites
            "Access-Control-Allow-Origin": "*",
            # it changes with the version only, but then at once
            "Cache-Control": "public, no-cache",
            "ETag": etag,
        }
        # it has no time of its own: the ETag tells versions apart
        conditions = {"if-none-match": request.headers.get("if-none-match", "")}
        if answer(request.method, conditions, Entity(etag, 0, len(content))).status == 304:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type="application/json")

    return Route(PATH, serve, methods=["GET", "HEAD"])


@lru_cache(maxsize=1)
def _content(url: str) -> tuple[bytes, str]:
    content = json.dumps(document(ACTIONS, url), ensure_ascii=False, separators=(",", ":")).encode()
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'
