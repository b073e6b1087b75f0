"""Files behind signed links: `GET /files/<token>/<bucket>/<key>`, as players and browsers ask for them.

    app = Starlette(routes=file_routes(buckets.find, [signing_key]))

Whoever has a good link may read the object, from any site; without one, what exists and what does not look the same.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

import anyio
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stillframe.errors import ConfigError, SourceError, Unavailable
from stillframe.server.linked import DENIALS, NOT_NOW, SOON, preflight, refused, respond, segments
from stillframe.storage.bucket import Bucket
from stillframe.storage.signed_urls import FILES, Grant, verify

#: finds the bucket that users call by a name; raises Unavailable
FindBucket = Callable[[str], Awaitable[Bucket | None]]

#: reads of files that may wait for a disk at once; a disk that hangs holds up no other work of the process
_READING_THREADS = 16


def file_routes(
    find_bucket: FindBucket,
    signing_keys: Sequence[bytes],
    *,
    clock: Callable[[], float] = time.time,
) -> list[Route]:
    """The routes under `/files/`. Any of the keys may have signed a link; `clock` gives Unix time in seconds."""
    threads = anyio.CapacityLimiter(_READING_THREADS)

    async def serve(request: Request) -> Response:
        if request.method == "OPTIONS":
            return preflight()
        token, bucket_name, key = segments(request.scope, 3)
        now = clock()
        grant = verify(token, bucket_name, key, now=now, signing_keys=signing_keys)
        if not isinstance(grant, Grant):
            return refused(403, DENIALS[grant])
        try:
            bucket = await find_bucket(bucket_name)
        except Unavailable:
            return refused(503, NOT_NOW, SOON)
        if bucket is None:
            return refused(404, "There is no such file.\n")
        try:
            # what was opened must not get lost when the request is cancelled just then
            with anyio.CancelScope(shield=True):
                source = await run_sync(bucket.open_source, key, limiter=threads)
        except ConfigError:
            return refused(404, "There is no such file.\n")
        except SourceError as error:
            if error.transient:
                return refused(503, NOT_NOW, SOON)
            return refused(404, "There is no such file.\n")
        max_age_s = max(0, int(grant.expires_at - now))
        return respond(request, source, key, max_age_s, threads)

    return [Route(f"/{FILES}/{{rest:anything}}", serve, methods=["GET", "HEAD", "OPTIONS"], name=FILES)]
