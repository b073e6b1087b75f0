"""A short film with sound and subtitles, each stream of which tells all that a file can."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path

import av

from stillframe.testing import videos

_LINE = b"A line."
#: without styles the encoder does not open, though nothing is encoded
_STYLES = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Bold, Italic, Underline, Alignment
Style: Default,Arial,16,&Hffffff,0,0,0,2

[Events]
Format: Layer, Start, End, Style, Text
"""


def with_subtitles(path: Path) -> Path:
    """Write it to a path that ends in .mp4."""
    with tempfile.TemporaryDirectory() as folder:
        clip = videos.with_audio(Path(folder))
        with av.open(str(clip.path)) as film, av.open(str(path), "w") as made:
            streams = {stream.index: made.add_stream_from_template(stream) for stream in film.streams}
            subtitles = made.add_stream("mov_text")
            subtitles.metadata["language"] = "eng"
            subtitles.codec_context.time_base = Fraction(1, 1000)
            subtitles.codec_context.subtitle_header = _STYLES
            for packet in film.demux():
                if packet.dts is not None:
                    packet.stream = streams[packet.stream.index]
                    made.mux(packet)
            made.mux(_line(subtitles))
    return path


def _line(stream: av.stream.Stream) -> av.Packet[av.stream.Stream]:
    packet = av.Packet(len(_LINE).to_bytes(2, "big") + _LINE)
    packet.stream, packet.time_base = stream, Fraction(1, 1000)
    packet.pts, packet.dts, packet.duration = 0, 0, 1500
    return packet
