"""Answers as XML, for callers that ask for it with Format=XML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape

#: characters that XML 1.0 cannot hold in any spelling
_IMPOSSIBLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def to_xml(root: str, answer: Mapping[str, Any]) -> bytes:
    """The object as an element: a list is its element repeated, and what has no value is left out."""
    return f'<?xml version="1.0" encoding="UTF-8"?>{"".join(_element(root, answer))}'.encode()


def _element(name: str, value: object) -> Iterator[str]:
    # a key of somebody's own object may be anything; the name of an element may not
    tag, note = (name, "") if _NAME.fullmatch(name) else ("Entry", f" name={_attribute(name)}")
    match value:
        case None:
            return
        case list() | tuple():
            for item in value:
                yield from _element(name, item)
        case Mapping():
            inner = "".join(part for key, item in value.items() for part in _element(str(key), item))
            yield f"<{tag}{note}>{inner}</{tag}>"
        case bool():
            yield f"<{tag}{note}>{str(value).lower()}</{tag}>"
        case _:
            yield f"<{tag}{note}>{escape(_possible(str(value)))}</{tag}>"


def _attribute(text: str) -> str:
    return f'"{escape(_possible(text), {chr(34): "&quot;"})}"'


def _possible(text: str) -> str:
    return _IMPOSSIBLE.sub("\ufffd", text)
