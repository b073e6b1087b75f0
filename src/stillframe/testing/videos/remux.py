"""Put the packets of finished clips into another file, without decoding them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av

from stillframe.testing.videos.clip import Clip
from stillframe.testing.videos.facts import facts_of

__all__ = ["joined", "side_by_side"]


def joined(path: Path, first: Clip, second: Clip) -> Clip:
    """One video track: the packets of one clip, then the other's, with their own times. The two files go."""
    with av.open(str(path), "w") as target, av.open(str(first.path)) as source:
        stream = target.add_stream_from_template(source.streams.video[0], opaque=True)
        for clip in (first, second):
            with av.open(str(clip.path)) as parts:
                for packet in parts.demux(video=0):
                    if packet.size:
                        packet.stream = stream
                        target.mux(packet)
    first.path.unlink()
    second.path.unlink()
    return facts_of(path, first.numbers + second.numbers, (first.width_px, first.height_px))


def side_by_side(path: Path, clips: Sequence[Clip], *, described: int = 0) -> Clip:
    """One file with each clip's video as a track; what is returned is about ``clips[described]``."""
    with av.open(str(path), "w") as target:
        sources = [av.open(str(clip.path)) for clip in clips]
        streams = [
            target.add_stream_from_template(source.streams.video[0], opaque=True) for source in sources
        ]
        for source, stream in zip(sources, streams, strict=True):
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    target.mux(packet)
            source.close()
    for clip in clips:
        clip.path.unlink()
    about = clips[described]
    return facts_of(path, about.numbers, (about.width_px, about.height_px), stream_index=described)
