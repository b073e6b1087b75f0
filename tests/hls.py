"""Films cut into HLS by libav's own muxer, for the tests to read back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import av

from stillframe.testing import Clip

Kind = Literal["ts", "fmp4", "ts in one file", "fmp4 in one file"]
KINDS: tuple[Kind, ...] = ("ts", "fmp4", "ts in one file", "fmp4 in one file")


def cut(film: Clip, playlist: Path, kind: Kind = "ts", seconds: float = 2, flags: str = "") -> Path:
    """Write a playlist and the film's segments beside it; in one file they are ranges of it (EXT-X-BYTERANGE).

    `flags` are libav's `hls_flags`.
    """
    playlist.parent.mkdir(parents=True, exist_ok=True)
    name = playlist.stem
    options = {
        "hls_time": str(seconds),
        "hls_list_size": "0",
        "hls_playlist_type": "vod",
        "hls_segment_type": "fmp4" if kind.startswith("fmp4") else "mpegts",
        "hls_segment_filename": str(playlist.with_name(f"{name}-%03d.{'m4s' if 'fmp4' in kind else 'ts'}")),
        "hls_fmp4_init_filename": f"{name}-init.mp4",
    }
    if kind.endswith("one file"):
        flags = "single_file"
        options["hls_segment_filename"] = str(playlist.with_suffix(".m4s" if "fmp4" in kind else ".ts"))
    if flags:
        options["hls_flags"] = flags
    with (
        av.open(str(film.path)) as source,
        av.open(str(playlist), "w", format="hls", options=options) as target,
    ):
        streams = {
            stream.index: target.add_stream_from_template(stream)
            for stream in source.streams
            if stream.type in ("video", "audio")
        }
        for packet in source.demux():
            if packet.size and packet.stream_index in streams:
                packet.stream = streams[packet.stream_index]
                target.mux(packet)
    return playlist


def cut_anew(film: Clip, playlist: Path, seconds: float) -> Path:
    """Write a playlist whose segments each begin at the same timestamp, and say nothing of it."""
    options = {
        "segment_time": str(seconds),
        "reset_timestamps": "1",
        "segment_format": "mpegts",
        "segment_list": str(playlist),
    }
    target_name = str(playlist.with_name(f"{playlist.stem}-%03d.ts"))
    with (
        av.open(str(film.path)) as source,
        av.open(target_name, "w", format="segment", options=options) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    return playlist


def entries(playlist: Path) -> list[str]:
    """The lines of each segment, from its EXTINF to its name."""
    return re.findall(r"#EXTINF.*?\n[^#\n]+\n", playlist.read_text(), re.DOTALL)


def write(playlist: Path, *segments: str, head: str = "", end: bool = True) -> Path:
    """Write a playlist by hand."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:10", *([head] if head else []), *segments]
    text = "\n".join(line.rstrip("\n") for line in lines)
    playlist.write_text(f"{text}\n" + ("#EXT-X-ENDLIST\n" if end else ""))
    return playlist
