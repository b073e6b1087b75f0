"""Connections do not wait for ever: the head of a request must be there in time.

uvicorn itself has a limit only for connections that are silent between requests: one that never begins, or sends a
byte now and then, would be kept for ever. `ims.body` has the same limit for the body.
"""

from __future__ import annotations

import asyncio
import uuid
from abc import abstractmethod
from http import HTTPStatus
from typing import ClassVar

from stillframe.ims.reply import failure
from stillframe.service.errors import ApiError


class HeadDeadline(asyncio.Protocol):
    """Hangs up on who is too slow; to be mixed in before one of uvicorn's protocols.

    The clock runs from a head's first byte (of the first head: from the connection on) to its last. It also runs for a
    body that nobody wants any more, since the answer is out.
    """

    head_deadline_s: ClassVar[float]
    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    _too_late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Stop the clock when all that was waited for is there; start it when something has begun."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._rest()
        super().connection_lost(exc)

    @abstractmethod
    def waits_for_client(self) -> bool:
        """Whether nothing but the client's next bytes can bring this connection forward."""

    @abstractmethod
    def has_half_a_head(self) -> bool:
        """Whether the client has begun to ask for something."""

    def _watch(self) -> None:
        if not self.waits_for_client():
            self._rest()
        elif self._too_late is None:
            self._too_late = self.loop.call_later(self.head_deadline_s, self._hang_up)

    def _rest(self) -> None:
        if self._too_late is not None:
            self._too_late.cancel()
            self._too_late = None

    def _hang_up(self) -> None:
        self._too_late = None
        if self.transport.is_closing() or not self.waits_for_client():
            return
        # one that has said nothing is not spoken to
        if self.has_half_a_head():
            self.transport.write(_too_late_answer(self.head_deadline_s))
        self.transport.close()


def _too_late_answer(seconds: float) -> bytes:
    request_id = str(uuid.uuid4()).upper()
    reply = failure(ApiError("RequestTimeout", seconds=f"{seconds:g}"), request_id, "", xml=False)
    headers = reply.start(request_id, (b"connection", b"close"))["headers"]
    first = f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}".encode()
    return b"\r\n".join([first, *(b"%s: %s" % header for header in headers), b"", reply.body])
