"""The headers of every answer: what a browser may load and run, and who may keep what."""

from __future__ import annotations

from collections.abc import Iterable

#: of pages that nobody may keep
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # not `no-referrer`: with that, browsers send forms with `Origin: null`
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'{media}; media-src 'self'{media}; "
    "connect-src 'self'{fetched}; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def page_headers(media_origins: Iterable[str] = (), fetched_origins: Iterable[str] = ()) -> dict[str, str]:
    """Of a page; it may show pictures and videos from these origins as well, and its scripts may fetch from those."""
    policy = _POLICY.format(media=_sources(media_origins), fetched=_sources(fetched_origins))
    return _ALWAYS | {"Cache-Control": "no-store", "Content-Security-Policy": policy}


def static_headers() -> dict[str, str]:
    """Of a file whose name says what is in it."""
    return _ALWAYS | {
        "Cache-Control": "public, max-age=31536000, immutable",
        "Content-Security-Policy": "default-src 'none'",
    }


def _sources(origins: Iterable[str]) -> str:
    return "".join(f" {origin}" for origin in sorted(origins))
