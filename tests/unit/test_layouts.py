"""The pictures that a piece of a file tells are those that libav finds there."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from stillframe.media.flv_layout import FlvLayout
from stillframe.media.landmarks import Layout, Odd
from stillframe.media.mkv_layout import MkvLayout, cues_at, read_header
from stillframe.media.patch import Patch
from stillframe.media.ts_layout import PACKET_BYTES, TsLayout
from stillframe.testing import Clip, videos

HEAD = 64 << 10
PIECE = 3000

Make = Callable[[Path], Clip]


def made(name: str, **facts: object) -> Make:
    return lambda folder: videos.make(folder / name, frames=75, **facts)  # type: ignore[arg-type]


CLIPS: dict[str, Make] = {
    "ts h264": made("a.ts", bframes=2),
    "ts open gop": made("a.ts", bframes=2, open_gop=True),
    "ts with sound": made("a.ts", audio="aac"),
    "ts hevc": made("a.ts", codec="libx265", bframes=2),
    "ts mpeg2": made("a.ts", codec="mpeg2video", bframes=2),
    "mkv": made("a.mkv", bframes=2),
    "mkv with sound": made("a.mkv", audio="aac"),
    "mkv from a pipe": made("a.mkv", bframes=2, seekable=False),
    "webm vp8": made("a.webm", codec="libvpx"),
    "webm vp9": made("a.webm", codec="libvpx-vp9"),
    "flv": made("a.flv", bframes=2),
}


@pytest.fixture(scope="module", params=CLIPS)
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return CLIPS[request.param](tmp_path_factory.mktemp("clip"))


def layout_of(path: Path) -> Layout:
    head = path.read_bytes()[:HEAD]
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        pid, codec = stream.id, stream.codec_context.name
    if path.suffix == ".ts":
        return TsLayout(head, pid, codec)
    return FlvLayout(head, codec) if path.suffix == ".flv" else MkvLayout(read_header(head))


def demuxed(path: Path) -> list[tuple[int, bool]]:
    with av.open(str(path)) as container:
        return [(p.pts, p.is_keyframe) for p in container.demux(video=0) if p.pts is not None]


def test_all_pictures_of_a_file_are_seen_as_libav_sees_them(clip: Clip) -> None:
    data = clip.path.read_bytes()
    patch = Patch(layout_of(clip.path), 0, data, len(data))
    expected = demuxed(clip.path)
    seen = [(picture.pts, picture.keyframe) for picture in patch.pictures]
    # the first slice of the last picture may be all that is there of it
    assert seen == expected
    assert [p.position for p in patch.pictures] == sorted({p.position for p in patch.pictures})


@pytest.mark.parametrize("start", [0.0, 0.37, 0.5, 0.81])
def test_a_piece_may_grow_to_both_sides_from_anywhere(clip: Clip, start: float) -> None:
    """Piece by piece, whatever lies across the cuts."""
    data = clip.path.read_bytes()
    layout = layout_of(clip.path)
    known = demuxed(clip.path)
    base = int(start * len(data))
    patch = Patch(layout, base, data[base : base + PIECE], len(data))
    while not (patch.begins and patch.ends):
        if not patch.ends:
            patch.grow_right(data[patch.end : patch.end + PIECE])
        if not patch.begins:
            offset = max(patch.base - PIECE, 0)
            patch.grow_left(data[offset : patch.base])
        seen = [(picture.pts, picture.keyframe) for picture in patch.pictures]
        assert any(known[at : at + len(seen)] == seen for at in range(len(known))), seen
    assert [(picture.pts, picture.keyframe) for picture in patch.pictures] == known
    for picture in patch.pictures:
        assert patch.piece(picture)[:1] == data[picture.position : picture.position + 1]


def test_a_header_says_where_the_cues_are(tmp_path: Path) -> None:
    data = videos.make(tmp_path / "a.mkv").path.read_bytes()
    cues = cues_at(data[:4096])
    assert cues is not None
    assert data[cues : cues + 4] == b"\x1c\x53\xbb\x6b"
    # its check sum may look like an element that is too long
    check_sum = data.index(b"\xbf\x84", data.index(b"\x11\x4d\x9b\x74")) + 2
    assert cues_at(data[:check_sum] + b"\x0d\x3a\x7c\x7b" + data[check_sum + 4 : 4096]) == cues
    assert cues_at(videos.make(tmp_path / "b.mkv", seekable=False).path.read_bytes()[:4096]) is None


def packets(data: bytes) -> list[bytearray]:
    return [bytearray(data[at : at + PACKET_BYTES]) for at in range(0, len(data), PACKET_BYTES)]


def of_video(data: bytes, *, begins: bool) -> list[int]:
    """The numbers of the video's packets (libav gives it PID 256)."""
    return [
        number
        for number, packet in enumerate(packets(data))
        if packet[1] & 0x1F == 1 and packet[2] == 0 and bool(packet[1] & 0x40) == begins
    ]


def without_marks(data: bytes) -> bytes:
    changed = packets(data)
    changed[of_video(data, begins=False)[30]][0] = 0x46
    return b"".join(changed)


def damaged(data: bytes) -> bytes:
    changed = packets(data)
    changed[of_video(data, begins=False)[30]][1] |= 0x80
    return b"".join(changed)


