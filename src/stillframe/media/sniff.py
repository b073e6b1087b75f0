"""A look at the first bytes, to say in plain words what a file is when it is no video.

libav's demuxers are then only offered what may be a video; scripts that name other files or addresses
(playlists, ffconcat, SDP) are refused here first, and by the allow-list in `reader.py` again.
"""

from __future__ import annotations

from stillframe.errors import MediaError
from stillframe.media.source import ByteSource

_HEAD_BYTES = 4096

_PLAYLISTS: tuple[tuple[bytes, str], ...] = (
    (b"#extm3u", "an HLS playlist"),
    (b"ffconcat", "an ffconcat script"),
    (b"v=0", "an SDP session description"),
    (b"[playlist]", "a playlist"),
    (b"<?xml", "an XML document"),
    (b"<mpd", "a DASH manifest"),
    (b"<smil", "a SMIL presentation"),
    (b"<asx", "an ASX playlist"),
)

_NOT_VIDEO: tuple[tuple[int, bytes, str], ...] = (
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (0, b"BM", "a BMP picture"),
    (0, b"II*\x00", "a TIFF picture"),
    (0, b"MM\x00*", "a TIFF picture"),
    (8, b"WEBP", "a WebP picture"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"\x7fELF", "a program"),
    (0, b"SQLite format 3", "a database"),
    (4, b"ftypheic", "a HEIC picture"),
    (4, b"ftypavif", "an AVIF picture"),
)

_AUDIO: tuple[tuple[int, bytes, str], ...] = (
    (8, b"AIFF", "an AIFF sound"),
    (0, b"#!AMR", "an AMR sound"),
    (0, b"MThd", "a MIDI"),
)


def refuse_what_is_no_video(source: ByteSource) -> None:
    """Raise MediaError for a file whose first bytes tell that no video is in it."""
    head = refuse_what_is_no_media(source)
    for offset, magic, what in _AUDIO:
        if head[offset : offset + len(magic)] == magic:
            raise MediaError(source.name, "audio-only", f"is {what} file: there is no video in it")


def refuse_what_is_no_media(source: ByteSource) -> bytes:
    """Raise MediaError for a file whose first bytes tell that neither video nor sound is in it; those bytes."""
    if source.size == 0:
        raise MediaError(source.name, "empty", "the file is empty (0 bytes)")
    head = source.read_at(0, _HEAD_BYTES)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for start, what in _PLAYLISTS:
        if text.startswith(start):
            when = "only opened when its own name ends in .m3u8" if start == b"#extm3u" else "never opened"
            message = f"is {what}, not a video; it names other files, which are {when}"
            raise MediaError(source.name, "playlist", message)
    if text.startswith((b"<!doctype", b"<html", b"<head")):
        raise MediaError(source.name, "not-video", "is an HTML page, not a video (a failed download?)")
    for offset, magic, what in _NOT_VIDEO:
        if head[offset : offset + len(magic)] == magic:
            raise MediaError(source.name, "not-video", f"is {what}, not a video")
    if _looks_like_text(head) and not head.startswith((b"YUV4MPEG2", b"#!AMR")):
        raise MediaError(source.name, "not-video", "is a text file, not a video")
    if not any(head) and source.size <= len(head):
        raise MediaError(source.name, "not-video", "holds only zero bytes")
    return head


def _looks_like_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        # the last character may be cut by the end of the head
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode("utf-8")
    return all(character.isprintable() or character in "\t\r\n\f\b\x1b" for character in text)
