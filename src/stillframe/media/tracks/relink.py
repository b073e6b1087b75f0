"""The images that a track names, and the same track with other addresses for them.

    names = image_names(track)    # {"x/snapshot-tile-00001.jpg"}
    relinked(track, {name: f"https://cdn.example/{name}" for name in names})

A name is what stands under a timing line, without the `#xywh=…` behind it. Tracks may be anybody's: nothing grows but
with the number of their images.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping

from stillframe.media.tracks.vtt_text import ARROW


def image_names(track: bytes, most: int) -> set[str]:
    """The names as they are written. Raises ValueError for a track that names images more than `most` times."""
    names = set()
    for number, name in enumerate((name for _, name, _ in _lines(track) if name), 1):
        if number > most:
            raise ValueError(f"names more than {most:,} images")
        names.add(name)
    return names


def relinked(track: bytes, links: Mapping[str, str]) -> bytes:
    """The track with those names replaced for which there is a link. Lines end with LF."""
    written = io.StringIO(newline="")
    for line, name, region in _lines(track):
        written.write(f"{links[name]}{region}\n" if name in links else f"{line}\n")
    return written.getvalue().encode(errors="surrogateescape")


def _lines(track: bytes) -> Iterator[tuple[str, str, str]]:
    """Each line, the name in it (empty where there is none), and what stands behind the name."""
    is_cue = False
    # bytes that are not UTF-8 go through as they are
    for ended in io.StringIO(track.decode("utf-8-sig", errors="surrogateescape"), newline=None):
        line = ended.rstrip("\n")
        if ARROW in line or not line.strip():
            is_cue = ARROW in line
            yield line, "", ""
        else:
            name, mark, region = line.partition("#") if is_cue else ("", "", "")
            yield line, name.strip(), mark + region
