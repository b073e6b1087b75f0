"""What is wrong with a store, or with the way to it: waited for where it may pass, and else told in a line."""

from __future__ import annotations

import os
import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from faulty_proxy import Fault
from oss_server import KEY_ID, SECRET, OssServer
from stillframe import SnapshotConfig
from stillframe.errors import SinkError, SourceError
from stillframe.jobs import outputs
from stillframe.media.sink import Item, names_for
from stillframe.storage import store
from stillframe.storage.bucket import Bucket
from stillframe.storage.places import open_bucket, parse_place
from store_kinds import MIB, Profiles, behind_a_proxy, bucket, kind, place, profiles, short_pauses

__all__ = ["bucket", "kind", "place", "profiles", "short_pauses"]


def test_a_key_that_may_not_look_does_not_deny_what_was_written(
    bucket: Bucket, place: str, profiles: Profiles
) -> None:
    written = bucket.write("a.jpg", b"x", "image/jpeg")
    profiles.write("wrong")
    shut_out = open_bucket(parse_place(f"{place}&profile=films"), "films")
    with pytest.raises(SourceError, match="the store refuses the key"):
        shut_out.verify("a.jpg", written)


def test_a_bucket_that_does_not_exist(place: str) -> None:
    bucket = open_bucket(parse_place(place.replace("://films", "://nowhere")), "films")
    with pytest.raises(SinkError, match=r"oss://films: the bucket does not exist: NoSuchBucket: ") as caught:
        bucket.check()
    assert not caught.value.transient
    with pytest.raises(
        SourceError, match=r"oss://films/a\.mp4: the bucket does not exist: NoSuchBucket: "
    ) as read:
        bucket.stat("a.mp4")
    assert not read.value.transient


def test_a_wrong_region(place: str, kind: str) -> None:
    wrong = f"{place.replace('region=cn-shanghai', '')}&region=eu-west-7"
    bucket = open_bucket(parse_place(wrong), "films")
    if kind == "oss v1":
        # it names no region
        bucket.check()
        return
    told = r"the bucket lies in another region than its place says: AuthorizationHeaderMalformed: .*expecting '\w"
    with pytest.raises(SinkError, match=told) as caught:
        bucket.check()
    assert not caught.value.transient
    # an answer to HEAD has no words
    with pytest.raises(SourceError, match=told) as read:
        bucket.stat("a.mp4")
    assert not read.value.transient


@pytest.mark.parametrize("signature", ["v1", "v4"])
def test_a_bucket_of_another_region(oss: OssServer, signature: str) -> None:
    place = oss.make_bucket("elsewhere", region="cn-beijing")
    bucket = open_bucket(parse_place(f"{place}&signature={signature}"), "films")
    with pytest.raises(
        SinkError, match="the bucket lies in another region than its place says: AccessDenied"
    ):
        bucket.check()


