"""MP4 under common encryption (ISO 23001-7) without a key: libav decodes it, to grey garbage."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from pathlib import Path

import av

from stillframe.testing import boxes_edit
from stillframe.testing.videos.clip import Clip
from stillframe.testing.videos.encoding import make

__all__ = ["encrypted"]

_CLEAR_BYTES = 24
_IV_BYTES = 8


def encrypted(folder: Path, *, encv: bool = True, senc: bool = False) -> Clip:
    """H.264 whose slices are random bytes but for their headers, as ``cenc`` leaves them.

    ``encv`` says so in the sample entry (``encv`` with ``sinf``). ``senc`` makes a fragmented file with a
    ``senc`` box in each fragment; without ``encv`` that box alone tells.
    """
    name = "encrypted" + ("_encv" if encv else "") + ("_senc" if senc else "")
    fragments = {"movflags": "frag_keyframe+empty_moov+default_base_moof+skip_trailer"}
    clip = make(folder / f"{name}.mp4", bframes=2, container_options=fragments if senc else {})
    data, subsamples = _scrambled(clip.path)
    if senc:
        data = _with_senc(data, subsamples)
    if encv:
        entry = "moov/trak/mdia/minf/stbl/stsd/avc1"
        data = boxes_edit.rename(boxes_edit.insert(data, entry, _sinf()), entry, "encv")
    clip.path.write_bytes(data)
    return Clip(clip.path)


def _scrambled(path: Path) -> tuple[bytes, list[list[tuple[int, int]]]]:
    """The file with random bytes in its slices, and for each picture its (clear, protected) runs of bytes."""
    data = bytearray(path.read_bytes())
    chance = random.Random(1)
    subsamples = []
    with av.open(str(path)) as container:
        samples = [(packet.pos or 0, packet.size) for packet in container.demux(video=0) if packet.size]
    for start, size in samples:
        runs = []
        at = start
        while at < start + size:
            unit = 4 + int.from_bytes(data[at : at + 4])
            clear = min(unit, 4 + _CLEAR_BYTES)
            data[at + clear : at + unit] = chance.randbytes(unit - clear)
            runs.append((clear, unit - clear))
            at += unit
        subsamples.append(runs)
    return bytes(data), subsamples


def _with_senc(data: bytes, subsamples: Sequence[Sequence[tuple[int, int]]]) -> bytes:
    """A senc box in each fragment; the boxes behind it move, and so does what trun says about them."""
    fragments = sum(child.kind == "moof" for child in boxes_edit.children(data))
    done = 0
    for index in range(fragments):
        trun = f"moof[{index}]/traf/trun"
        # sample_count, then data_offset (movenc always writes it), both after version and flags.
        count, data_offset = struct.unpack(">Ii", boxes_edit.body(data, trun)[4:12])
        senc = _senc(subsamples[done : done + count], first_iv=done)
        data = boxes_edit.patch(data, trun, 8, struct.pack(">i", data_offset + len(senc)))
        data = boxes_edit.insert(data, f"moof[{index}]/traf", senc)
        done += count
    return data


def _senc(subsamples: Sequence[Sequence[tuple[int, int]]], first_iv: int) -> bytes:
    content = struct.pack(">I", len(subsamples))
    for iv, runs in enumerate(subsamples, start=first_iv):
        content += iv.to_bytes(_IV_BYTES) + struct.pack(">H", len(runs))
        content += b"".join(struct.pack(">HI", clear, protected) for clear, protected in runs)
    return boxes_edit.full_box("senc", content, flags=2)


def _sinf() -> bytes:
    key_id = bytes(range(16))
    tenc = boxes_edit.full_box("tenc", struct.pack(">HBB", 0, 1, _IV_BYTES) + key_id)
    return boxes_edit.box(
        "sinf",
        boxes_edit.box("frma", b"avc1")
        + boxes_edit.full_box("schm", b"cenc" + struct.pack(">I", 0x10000))
        + boxes_edit.box("schi", tenc),
    )
