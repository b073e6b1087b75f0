"""Tracks behind signed links: `GET /tracks/<token>/<name>.vtt`, with signed links to their pictures.

app = Starlette(routes=track_routes(tracks.show, [signing_key]))
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import anyio
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stillframe.errors import ConfigError, NotFound, SourceError, Unavailable
from stillframe.media.source import MemorySource
from stillframe.server.linked import DENIALS, NOT_NOW, SOON, preflight, refused, respond, segments
from stillframe.storage.bucket import ObjectFacts
from stillframe.storage.track_links import TRACKS, TrackGrant, verify_track

#: renders a track; raises NotFound, ConfigError, SourceError and Unavailable
ShowTrack = Callable[[TrackGrant], bytes]

#: how long a player may keep what it got: the links in it are new at each look
_MAX_AGE_S = 60
#: looks at tracks that may wait for a store at once; one that hangs holds up no other work of the process
_READING_THREADS = 8
_SENDING_THREADS = 4


def track_routes(
    show: ShowTrack, signing_keys: Sequence[bytes], *, clock: Callable[[], float] = time.time
) -> list[Route]:
    """The routes under `/tracks/`. Any of the keys may have signed a link; `clock` gives Unix time in seconds."""
    reading = anyio.CapacityLimiter(_READING_THREADS)
    sending = anyio.CapacityLimiter(_SENDING_THREADS)

    async def serve(request: Request) -> Response:
        if request.method == "OPTIONS":
            return preflight()
        token, name = segments(request.scope, 2)
        now = clock()
        grant = verify_track(token, name, now=now, signing_keys=signing_keys)
        if not isinstance(grant, TrackGrant):
            return refused(403, DENIALS[grant])
        try:
            rendered = await run_sync(show, grant, limiter=reading)
        except Unavailable:
            return refused(503, NOT_NOW, SOON)
        except (NotFound, ConfigError, SourceError) as error:
            if isinstance(error, SourceError) and error.transient:
                return refused(503, NOT_NOW, SOON)
            return refused(404, "There is no such track.\n")
        max_age_s = max(0, min(_MAX_AGE_S, int(grant.expires_at - now)))
        return respond(request, _Rendered(rendered, grant.name, now), grant.name, max_age_s, sending)

    return [Route(f"/{TRACKS}/{{rest:anything}}", serve, methods=["GET", "HEAD", "OPTIONS"], name=TRACKS)]


class _Rendered(MemorySource):
    """A track as an object that was written just now."""

    store = "memory"

    def __init__(self, text: bytes, name: str, now: float) -> None:
        super().__init__(text, name)
        self.facts = ObjectFacts(name, self.size, self.identity, now)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
