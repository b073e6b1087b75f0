"""Find, change, insert and remove boxes of an MP4 file that lies in memory; sizes and chunk offsets follow.

    data = path.read_bytes()
    data = patch(data, "moov/mvhd", 16, (3_600_000).to_bytes(4))   # a duration that is not true
    data = insert(data, "moov/trak", box("free", b"hello"))        # the last child of the first track
    data = remove(data, "moov/udta")

A path names boxes from the top of the file; ``trak[1]`` is the second of its kind. Every function returns new
bytes and raises KeyError for a path that is not there. The layout is ISO 14496-12's.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = [
    "Box",
    "body",
    "box",
    "children",
    "find",
    "full_box",
    "insert",
    "patch",
    "remove",
    "rename",
    "replace",
]

# Bytes of its own that a box has before its children; boxes that are not named here have none.
_FIELDS_BEFORE_CHILDREN = {"stsd": 8, "meta": 4, "dref": 8} | dict.fromkeys(
    ("avc1", "avc3", "hvc1", "hev1", "av01", "vp09", "mp4v", "encv", "png ", "raw "), 78
)


@dataclass(frozen=True, slots=True)
class Box:
    """Where a box lies in the file, in bytes: ``start``, ``content`` after size and kind, ``end``."""

    kind: str
    start: int
    content: int
    end: int


def find(data: bytes, path: str) -> Box:
    """The box at ``path``, such as ``moov/trak[1]/mdia/minf/stbl/stsd/avc1``."""
    return _chain(data, path)[-1]


def body(data: bytes, path: str) -> bytes:
    """What lies in the box at ``path``, after its size and kind."""
    there = find(data, path)
    return data[there.content : there.end]


def children(data: bytes, parent: Box | None = None) -> Iterator[Box]:
    """The boxes in ``parent``, or at the top of the file."""
    start = parent.content + _FIELDS_BEFORE_CHILDREN.get(parent.kind, 0) if parent else 0
    end = parent.end if parent else len(data)
    while start + 8 <= end:
        size, content = int.from_bytes(data[start : start + 4]), start + 8
        if size == 1:
            size, content = int.from_bytes(data[start + 8 : start + 16]), start + 16
        elif size == 0:
            size = end - start
        if size < content - start:
            return
        yield Box(data[start + 4 : start + 8].decode("latin-1"), start, content, min(start + size, end))
        start += size


def box(kind: str, content: bytes) -> bytes:
    """A new box."""
    return struct.pack(">I4s", 8 + len(content), kind.encode("latin-1")) + content


def full_box(kind: str, content: bytes, version: int = 0, flags: int = 0) -> bytes:
    """A new box with a version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags) + content)


def patch(data: bytes, path: str, offset: int, new: bytes) -> bytes:
    """Overwrite bytes in the box at ``path``, ``offset`` bytes after its size and kind."""
    there = find(data, path)
    start = there.content + offset
    if start + len(new) > there.end:
        raise ValueError(
            f"{len(new)} bytes at {offset} do not fit in {path}, which has {there.end - there.content}"
        )
    return data[:start] + new + data[start + len(new) :]


def rename(data: bytes, path: str, kind: str) -> bytes:
    """Give the box at ``path`` another kind."""
    start = find(data, path).start
    return data[: start + 4] + kind.encode("latin-1") + data[start + 8 :]


def insert(data: bytes, parent: str, new: bytes, before: str | None = None) -> bytes:
    """Put the box ``new`` into the box at ``parent``: last, or before its first child of a kind."""
    chain = _chain(data, parent)
    at = find(data, f"{parent}/{before}").start if before else chain[-1].end
    return _splice(data, at, at, new, chain)


def remove(data: bytes, path: str) -> bytes:
    """Take the box at ``path`` out."""
    *parents, there = _chain(data, path)
    return _splice(data, there.start, there.end, b"", parents)


def replace(data: bytes, path: str, new: bytes) -> bytes:
    """Put the box ``new`` where the box at ``path`` was."""
    *parents, there = _chain(data, path)
    return _splice(data, there.start, there.end, new, parents)


def _chain(data: bytes, path: str) -> list[Box]:
    chain: list[Box] = []
    for step in path.split("/"):
        match = re.fullmatch(r"(.{4})(?:\[(\d+)\])?", step)
        if not match:
            raise ValueError(f"{step!r} in {path!r} is no box: four characters, then maybe [n]")
        kind, skip = match[1], int(match[2] or 0)
        alike = [child for child in children(data, chain[-1] if chain else None) if child.kind == kind]
        if len(alike) <= skip:
            raise KeyError(f"no {step} in {path}")
        chain.append(alike[skip])
    return chain


def _splice(data: bytes, start: int, end: int, new: bytes, parents: list[Box]) -> bytes:
    grown = len(new) - (end - start)
    edited = bytearray(data)
    _shift_chunks(data, edited, end, grown)
    for parent in parents:
        if parent.content - parent.start != 8:
            raise ValueError(f"{parent.kind} has a 64-bit size, which is not changed here")
        edited[parent.start : parent.start + 4] = (parent.end - parent.start + grown).to_bytes(4)
    edited[start:end] = new
    return bytes(edited)


def _shift_chunks(data: bytes, edited: bytearray, moved_from: int, by: int) -> None:
    """Move, in ``edited``, the chunk offsets that point behind the edit."""
    for table in _chunk_tables(data):
        form, width = (">I", 4) if table.kind == "stco" else (">Q", 8)
        for index in range(int.from_bytes(data[table.content + 4 : table.content + 8])):
            at = table.content + 8 + index * width
            (offset,) = struct.unpack_from(form, data, at)
            if offset >= moved_from:
                struct.pack_into(form, edited, at, offset + by)


def _chunk_tables(data: bytes) -> Iterator[Box]:
    parents: list[Box | None] = [None]
    for kind in ("moov", "trak", "mdia", "minf", "stbl"):
        parents = [child for parent in parents for child in children(data, parent) if child.kind == kind]
    for parent in parents:
        yield from (child for child in children(data, parent) if child.kind in ("stco", "co64"))
