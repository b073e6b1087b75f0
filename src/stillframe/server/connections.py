"""HTTP connections that do not wait for ever: the head of a request must be there in time.

uvicorn itself has a limit only for connections that are silent between requests: one that never begins, or sends a
byte now and then, would be kept for ever. `ims.body` has the same limit for the body.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from stillframe.ims.errors import ApiError
from stillframe.ims.reply import failure


def connections(head_deadline_s: float) -> type[asyncio.Protocol]:
    """Connections on which a head may take so long: uvicorn's `http`."""
    return type("Connection", (_Connection,), {"head_deadline_s": head_deadline_s})


class _Connection(H11Protocol):
    head_deadline_s: ClassVar[float]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._too_late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """The clock runs from a head's first byte (of the first head: from the connection on) to its last.

        It also runs for a body that nobody wants any more, since the answer is out.
        """
        answered = self.conn.our_state in (h11.DONE, h11.MUST_CLOSE)
        if self.conn.their_state is not h11.IDLE and not answered:
            self._rest()
        elif self._too_late is None:
            self._too_late = self.loop.call_later(self.head_deadline_s, self._hang_up)

    def _rest(self) -> None:
        if self._too_late is not None:
            self._too_late.cancel()
            self._too_late = None

    def _hang_up(self) -> None:
        self._too_late = None
        if self.transport.is_closing():
            return
        # one that has said nothing is not spoken to
        if self.conn.their_state is self.conn.our_state is h11.IDLE and self.conn.trailing_data[0]:
            error = ApiError("RequestTimeout", seconds=f"{self.head_deadline_s:g}")
            request_id = str(uuid.uuid4()).upper()
            reply = failure(error, request_id, "", xml=False)
            start = reply.start(request_id, (b"connection", b"close"))
            for event in (
                h11.Response(status_code=reply.status, headers=start["headers"]),
                h11.Data(data=reply.body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
