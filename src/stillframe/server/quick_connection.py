"""Uvicorn's quick HTTP parser (httptools), which by itself reads no URL above 64 KiB, and heads without an end."""

from __future__ import annotations

from typing import Literal

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from stillframe.ims.body import MAX_HEAD_BYTES
from stillframe.server.head_deadline import HeadDeadline

#: of a URL, which httptools takes apart with numbers of 16 bits
_SHORT_BYTES = 60_000


class QuickConnection(HeadDeadline, HttpToolsProtocol):
    """Reads heads of `MAX_HEAD_BYTES`, and refuses larger ones, and as much around a body and after it."""

    _beside_body = 0
    _reads: Literal["head", "body", "nothing"] = "head"

    def data_received(self, data: bytes) -> None:
        """Read on, up to the limit."""
        if self._reads == "nothing":
            self._reads = "head"
        self._beside_body += len(data)
        if self._beside_body > MAX_HEAD_BYTES:
            self.send_400_response("The head of the request is too large.")
            return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._reads = "head"
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A head ends; the request is begun when this call has come back."""
        self._reads = "body"
        if len(self.url) <= _SHORT_BYTES:
            super().on_headers_complete()
            return
        self.url, _, query = self.url.partition(b"?")
        super().on_headers_complete()
        self.scope["query_string"] = query.partition(b"#")[0]

    def on_body(self, body: bytes) -> None:
        """A piece of the body, which has limits of its own."""
        self._beside_body -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is all there."""
        self._reads = "nothing"
        self._beside_body = 0
        super().on_message_complete()

    def waits_for_client(self) -> bool:
        """As `HeadDeadline` has it."""
        # uvicorn's types do not say that there is no cycle before the first request
        answering = self.cycle is not None and not self.cycle.response_complete
        return self._reads != "nothing" and not answering

    def has_half_a_head(self) -> bool:
        """As `HeadDeadline` has it."""
        return self._reads == "head" and self._beside_body > 0
