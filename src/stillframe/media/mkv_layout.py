"""The pictures in a piece of a Matroska or WebM file: the blocks of its one video in clusters.

The header is read for what must be known of the tracks; what makes blocks more than plain pictures (lacing,
compression, encryption, additions) is odd.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from stillframe.media.landmarks import Look, Odd, Picture
from stillframe.media.nal_units import is_keyframe_in_lengths

_EBML, _SEGMENT, CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_SEEK_HEAD, _SEEK, _SEEK_ID, _SEEK_POSITION = 0x114D9B74, 0x4DBB, 0x53AB, 0x53AC
_CUES = 0x1C53BB6B
_INFO, _TIMESTAMP_SCALE, _DEFAULT_SCALE_NS = 0x1549A966, 0x2AD7B1, 1_000_000
_TRACKS, _TRACK = 0x1654AE6B, 0xAE
_NUMBER, _TYPE, _CODEC_ID, _PRIVATE, _DEFAULT_DURATION = 0xD7, 0x83, 0x86, 0x63A2, 0x23E383
_ENCODINGS, _SCALE, _MAX_ADDITION, _CODEC_DELAY = 0x6D80, 0x23314F, 0x55EE, 0x56AA
TIMESTAMP, SIMPLE_BLOCK, GROUP = 0xE7, 0xA3, 0xA0
_BLOCK, _REFERENCE, _ADDITIONS = 0xA1, 0xFB, 0x75A1
#: what may follow a cluster's head
_IN_CLUSTER = {TIMESTAMP, SIMPLE_BLOCK, GROUP, 0xEC, 0xBF, 0xA7, 0xAB, 0x5854}
#: what may follow a cluster
_IN_SEGMENT = {CLUSTER, _CUES, _SEEK_HEAD, _TRACKS, _INFO, 0x1254C367, 0x1941A469, 0x1043A770, 0xEC, 0xBF}
_MARK = CLUSTER.to_bytes(4, "big")
#: that a piece may hold where there are none, by chance
_MOST_FALSE_MARKS = 16
_VIDEO = 1
UNKNOWN = -1
#: bytes of a block that tell whether it is a keyframe
_MOST_HEAD = 64 << 10
_MOST_TICKS = 1 << 62
_CODECS = {
    "V_MPEG4/ISO/AVC": "h264",
    "V_MPEGH/ISO/HEVC": "hevc",
    "V_VP8": "vp8",
    "V_VP9": "vp9",
    "V_AV1": "av1",
}

ReadAt = Callable[[int, int], bytes]


class Block(NamedTuple):
    """One block: its track, time in ticks, whether it says that it is a keyframe, and where its data lie."""

    track: int
    pts: int
    keyframe: bool
    position: int
    length: int


class Element(NamedTuple):
    """An element: its identifier, where it begins, where its content does, and that content's length; -1 is unknown."""

    id: int
    start: int
    content: int
    length: int

    @property
    def end(self) -> int:
        return self.content + self.length


@dataclass(frozen=True, slots=True)
class MkvHeader:
    """What the header tells: where the first cluster is, and of the video track its number and codec."""

    first_cluster: int
    track: int
    codec: str
    length_bytes: int
    #: numbers of the sound tracks
    sound: tuple[int, ...]
    #: how long a picture lasts, 0 when it does not say
    picture_ticks: int = 0


def cues_at(head: bytes) -> int | None:
    """Where the file's index begins, as its first bytes say; None when they promise none. Raises Odd."""
    segment = _segment(head)
    for element in _level_one(head):
        if element.id == _CUES:
            return element.start
        if element.id == _SEEK_HEAD:
            for part in _children(head, element):
                if part.id != _SEEK:
                    # a check sum, whose bytes may look like anything
                    continue
                facts = {named.id: head[named.content : named.end] for named in _children(head, part)}
                if facts.get(_SEEK_ID) == _CUES.to_bytes(4, "big"):
                    return segment.content + int.from_bytes(facts.get(_SEEK_POSITION, b""), "big")
    return None


