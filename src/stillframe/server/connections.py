"""HTTP connections as uvicorn makes them, with heads that end: in time, and before they are too large."""

from __future__ import annotations

from typing import Any

from stillframe.ims import body


def connection_options(head_deadline_s: float) -> dict[str, Any]:
    """Arguments for `uvicorn.Config`: the parser, and how long the head of a request may be and take."""
    try:
        from stillframe.server.quick_connection import QuickConnection
    except ImportError:
        # a platform that httptools has no wheel for: the same, with more work
        from stillframe.server.plain_connection import PlainConnection

        return {
            "http": type("Connection", (PlainConnection,), {"head_deadline_s": head_deadline_s}),
            "h11_max_incomplete_event_size": body.MAX_HEAD_BYTES,
        }
    return {"http": type("Connection", (QuickConnection,), {"head_deadline_s": head_deadline_s})}