@pytest.mark.parametrize("ahead_s", [-1000, 1000])
@pytest.mark.parametrize("form", ["oss v1", "oss v4", "s3"])
def test_a_clock_that_is_wrong(
    oss: OssServer, monkeypatch: pytest.MonkeyPatch, form: str, ahead_s: float
) -> None:
    """No S3 server here has a clock that can be put wrong, but OSS has an S3 face."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    service, _, signature = form.partition(" ")
    place = oss.make_bucket("late").replace("oss://", f"{service}://")
    bucket = open_bucket(parse_place(f"{place}{signature and '&signature=' + signature}"), "films")
    oss.set_clock(ahead_s)
    try:
        with pytest.raises(SinkError, match=r"clock and the store's differ.*RequestTimeTooSkewed") as caught:
            bucket.check()
    finally:
        oss.set_clock(0)
    assert not caught.value.transient


@pytest.mark.parametrize(
    ("endpoint", "told"),
    [
        ("http://127.0.0.1:1", r"Connection refused.*"),
        ("http://nosuch.invalid", r"there is no server of its name: \w[^:]*"),
    ],
)
def test_a_store_that_cannot_be_reached(place: str, endpoint: str, told: str) -> None:
    bucket = open_bucket(replace(parse_place(place), endpoint=endpoint), "films")
    with pytest.raises(SourceError) as caught:
        bucket.stat("a.mp4")
    assert re.fullmatch(rf"oss://films/a\.mp4: the store cannot be reached: {told}", str(caught.value))
    assert caught.value.transient


def test_a_wrong_key(place: str, profiles: Profiles, kind: str) -> None:
    profiles.write("wrong")
    wrong = open_bucket(parse_place(f"{place}&profile=films"), "films")
    told = r"the store refuses the key.*the secret does not belong to the key: SignatureDoesNotMatch"
    with pytest.raises(SinkError, match=told) as caught:
        wrong.check()
    assert not caught.value.transient
    if kind != "s3":
        # Swift says of a key that it does not know that the signature is wrong
        profiles.write(SECRET, key_id="LTAI-nobody")
        with pytest.raises(SinkError, match="the store does not know the key: InvalidAccessKeyId"):
            wrong.check()
    missing = open_bucket(parse_place(f"{place}&profile=another"), "films")
    with pytest.raises(SinkError, match=r"there are no keys for the store: .*credentials.*another|another.*"):
        missing.check()
    profiles.write(SECRET)
    # a key that was changed counts at once
    wrong.check()


@pytest.mark.parametrize(
    ("place", "names"),
    [("s3://films", "AWS_ACCESS_KEY_ID"), ("oss://films?region=x", "ALIBABA_CLOUD_ACCESS_KEY_ID")],
)
def test_no_keys_at_all(place: str, names: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "ALIBABA_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    bucket = open_bucket(parse_place(place), "films")
    with pytest.raises(SinkError, match=f"there are no keys for the store: set {names}") as caught:
        bucket.check()
    assert not caught.value.transient


@pytest.mark.parametrize(
    "place", ["s3://films?endpoint=http://127.0.0.1:1", "oss://films?endpoint=http://127.0.0.1:1"]
)
def test_a_store_that_is_away(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
        monkeypatch.setenv(
            name.replace("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_SECRET").replace("AWS", "ALIBABA_CLOUD"),
            "any",
        )
    bucket = open_bucket(parse_place(place), "films")
    with pytest.raises(SourceError, match="Connection refused") as caught:
        bucket.stat("a.jpg")
    assert caught.value.transient


def test_a_store_that_does_not_show_at_once_what_it_has_taken(oss: OssServer) -> None:
    bucket = open_bucket(parse_place(oss.make_bucket("slow")), "films")
    oss.hide_new_objects(2)
    written = bucket.write("a.jpg", b"x", "image/jpeg")
    assert bucket.verify("a.jpg", written)
    oss.hide_new_objects(3)
    with pytest.raises(SinkError, match="it is not there after it was written") as caught:
        bucket.write("a.jpg", b"x", "image/jpeg")
    assert caught.value.transient
    oss.hide_new_objects(0)


@pytest.mark.parametrize(("hidden", "lost"), [(2, 0), (4, 2)])
def test_outputs_that_a_store_does_not_show_at_once(
    oss: OssServer, monkeypatch: pytest.MonkeyPatch, hidden: int, lost: int
) -> None:
    """A job's end looks at them twice before it makes them again."""
    monkeypatch.setattr(outputs, "_LOOK_AGAIN_S", 0.01)
    bucket = open_bucket(parse_place(oss.make_bucket("slow")), "films")
    sink = outputs.JobSink(bucket, names_for("t/{Count}.jpg", SnapshotConfig(count=2)), threading.Event())
    for index in (0, 1):
        sink.put(Item("snapshot", index, 8, 8), b"x")
    oss.hide_new_objects(hidden)
    assert len(sink.lost(sink.kept)) == lost
    oss.hide_new_objects(0)


@pytest.mark.parametrize("faults", [["503"] * 3, ["reset"] * 2, ["truncated"] * 2, ["503", "reset"]])
def test_a_bad_day(bucket: Bucket, place: str, faults: list[Fault]) -> None:
    """What passes is waited for, and the bytes are the right ones."""
    with behind_a_proxy(bucket, place) as (proxy, spoiled, data):
        source = spoiled.open_source("film.mp4")
        proxy.faults.extend(faults)
        assert source.read_at(MIB, 100) == data[MIB : MIB + 100]
        assert (len(proxy.faults), proxy.ranges) == (0, len(faults) + 1)


def test_a_store_that_sends_a_drop_now_and_then(
    bucket: Bucket, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not waited for until the last one, and what it has is read when it has recovered."""
    with behind_a_proxy(bucket, place) as (proxy, spoiled, data):
        source = spoiled.open_source("film.mp4")
        proxy.faults.append("drip")
        # for this one question: whatever else is asked has its time on a busy machine, too
        with (
            monkeypatch.context() as patch,
            pytest.raises(SourceError, match=r"the store has taken longer than \d s for it") as caught,
        ):
            patch.setattr(store, "_LONGEST_S", 0.5)
            patch.setattr(store, "_SLOWEST_BYTES_PER_S", 10 * MIB)
            source.read_at(MIB, 100)
        assert caught.value.transient
        assert source.read_at(MIB, 100) == data[MIB : MIB + 100]


@pytest.mark.parametrize("offset", [0, MIB])
def test_a_store_that_does_not_know_ranges(bucket: Bucket, place: str, offset: int) -> None:
    """All of the object instead of a range: never taken for the range, and told."""
    with behind_a_proxy(bucket, place) as (proxy, spoiled, _):
        source = spoiled.open_source("film.mp4")
        proxy.faults.extend(["whole"] * 20)
        told = r"oss://films/film\.mp4: the store sends more than it was asked for"
        with pytest.raises(SourceError, match=told):
            source.read_at(offset, 100)


def test_a_store_that_stays_away_while_a_video_is_read(bucket: Bucket, place: str) -> None:
    with behind_a_proxy(bucket, place) as (proxy, spoiled, _):
        source = spoiled.open_source("film.mp4")
        proxy.faults.extend(["503"] * 20)
        with pytest.raises(SourceError) as caught:
            source.read_at(0, 100)
    assert caught.value.transient
