"""Boxes are found and changed, and what lies behind them stays readable."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from stillframe.testing import barcode, boxes_edit, videos


def test_chunks_follow_what_is_put_before_them(tmp_path: Path) -> None:
    clip = videos.moov_front(tmp_path)
    data = clip.path.read_bytes()
    longer = boxes_edit.insert(data, "moov", boxes_edit.box("free", bytes(1000)), before="trak")
    assert len(longer) == len(data) + 1008
    assert boxes_edit.find(longer, "moov").end == boxes_edit.find(data, "moov").end + 1008
    clip.path.write_bytes(longer)
    with av.open(str(clip.path)) as container:
        numbers = [barcode.read(f.to_ndarray(format="rgb24", threads=1)) for f in container.decode(video=0)]
    assert numbers == list(clip.numbers)
    assert boxes_edit.remove(longer, "moov/free") == data


def test_boxes_of_one_kind_are_counted() -> None:
    data = boxes_edit.box("moov", boxes_edit.box("trak", b"one") + boxes_edit.box("trak", b"two"))
    assert boxes_edit.body(data, "moov/trak[1]") == b"two"
    assert boxes_edit.rename(data, "moov/trak[1]", "free")[-7:-3] == b"free"
    with pytest.raises(KeyError, match=r"no trak\[2\] in moov/trak\[2\]"):
        boxes_edit.find(data, "moov/trak[2]")


def test_large_and_open_sizes() -> None:
    large = b"\x00\x00\x00\x01mdat" + (20).to_bytes(8) + b"data"
    rest = b"\x00\x00\x00\x00free" + b"until the end"
    first, second = boxes_edit.children(large + rest)
    assert (first.kind, first.content, first.end) == ("mdat", 16, 20)
    assert (second.kind, second.end) == ("free", len(large + rest))


def test_a_patch_must_fit() -> None:
    with pytest.raises(ValueError, match="4 bytes at 1 do not fit in free, which has 4"):
        boxes_edit.patch(boxes_edit.box("free", b"1234"), "free", 1, b"1234")
