"""Files behind signed links: `GET /files/<token>/<bucket>/<key>`, as players and browsers ask for them.

    app = Starlette(routes=file_routes(buckets.find, [signing_key]))

Whoever has a good link may read the object, from any site; without one, what exists and what does not look the same.
What is served is other people's content: a browser runs nothing of it, and shows only pictures, videos and tracks.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import quote, unquote_to_bytes

import anyio
from anyio.to_thread import run_sync
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from stillframe.errors import ConfigError, SourceError, Unavailable
from stillframe.server.conditions import Answer, Entity, answer
from stillframe.storage.bucket import Bucket, ObjectSource
from stillframe.storage.content_types import UNKNOWN_TYPE, content_type
from stillframe.storage.signed_urls import FILES, Denial, Grant, verify

#: finds the bucket that users call by a name; raises Unavailable
FindBucket = Callable[[str], Awaitable[Bucket | None]]

_CHUNK_BYTES = 256 * 1024
#: how long a client may leave a chunk unread before it is hung up on
_SEND_TIMEOUT_S = 60.0
#: reads of files that may wait for a disk at once; a disk that hangs holds up no other work of the process
_READING_THREADS = 16

_ALWAYS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Accept-Ranges, Content-Length, Content-Range, ETag, Last-Modified",
    "Content-Security-Policy": "sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
    # the link is a key to the file, and is not told to where the file links to
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "Range, If-Range, If-Match, If-None-Match, If-Modified-Since, Cache-Control",
    "Access-Control-Max-Age": "86400",
}
_DENIALS = {Denial.EXPIRED: "This link has expired.\n", Denial.INVALID: "This link is not valid.\n"}
_NOT_NOW, _SOON = "The file cannot be read at the moment.\n", {"Retry-After": "5"}


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
            return Response(status_code=204, headers=_ALWAYS | _PREFLIGHT)
        token, bucket_name, key = _asked(request.scope)
        now = clock()
        grant = verify(token, bucket_name, key, now=now, signing_keys=signing_keys)
        if not isinstance(grant, Grant):
            return _refused(403, _DENIALS[grant])
        try:
            bucket = await find_bucket(bucket_name)
        except Unavailable:
            return _refused(503, _NOT_NOW, _SOON)
        if bucket is None:
            return _refused(404, "There is no such file.\n")
        try:
            # what was opened must not get lost when the request is cancelled just then
            with anyio.CancelScope(shield=True):
                source = await run_sync(bucket.open_source, key, limiter=threads)
        except ConfigError:
            return _refused(404, "There is no such file.\n")
        except SourceError as error:
            if error.transient:
                return _refused(503, _NOT_NOW, _SOON)
            return _refused(404, "There is no such file.\n")
        max_age_s = max(0, int(grant.expires_at - now))
        return _respond(request, source, key, max_age_s, threads)

    return [Route(f"/{FILES}/{{rest:anything}}", serve, methods=["GET", "HEAD", "OPTIONS"], name=FILES)]


class _Anything(PathConvertor):
    """As `path`, but line breaks are in it, too: a file's name may hold one."""

    regex = r"(?s:.*)"


register_url_convertor("anything", _Anything())


def _asked(scope: Scope) -> tuple[str, str, str]:
    """Token, bucket and key, percent-decoded once; empty where the path has another form."""
    # the path as it was sent: scope["path"] has bytes that are not UTF-8 replaced, so that two names would be one
    root = quote(scope.get("root_path", "")).encode()
    segments = bytes(scope["raw_path"]).removeprefix(root).split(b"/", 4)
    try:
        _, _, token, bucket, key = (unquote_to_bytes(segment).decode() for segment in segments)
    except ValueError:
        return "", "", ""
    return token, bucket, key


def _respond(
    request: Request, source: ObjectSource, key: str, max_age_s: int, threads: anyio.CapacityLimiter
) -> Response:
    facts = source.facts
    # the identity of a file tells of inodes: not for everybody
    etag = f'"{hashlib.sha256(facts.etag.encode()).hexdigest()[:32]}"'
    entity = Entity(etag, facts.modified_s, facts.size)
    decided = answer(request.method, request.headers, entity)
    headers = _ALWAYS | {
        "Accept-Ranges": "bytes",
        "Cache-Control": f"private, max-age={max_age_s}",
        "ETag": etag,
        "Last-Modified": entity.last_modified,
    }
    if decided.status in (200, 206):
        headers["Content-Type"] = content_type(key)
        headers["Content-Length"] = str(decided.length)
        if headers["Content-Type"] == UNKNOWN_TYPE:
            headers["Content-Disposition"] = "attachment"
        if decided.status == 206:
            last = decided.first + decided.length - 1
            headers["Content-Range"] = f"bytes {decided.first}-{last}/{facts.size}"
        return _FileResponse(source, decided, headers, threads)
    source.close()
    if decided.status == 416:
        return _refused(416, "The file is shorter than that.\n", {"Content-Range": f"bytes */{facts.size}"})
    if decided.status == 412:
        return _refused(412, "The file is another one by now.\n")
    return Response(status_code=304, headers=headers)


def _refused(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(text, status, _ALWAYS | {"Cache-Control": "no-store"} | (headers or {}))


class _FileResponse(Response):
    """Some bytes of a source, a chunk at a time, read in a thread; in the end the source is closed."""

    def __init__(
        self, source: ObjectSource, part: Answer, headers: dict[str, str], threads: anyio.CapacityLimiter
    ) -> None:
        super().__init__(status_code=part.status)
        self.init_headers(headers)
        self._source = source
        self._part = part
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b""})
            else:
                await self._stream(Request(scope, receive), send)
        finally:
            self._source.close()

    async def _stream(self, request: Request, send: Send) -> None:
        position, end = self._part.first, self._part.first + self._part.length
        while True:
            length = min(_CHUNK_BYTES, end - position)
            chunk = await run_sync(self._source.read_at, position, length, limiter=self._threads)
            position += len(chunk)
            if len(chunk) < length or await request.is_disconnected():
                # cut off while we read it, or nobody listens: an end that is not one, so that the client can tell
                return
            with anyio.move_on_after(_SEND_TIMEOUT_S) as waiting:
                await send({"type": "http.response.body", "body": chunk, "more_body": position < end})
            if waiting.cancelled_caught or position >= end:
                return
