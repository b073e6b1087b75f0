"""Which long videos the benchmark reads and where they lie.

Imports neither av nor numpy: `measure.py` says why.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

RECIPE = 1  # part of every file name: raise it whenever a change in longfiles.py changes the bytes
CACHE_VARIABLE = "STILLFRAME_BENCH_CACHE"
FRAMES_PER_SECOND = 25


@dataclass(frozen=True, slots=True)
class LongFile:
    """One video of the benchmark: 25 frames a second, a keyframe every `gop_frames` and nowhere else.

    `finer_keyframes` is how much finer keyframes are quantised than what follows them (x264's ipratio).
    """

    gop_frames: int
    minutes: int
    finer_keyframes: float = 1.4

    @property
    def duration_ms(self) -> int:
        """Duration in milliseconds."""
        return self.minutes * 60_000

    def path(self, cache: Path) -> Path:
        """Where the video lies in the cache folder."""
        return cache / f"{self._recipe}-{self.minutes}min-r{RECIPE}.mp4"

    def segment_path(self, cache: Path) -> Path:
        """Where the segment lies that the video repeats."""
        return cache / f"{self._recipe}-segment-r{RECIPE}.mp4"

    @property
    def _recipe(self) -> str:
        plain = f"gop{self.gop_frames}"
        return plain if self.finer_keyframes == 1.4 else f"{plain}-k{self.finer_keyframes:g}"


GOP250_HOUR = LongFile(gop_frames=250, minutes=60)
GOP50_HOUR = LongFile(gop_frames=50, minutes=60)
GOP50_TEN_MINUTES = LongFile(gop_frames=50, minutes=10)
LONG_FILES = (GOP250_HOUR, GOP50_HOUR, GOP50_TEN_MINUTES)


@dataclass(frozen=True, slots=True)
class Copy:
    """A long video's packets in another container. `options` are those of libav's muxer."""

    name: str
    of: LongFile
    container: str
    options: tuple[tuple[str, str], ...] = ()
    is_seekable: bool = True

    def path(self, cache: Path) -> Path:
        """Where it lies in the cache folder."""
        return cache / f"{self.of.path(cache).stem}-{self.name}"


#: read over a network: keyframes of about 130 KiB
REMOTE_GOP250_HOUR = LongFile(gop_frames=250, minutes=60, finer_keyframes=1.1)
REMOTE_GOP50_HOUR = LongFile(gop_frames=50, minutes=60, finer_keyframes=1.1)
REMOTE_GOP50_TEN_MINUTES = LongFile(gop_frames=50, minutes=10, finer_keyframes=1.1)
REMOTE_FILES = (REMOTE_GOP250_HOUR, REMOTE_GOP50_HOUR, REMOTE_GOP50_TEN_MINUTES)
_FRAGMENTS = "frag_keyframe+empty_moov+default_base_moof"
MKV = Copy("cues.mkv", REMOTE_GOP50_TEN_MINUTES, "matroska")
MKV_WITHOUT_CUES = Copy("bare.mkv", REMOTE_GOP50_TEN_MINUTES, "matroska", is_seekable=False)
FRAGMENTS_MFRA = Copy("mfra.mp4", REMOTE_GOP50_TEN_MINUTES, "mp4", (("movflags", _FRAGMENTS),))
FRAGMENTS_SIDX = Copy(
    "sidx.mp4", REMOTE_GOP50_TEN_MINUTES, "mp4", (("movflags", f"{_FRAGMENTS}+global_sidx+skip_trailer"),)
)
TRANSPORT_STREAM = Copy("stream.ts", REMOTE_GOP50_TEN_MINUTES, "mpegts")
COPIES = (MKV, MKV_WITHOUT_CUES, FRAGMENTS_MFRA, FRAGMENTS_SIDX, TRANSPORT_STREAM)


def default_cache() -> Path:
    """The cache folder: $STILLFRAME_BENCH_CACHE, else `.cache` beside this file."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path(__file__).resolve().parent / ".cache")
