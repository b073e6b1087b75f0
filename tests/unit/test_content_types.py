"""The content type by a key's ending: only pictures, videos and tracks have one."""

from __future__ import annotations

import pytest

from stillframe.storage.content_types import INLINE_TYPES, content_type


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a/00001.jpg", "image/jpeg"),
        ("a/00001.JPEG", "image/jpeg"),
        ("x.png", "image/png"),
        ("a.b/x.y.vtt", "text/vtt; charset=utf-8"),
        ("movie.mp4", "video/mp4"),
        ("movie.webm", "video/webm"),
        ("page.html", "application/octet-stream"),
        ("drawing.svg", "application/octet-stream"),
        ("a.jpg/page", "application/octet-stream"),
        ("jpg", "application/octet-stream"),
        (".jpg", "application/octet-stream"),
        ("x.jpg.html", "application/octet-stream"),
        ("x.jpg ", "application/octet-stream"),
    ],
)
def test_content_type(key: str, expected: str) -> None:
    assert content_type(key) == expected


def test_nothing_that_can_hold_a_script_is_shown() -> None:
    assert not {
        ending for ending, kind in INLINE_TYPES.items() if "xml" in kind or "html" in kind or "svg" in kind
    }
