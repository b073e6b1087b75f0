"""How a process is: alive, ready for work, and in numbers."""

from __future__ import annotations

from collections.abc import Callable

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from stillframe.telemetry import Metrics


def health_routes(fault: Callable[[], str | None], metrics: Metrics) -> list[Route]:
    """`/healthz`, `/readyz` and `/metrics`; `fault` says why it cannot take work now; it may block."""

    async def ready(_: Request) -> Response:
        reason = await anyio.to_thread.run_sync(fault)
        return JSONResponse({"ready": reason is None, "reason": reason}, 200 if reason is None else 503)

    async def numbers(_: Request) -> Response:
        text, kind = metrics.exposition()
        return Response(text, headers={"Content-Type": kind})

    return [Route("/healthz", _alive), Route("/readyz", ready), Route("/metrics", numbers)]


async def _alive(_: Request) -> Response:
    return PlainTextResponse("ok\n")
