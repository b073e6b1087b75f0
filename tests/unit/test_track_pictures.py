"""How the check of a track learns the sizes of its pictures: from a list of their folder, and not one by one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from stillframe.catalog.buckets import BucketView
from stillframe.jobs.models import JobOutput
from stillframe.service import track_checks
from stillframe.service.job_tracks import JobTrack
from stillframe.service.track_checks import _Pictures
from stillframe.storage.bucket import ObjectFacts

LIST = b"""<?xml version="1.0"?><ListBucketResult><Name>films</Name><IsTruncated>false</IsTruncated>
<KeyCount>1</KeyCount><Contents><Key>t/x/1.jpg</Key><Size>5</Size><ETag>"e"</ETag>
<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents></ListBucketResult>"""


class _ListAlone(BaseHTTPRequestHandler):
    """A store that refuses all but a list."""

    def do_GET(self) -> None:
        is_list = "list-type=2" in self.path
        self.send_response(200 if is_list else 403)
        body = LIST if is_list else b""
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.send_response(403)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def store_in_a_thread() -> Iterator[str]:
    """It answers only while who asks it lets the other threads of the process run. Gives its endpoint."""
    with HTTPServer(("127.0.0.1", 0), _ListAlone) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def track_in(place: str) -> JobTrack:
    return JobTrack("1" * 32, BucketView("films", "1001", place, "r", datetime.now(UTC)), "t/x.vtt", "")


def written(facts: ObjectFacts) -> JobOutput:
    return JobOutput(key=facts.key, size_bytes=facts.size, etag=facts.etag, width_px=96, height_px=54)


def test_other_threads_run_while_a_store_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    with store_in_a_thread() as endpoint:
        track = track_in(f"s3://films?endpoint={endpoint}")
        output = written(ObjectFacts("t/x/1.jpg", 5, '"e"', 0.0))
        assert _Pictures(track, track.bucket.open(), {output.key: output}).size("x/1.jpg") == (96, 54)


def test_all_pages_of_the_list_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(track_checks, "_ON_A_PAGE", 2)
    track = track_in(f"fs:{tmp_path}")
    bucket = track.bucket.open()
    names = [f"x/{number}.jpg" for number in range(5)]
    for name in names:
        bucket.write(f"t/{name}", b"no picture", "image/jpeg")
    outputs = {f"t/{name}": written(bucket.stat(f"t/{name}")) for name in names}
    pictures = _Pictures(track, bucket, outputs)
    assert [pictures.size(name) for name in names] == [(96, 54)] * 5
    bucket.write("t/x/3.jpg", b"another one", "image/jpeg")
    assert _Pictures(track, bucket, outputs).size("x/3.jpg") is None
