"""What is told of OpenDAL's errors, in the words that it has for them."""

from __future__ import annotations

import pytest
from opendal import exceptions

from stillframe.errors import SourceError
from stillframe.storage.store_faults import fault

CONTEXT = "\n\nContext:\n   response: Parts { status: %s, version: HTTP/1.1 }\n   service: s3\n"


@pytest.mark.parametrize(
    ("error", "told", "is_transient"),
    [
        (
            exceptions.Unexpected("Unexpected (persistent) at stat" + CONTEXT % 503),
            "the store answers 503 Service Unavailable",
            True,
        ),
        (
            exceptions.Unexpected("Unexpected (permanent) at stat" + CONTEXT % 499),
            "the store answers 499",
            False,
        ),
        (
            exceptions.Unexpected(
                'Unexpected (persistent) at write => S3Error { code: "", message: "", resource: "" }'
                + CONTEXT % 502
            ),
            "the store answers 502 Bad Gateway",
            True,
        ),
        (
            exceptions.RateLimited(
                'RateLimited (persistent) at read => S3Error { code: "SlowDown", message: "Slower." }'
                + CONTEXT % 503
            ),
            "the store answers 503 Service Unavailable: SlowDown: Slower.",
            True,
        ),
        (
            exceptions.Unexpected("Unexpected (persistent) at  => reader got too much data"),
            "the store sends more than it was asked for, as one that does not know ranges does",
            True,
        ),
        (
            exceptions.Unexpected("Unexpected (persistent) at read => reader got too little data"),
            "the store sends less than it was asked for",
            True,
        ),
        (
            exceptions.Unexpected(
                "Unexpected (persistent) at read => read data from http response"
                + CONTEXT % 206
                + "\nSource:\n   connection reset\n"
            ),
            "read data from http response: connection reset",
            True,
        ),
        (
            exceptions.PermissionDenied("PermissionDenied (permanent) at stat" + CONTEXT % 403),
            "the store refuses the key, or what it may do: it may lack a right, be wrong, or have ended: "
            "the store answers 403 Forbidden",
            False,
        ),
        (
            exceptions.PermissionDenied(
                "PermissionDenied (permanent) at read => "
                'S3Error { code: "InvalidObjectState", message: "It must be restored." }' + CONTEXT % 403
            ),
            "the object lies in an archive, restore it first: InvalidObjectState: It must be restored.",
            False,
        ),
    ],
)
def test_what_is_told_of_a_fault(error: Exception, told: str, is_transient: bool) -> None:
    made = fault(SourceError, "oss://films/movie.mp4", error)
    assert str(made) == f"oss://films/movie.mp4: {told}"
    assert made.transient == is_transient
