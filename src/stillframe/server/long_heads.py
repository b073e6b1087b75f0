"""Uvicorn's quick HTTP parser (httptools), which by itself reads no URL above 64 KiB, and heads without an end."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from stillframe.ims.body import MAX_HEAD_BYTES

#: of a URL, which httptools takes apart with numbers of 16 bits
_SHORT_BYTES = 60_000


class LongHeads(HttpToolsProtocol):
    """Reads heads of `MAX_HEAD_BYTES`, and refuses larger ones, and as much around a body and after it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._beside_body = 0
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._beside_body += len(data)
        if self._beside_body > MAX_HEAD_BYTES:
            self.send_400_response("The head of the request is too large.")
            return
        super().data_received(data)

    def on_body(self, body: bytes) -> None:
        self._beside_body -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._beside_body = 0
        super().on_message_complete()

    def on_headers_complete(self) -> None:
        if len(self.url) <= _SHORT_BYTES:
            super().on_headers_complete()
            return
        self.url, _, query = self.url.partition(b"?")
        super().on_headers_complete()
        # the request is begun only when this call has come back
        self.scope["query_string"] = query.partition(b"#")[0]