def read_header(head: bytes) -> MkvHeader:
    """What the first bytes of a file tell. Raises Odd."""
    track: MkvHeader | None = None
    scale_ns = _DEFAULT_SCALE_NS
    for element in _level_one(head):
        if element.id == _INFO:
            facts = {part.id: head[part.content : part.end] for part in _children(head, element)}
            scale_ns = int.from_bytes(facts.get(_TIMESTAMP_SCALE, b""), "big") or _DEFAULT_SCALE_NS
        elif element.id == _TRACKS:
            track = _read_tracks(head, element)
        elif element.id == CLUSTER and track is not None:
            return replace(track, first_cluster=element.start, picture_ticks=track.picture_ticks // scale_ns)
    raise Odd("its header is not in one piece at its beginning")


class MkvLayout:
    """The clusters of one file."""

    follow = 1

    def __init__(self, header: MkvHeader) -> None:
        self.header = header
        self.first_position = header.first_cluster

    def look(self, data: bytes, base: int, start: int, stop: int, cluster_ticks: int | None = None) -> Look:
        at: int | None = start - base
        if cluster_ticks is None:
            at = _first_cluster(data, max(start, self.first_position) - base)
            if at is None or base + at >= stop:
                return Look((), stop, stop)
        assert at is not None
        start = base + at
        pictures: list[Picture] = []
        while at < min(len(data), stop - base):
            element = _element(data, at)
            if element is None or (element.id == TIMESTAMP and element.end > len(data)):
                break
            following = element.end
            if element.id == CLUSTER:
                cluster_ticks = None
                following = element.content
            elif element.id == TIMESTAMP:
                cluster_ticks = cluster_time(data[element.content : element.end])
            elif element.length == UNKNOWN:
                raise Odd("an element of unknown size that is no cluster")
            elif element.id in (SIMPLE_BLOCK, GROUP):
                found = self._block(data, element, cluster_ticks)
                if found is None:
                    break
                block, is_keyframe = found
                if block.track == self.header.track:
                    assert cluster_ticks is not None
                    pictures.append(
                        Picture(base + at, block.pts, is_keyframe, base + element.end, cluster_ticks)
                    )
            elif element.id not in _IN_CLUSTER | _IN_SEGMENT:
                raise Odd(f"an element {element.id:X} between blocks")
            at = following
        return Look(pictures, start, base + at, cluster_ticks)

    def _block(self, data: bytes, element: Element, cluster_ticks: int | None) -> tuple[Block, bool] | None:
        """A block, and whether it is a keyframe; None when more of it is needed."""
        if cluster_ticks is None:
            raise Odd("a block before its cluster's time")
        block = block_of(data, element, cluster_ticks, self.header.track)
        if block is None or block.track != self.header.track or block.keyframe:
            return block and (block, block.keyframe)
        payload = data[
            block.position : min(block.position + block.length, len(data), block.position + _MOST_HEAD)
        ]
        said = is_key(self.header, payload)
        if said is None and len(payload) < min(block.length, _MOST_HEAD):
            return None
        return block, bool(said)


def cluster_time(content: bytes) -> int:
    """The time of a cluster in ticks. Raises Odd for one that no file has: what is added to it must have 64 bits."""
    ticks = int.from_bytes(content[:9], "big")
    if len(content) > 8 or ticks > _MOST_TICKS:
        raise Odd("a cluster at an impossible time")
    return ticks


def block_of(data: bytes, element: Element, cluster_ticks: int, track: int) -> Block | None:
    """The block in an element of a cluster; None when its head is not all there.

    Raises Odd for one of `track` that is more than a plain picture.
    """
    if element.id == SIMPLE_BLOCK:
        return _plain(data, element, cluster_ticks, track, says_key=None)
    block, refers = None, False
    at = element.content
    while at < min(element.end, len(data)):
        part = _element(data, at)
        if part is None or part.length == UNKNOWN or part.end > element.end:
            break
        if part.id == _BLOCK:
            block = part
        elif part.id == _REFERENCE:
            refers = True
        elif part.id == _ADDITIONS:
            raise Odd("a block with additions")
        at = part.end
    if at != element.end:
        # what refers to other pictures may come after the block's data
        if element.end <= len(data):
            raise Odd("a group that does not end where it should")
        return None
    if block is None:
        raise Odd("a group without a block")
    return _plain(data, block, cluster_ticks, track, says_key=not refers)


def element_at(data: bytes, base: int, position: int) -> Element | None:
    """The element that begins at a byte of the file; None when its head is not in `data`."""
    element = _element(data, position - base)
    return element and element._replace(start=position, content=element.content + base)


def _plain(
    data: bytes, element: Element, cluster_ticks: int, track: int, *, says_key: bool | None
) -> Block | None:
    number = _number(data, element.content, keeps_mark=False)
    if number is None or number[1] + 3 > len(data):
        return None
    at = number[1]
    flags = data[at + 2]
    if number[0] == track and flags & 0x06:
        raise Odd("several pictures in a block")
    ticks = cluster_ticks + int.from_bytes(data[at : at + 2], "big", signed=True)
    keyframe = bool(flags & 0x80) if says_key is None else says_key
    return Block(number[0], ticks, keyframe, at + 3, element.end - at - 3)


def is_key(header: MkvHeader, payload: bytes) -> bool | None:
    """Whether a block's data begin a keyframe, as libav's parsers see it; None when they are too few to tell."""
    if header.codec in ("h264", "hevc"):
        return is_keyframe_in_lengths(header.codec, payload, header.length_bytes)
    if not payload or header.codec == "av1":
        # what blocks say of AV1 is believed
        return None
    if header.codec == "vp8":
        return not payload[0] & 1
    return _vp9_is_key(payload[0])


def _vp9_is_key(first: int) -> bool:
    """The uncompressed header: marker, profile (a reserved bit in profile 3), show_existing_frame, frame_type."""
    is_profile_3 = first & 0x30 == 0x30
    shows_existing = first & (0x04 if is_profile_3 else 0x08)
    is_inter = first & (0x02 if is_profile_3 else 0x04)
    return not shows_existing and not is_inter


def _first_cluster(data: bytes, at: int) -> int | None:
    """Where the first cluster begins: by its mark, and by what follows its head."""
    for _ in range(_MOST_FALSE_MARKS):
        at = data.find(_MARK, max(at, 0))
        if at < 0:
            return None
        with contextlib.suppress(Odd):
            if _is_cluster(data, at):
                return at
        at += 1
    raise Odd("marks of clusters without clusters")


def _is_cluster(data: bytes, at: int) -> bool:
    cluster = _element(data, at)
    inner = cluster.content if cluster is not None else len(data)
    # a checksum or filling may come before its time
    for _ in range(3):
        part = _element(data, inner)
        if part is None or part.id not in _IN_CLUSTER or part.length == UNKNOWN:
            return False
        if part.id == TIMESTAMP:
            after = _element(data, part.end)
            return part.length <= 8 and (after is None or after.id in _IN_CLUSTER | {CLUSTER})
        inner = part.end
    return False


def _segment(head: bytes) -> Element:
    ebml = _element(head, 0)
    if ebml is None or ebml.id != _EBML or ebml.length == UNKNOWN:
        raise Odd("it does not begin with EBML")
    segment = _element(head, ebml.end)
    if segment is None or segment.id != _SEGMENT:
        raise Odd("no segment follows its first element")
    return segment


def _level_one(head: bytes) -> list[Element]:
    """The elements of the segment, as far as the first cluster, or as `head` goes."""
    found: list[Element] = []
    at = _segment(head).content
    while (element := _element(head, at)) is not None:
        found.append(element)
        if element.id == CLUSTER or element.length == UNKNOWN:
            break
        at = element.end
    return found


def _read_tracks(head: bytes, tracks: Element) -> MkvHeader:
    if tracks.end > len(head):
        raise Odd("its tracks are not described at its beginning")
    videos: list[dict[int, bytes]] = []
    sound: list[int] = []
    for entry in _children(head, tracks):
        if entry.id != _TRACK:
            continue
        facts = {part.id: head[part.content : part.end] for part in _children(head, entry)}
        kind = int.from_bytes(facts.get(_TYPE, b""), "big")
        if kind == _VIDEO:
            videos.append(facts)
        elif kind == 2:
            sound.append(int.from_bytes(facts.get(_NUMBER, b""), "big"))
    if len(videos) != 1:
        raise Odd("not just one video track")
    video = videos[0]
    if (
        video.keys() & {_ENCODINGS, _SCALE}
        or any(video.get(_MAX_ADDITION, b""))
        or any(video.get(_CODEC_DELAY, b""))
    ):
        raise Odd("a video track that is compressed, encrypted, scaled or has additions")
    codec = _CODECS.get(video.get(_CODEC_ID, b"").rstrip(b"\0").decode("ascii", "replace"))
    private = video.get(_PRIVATE, b"")
    lengths_at = {"h264": 4, "hevc": 21}.get(codec or "")
    if codec is None or (lengths_at is not None and (len(private) <= lengths_at or private[0] != 1)):
        raise Odd("a codec whose keyframes are not known by their blocks")
    length_bytes = (private[lengths_at] & 3) + 1 if lengths_at is not None else 0
    return MkvHeader(
        first_cluster=0,
        track=int.from_bytes(video.get(_NUMBER, b""), "big"),
        codec=codec,
        length_bytes=length_bytes,
        sound=tuple(sound),
        picture_ticks=int.from_bytes(video.get(_DEFAULT_DURATION, b""), "big"),
    )


def _children(data: bytes, parent: Element) -> list[Element]:
    found, at = [], parent.content
    while at < min(parent.end, len(data)):
        part = _element(data, at)
        if part is None or part.length == UNKNOWN:
            break
        found.append(part)
        at = part.end
    return found


def _element(data: bytes, at: int) -> Element | None:
    identifier = _number(data, at, keeps_mark=True)
    if identifier is None:
        return None
    length = _number(data, identifier[1], keeps_mark=False)
    return length and Element(identifier[0], at, length[1], length[0])


def _number(data: bytes, at: int, *, keeps_mark: bool) -> tuple[int, int] | None:
    """A number of variable length, and where it ends; -1 for an unknown size; None when it is not all there."""
    if not 0 <= at < len(data):
        return None
    first = data[at]
    length = 9 - first.bit_length()
    if length > (4 if keeps_mark else 8):
        raise Odd("a number that is too long")
    if at + length > len(data):
        return None
    value = int.from_bytes(data[at : at + length], "big")
    if keeps_mark:
        return value, at + length
    value &= (1 << 7 * length) - 1
    return (UNKNOWN if value == (1 << 7 * length) - 1 else value), at + length