def scrambled(data: bytes) -> bytes:
    changed = packets(data)
    changed[of_video(data, begins=False)[30]][3] |= 0x80
    return b"".join(changed)


def with_a_jump(data: bytes) -> bytes:
    """A packet that says that times jump: in the middle, in an adaptation field that is there already."""
    changed = packets(data)
    later = [n for n in of_video(data, begins=True) if changed[n][3] & 0x20 and n * PACKET_BYTES > 20_000]
    changed[later[0]][5] |= 0x80
    return b"".join(changed)


def without_times(data: bytes) -> bytes:
    changed = packets(data)
    number = of_video(data, begins=True)[5]
    at = changed[number].find(b"\0\0\1\xe0")
    changed[number][at + 7] &= 0x3F
    return b"".join(changed)


def with_units_that_hold_two(data: bytes) -> bytes:
    """Every other unit's beginning is taken away, so that its picture belongs to the unit before."""
    changed = packets(data)
    for number in of_video(data, begins=True)[1::2]:
        changed[number][1] &= ~0x40
    return b"".join(changed)


@pytest.mark.parametrize(
    "change",
    [without_marks, damaged, scrambled, with_a_jump, without_times, with_units_that_hold_two],
    ids=lambda change: change.__name__.replace("_", " "),
)
def test_a_transport_stream_that_is_odd_is_not_guessed_at(
    change: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    clip = videos.make(tmp_path / "a.ts", frames=75, width=320, height=180)
    data = clip.path.read_bytes()
    layout = layout_of(clip.path)
    Patch(layout, 0, data, len(data))
    changed = change(data)
    assert changed != data
    with pytest.raises(Odd):
        Patch(layout, 0, changed, len(changed))


def test_a_stream_with_two_programs_is_odd(tmp_path: Path) -> None:
    clip = videos.make(tmp_path / "a.ts")
    data = bytearray(clip.path.read_bytes())
    table = next(
        at for at in range(0, len(data), PACKET_BYTES) if data[at + 1] & 0x1F == 0 and data[at + 2] == 0
    )
    # the length of the table, and a second entry; its checksum is nobody's business here
    section = table + 5
    data[section + 1 : section + 3] = struct.pack(">H", 0xB000 | 17)
    data[section + 12 : section + 16] = struct.pack(">HH", 2, 0xE000 | 0x1001)
    with pytest.raises(Odd, match="programs"):
        TsLayout(bytes(data[:HEAD]), 256, "h264")


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"G" * 10,
        b"\x1a\x45\xdf\xa3",
        b"FLV\1",
        bytes(HEAD),
        b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\xff" + bytes(99),
    ],
)
def test_what_is_none_of_them_is_odd(head: bytes) -> None:
    with pytest.raises(Odd):
        TsLayout(head, 256, "h264")
    with pytest.raises(Odd):
        FlvLayout(head, "h264")
    with pytest.raises(Odd):
        read_header(head)


def test_marks_of_clusters_by_chance_are_passed_over_and_many_are_odd(tmp_path: Path) -> None:
    clip = videos.make(tmp_path / "a.mkv", seekable=False)
    data = clip.path.read_bytes()
    layout = layout_of(clip.path)
    first = Patch(layout, 0, data, len(data)).pictures
    mark = b"\x1f\x43\xb6\x75\x00\x01"
    # in front of a piece that begins within a cluster
    patch = Patch(layout, 1 << 20, mark * 5 + data[layout.first_position :], 1 << 30)
    assert [p.pts for p in patch.pictures] == [p.pts for p in first]
    with pytest.raises(Odd):
        Patch(layout, 1 << 20, mark * 500, 1 << 30)


def test_laced_blocks_are_odd(tmp_path: Path) -> None:
    clip = videos.make(tmp_path / "a.mkv", seekable=False)
    data = bytearray(clip.path.read_bytes())
    layout = layout_of(clip.path)
    block = Patch(layout, 0, bytes(data), len(data)).pictures[3].position
    # SimpleBlock: its id, its size (two bytes here or more), its track, two bytes of time, and its flags
    size_bytes = 9 - data[block + 1].bit_length()
    data[block + 1 + size_bytes + 3] |= 0x02
    with pytest.raises(Odd, match="several pictures"):
        Patch(layout, 0, bytes(data), len(data))


def test_a_tag_whose_length_does_not_come_back_is_odd(tmp_path: Path) -> None:
    clip = videos.make(tmp_path / "a.flv", frames=75)
    data = bytearray(clip.path.read_bytes())
    layout = layout_of(clip.path)
    later = Patch(layout, 0, bytes(data), len(data)).pictures[20]
    data[later.position - 1] ^= 1
    with pytest.raises(Odd):
        Patch(layout, 0, bytes(data), len(data))


@pytest.mark.parametrize("length", range(24, 40))
def test_a_header_that_ends_anywhere_is_odd_or_enough(length: int) -> None:
    """What a file holds before its pictures may be as long as what is read of its beginning."""
    sets_up = b"\x17\0\0\0\0\1\x64\0\x1e\xff" + bytes(20)
    head = b"FLV\1\5\0\0\0\x09" + bytes(4) + b"\x09\0\0" + bytes([len(sets_up)]) + bytes(7) + sets_up
    try:
        FlvLayout(head[:length], "h264")
    except Odd:
        return
    assert length >= 13 + 11 + 10
