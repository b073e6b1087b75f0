"""What a signed link leads to, as it is answered: whole or by ranges, to any site.

    token, bucket, key = segments(request.scope, 3)
    return respond(request, source, key, max_age_s, threads)

It is other people's content: a browser runs nothing of it, and shows only pictures, videos and tracks.
"""

from __future__ import annotations

import hashlib
from urllib.parse import quote, unquote_to_bytes

import anyio
from anyio.to_thread import run_sync
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from stillframe.server.conditions import Answer, Entity, answer
from stillframe.storage.bucket import ObjectSource
from stillframe.storage.content_types import UNKNOWN_TYPE, content_type
from stillframe.storage.signed_urls import Denial

_CHUNK_BYTES = 256 * 1024
#: how long a client may leave a chunk unread before it is hung up on
_SEND_TIMEOUT_S = 60.0

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
DENIALS = {Denial.EXPIRED: "This link has expired.\n", Denial.INVALID: "This link is not valid.\n"}
NOT_NOW, SOON = "The file cannot be read at the moment.\n", {"Retry-After": "5"}


def preflight() -> Response:
    """For a page of another site, which asks first."""
    return Response(status_code=204, headers=_ALWAYS | _PREFLIGHT)


def segments(scope: Scope, number: int) -> list[str]:
    """So many of a path's segments behind the first one, the last with all that follows, percent-decoded once.

    They are empty where the path has another form.
    """
    # the path as it was sent: scope["path"] has bytes that are not UTF-8 replaced, so that two names would be one
    root = quote(scope.get("root_path", "")).encode()
    sent = bytes(scope["raw_path"]).removeprefix(root).split(b"/", number + 1)[2:]
    try:
        found = [unquote_to_bytes(segment).decode() for segment in sent]
    except ValueError:
        return [""] * number
    return found if len(found) == number else [""] * number


def respond(
    request: Request, source: ObjectSource, key: str, max_age_s: int, threads: anyio.CapacityLimiter
) -> Response:
    """The object, a part of it, or why not, as the request's conditions have it; the source is closed in the end."""
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
        return refused(416, "The file is shorter than that.\n", {"Content-Range": f"bytes */{facts.size}"})
    if decided.status == 412:
        return refused(412, "The file is another one by now.\n")
    return Response(status_code=304, headers=headers)


def refused(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    """A line of text instead."""
    return PlainTextResponse(text, status, _ALWAYS | {"Cache-Control": "no-store"} | (headers or {}))


class _Anything(PathConvertor):
    """As `path`, but line breaks are in it, too: a file's name may hold one."""

    regex = r"(?s:.*)"


register_url_convertor("anything", _Anything())


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
