"""What uvicorn is told of HTTP, beside the application: by the server, and by tests that stand for it."""

from __future__ import annotations

from typing import Any

from stillframe.ims import body


def http_options() -> dict[str, Any]:
    """Arguments for `uvicorn.Config`: the parser, and heads of `body.MAX_HEAD_BYTES`."""
    try:
        from stillframe.server.long_heads import LongHeads
    except ImportError:
        # a platform that httptools has no wheel for: the same, with more work
        return {"http": "h11", "h11_max_incomplete_event_size": body.MAX_HEAD_BYTES}
    return {"http": LongHeads}
