"""Uvicorn's own HTTP parser (h11), with a deadline for heads: where there is no httptools."""

from __future__ import annotations

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from stillframe.server.head_deadline import HeadDeadline


class PlainConnection(HeadDeadline, H11Protocol):
    """Its heads are limited by uvicorn's `h11_max_incomplete_event_size`."""

    def waits_for_client(self) -> bool:
        """As `HeadDeadline` has it."""
        answered = self.conn.our_state in (h11.DONE, h11.MUST_CLOSE)
        return self.conn.their_state is h11.IDLE or answered

    def has_half_a_head(self) -> bool:
        """As `HeadDeadline` has it."""
        return self.conn.their_state is self.conn.our_state is h11.IDLE and bool(self.conn.trailing_data[0])
