"""An answer as bytes: JSON, or XML for those who ask for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from starlette.types import Message

from stillframe.ims.action import Answer
from stillframe.ims.xml_text import to_xml
from stillframe.service.errors import ApiError

JSON_TYPE = "application/json;charset=utf-8"
#: the one spelling that the official SDK reads
XML_TYPE = "text/xml;charset=utf-8"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer; `code` is OK or the code of an error."""

    code: str
    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def start(self, request_id: str, *more: tuple[bytes, bytes]) -> Message:
        """The ASGI message that opens the answer; `more` are further headers."""
        return {
            "type": "http.response.start",
            "status": self.status,
            "headers": [
                (b"content-type", self.content_type.encode()),
                (b"content-length", str(len(self.body)).encode()),
                (b"cache-control", b"no-store"),
                (b"x-acs-request-id", request_id.encode()),
                *self.headers,
                *more,
            ],
        }


def success(action: str, answer: Answer, request_id: str, *, xml: bool) -> Reply:
    """The answer of an action, with its RequestId."""
    answer.request_id = request_id
    if xml:
        wire: dict[str, Any] = answer.model_dump(mode="json", by_alias=True, exclude_none=True)
        return Reply("OK", 200, XML_TYPE, to_xml(f"{action}Response", wire))
    return Reply("OK", 200, JSON_TYPE, answer.model_dump_json(by_alias=True, exclude_none=True).encode())


def failure(error: ApiError, request_id: str, host_id: str, *, xml: bool) -> Reply:
    """The answer for an error. Throttled callers learn when to come again."""
    wire = error.body(request_id, host_id)
    headers: list[tuple[bytes, bytes]] = []
    if error.retry_after_ms is not None:
        headers.append((b"x-acs-retry-after", str(error.retry_after_ms).encode()))
        headers.append((b"retry-after", str(-(-error.retry_after_ms // 1000)).encode()))
    if error.code == "UnsupportedHTTPMethod":
        headers.append((b"allow", b"GET, POST"))
    if xml:
        return Reply(error.code, error.status, XML_TYPE, to_xml("Error", wire), tuple(headers))
    text = json.dumps(wire, ensure_ascii=False, separators=(",", ":"))
    return Reply(error.code, error.status, JSON_TYPE, text.encode(errors="replace"), tuple(headers))
