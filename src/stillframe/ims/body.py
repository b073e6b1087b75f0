"""A request's body, read whole within bounds of length and time."""

from __future__ import annotations

import anyio
from starlette.types import Message, Receive, Scope, Send

from stillframe.service.errors import ApiError

#: the longest parameter (1 MB of UserData, say) must arrive to be refused by its name; no form is longer
MAX_BODY_BYTES = 4 << 20
#: what a server must let through as request line and headers, since SDKs put all parameters into the query
MAX_HEAD_BYTES = 4 << 20
#: how long a body may take
BODY_DEADLINE_S = 30.0

_LINGER_S = 5.0
_LINGER_BYTES = 16 << 20


class Gone(Exception):
    """The client went away before its request was whole; there is nobody to answer."""


async def read_body(
    scope: Scope, receive: Receive, *, max_bytes: int = MAX_BODY_BYTES, deadline_s: float = BODY_DEADLINE_S
) -> bytes:
    """The body. Raises ApiError for one that is too long (by its own word, before any of it is read) or too slow."""
    announced = _content_length(scope)
    if announced == 0:
        # as most SDKs send it, with everything in the query
        return b""
    if announced is not None and announced > max_bytes:
        raise ApiError("RequestEntityTooLarge", length=f"{announced} bytes", limit=str(max_bytes))
    chunks: list[bytes] = []
    length = 0
    try:
        with anyio.fail_after(deadline_s):
            while True:
                message = await _next(receive)
                chunks.append(message.get("body", b""))
                length += len(chunks[-1])
                if length > max_bytes:
                    raise ApiError(
                        "RequestEntityTooLarge", length=f"more than {max_bytes} bytes", limit=str(max_bytes)
                    )
                if not message.get("more_body", False):
                    return b"".join(chunks)
    except TimeoutError:
        raise ApiError("RequestTimeout", seconds=f"{deadline_s:g}") from None


async def send_and_linger(scope: Scope, receive: Receive, send: Send, start: Message, body: bytes) -> None:
    """Answer a request whose body is still on its way, and let some of it run off before the connection ends.

    A connection that is closed with unread bytes is reset, and a client that is busy sending would never see
    the answer.
    """
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": True})
    # a client that waits for our word to go on has its answer, and sends nothing more
    if all(name != b"expect" for name, _ in scope["headers"]):
        with anyio.move_on_after(_LINGER_S):
            length = 0
            while length < _LINGER_BYTES:
                message = await receive()
                length += len(message.get("body", b""))
                if not message.get("more_body", False):
                    break
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _next(receive: Receive) -> Message:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Gone
    return message


def _content_length(scope: Scope) -> int | None:
    values = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(values[0]) if values and values[0].isdigit() else None
