"""Make the long videos that the benchmark reads: once, into a cache folder, from nothing but numbers.

    python benchmarks/longfiles.py [--cache FOLDER]

For each GOP length a segment of 50 s is encoded (1080p25, H.264 with B-frames, about 2.2 Mbit/s: moving
texture, hard edges, film grain, cuts) and then repeated by stream copy. All arithmetic on pixels is integer
arithmetic with fixed seeds, and the encoder has a fixed number of threads, so the same PyAV wheel writes the
same bytes again.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from numpy.typing import NDArray

from catalogue import FRAMES_PER_SECOND, LONG_FILES, Copy, LongFile, default_cache

WIDTH_PX, HEIGHT_PX = 1920, 1080
BORDER_PX = 320  # what the textures have more than the picture, for the camera to move over
SEGMENT_SECONDS = 50
BITRATE = 2_200_000
# In frames; together one segment. The cuts fall inside the GOPs, as they do in films.
SCENE_FRAMES = (130, 215, 95, 180, 260, 120, 170, 80)


def main() -> None:
    """Make every video of the catalogue that is not in the cache yet."""
    parser = argparse.ArgumentParser(description="Make the benchmark's long videos.")
    parser.add_argument("--cache", type=Path, default=default_cache())
    cache = parser.parse_args().cache
    for wanted in LONG_FILES:
        make(wanted, cache)


def make(wanted: LongFile, cache: Path) -> Path:
    """Return the path of `wanted`; encode and repeat its segment first if it is not in `cache` yet."""
    target, segment = wanted.path(cache), wanted.segment_path(cache)
    if target.exists():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    (cache / ".gitignore").write_text("*\n")
    if not segment.exists():
        print(f"encoding {segment.name} (a minute or two)", flush=True)
        write_segment(partial := _partial(segment), wanted.gop_frames, wanted.finer_keyframes)
        partial.replace(segment)
    print(f"writing {target.name}", flush=True)
    repeat_segment(segment, partial := _partial(target), times=wanted.minutes * 60 // SEGMENT_SECONDS)
    partial.replace(target)
    return target


def copy_into(wanted: Copy, cache: Path) -> Path:
    """Return the path of `wanted`; copy the packets into it first if it is not in `cache` yet."""
    target = wanted.path(cache)
    if target.exists():
        return target
    print(f"writing {target.name}", flush=True)
    partial = _partial(target)
    with (
        partial.open("wb") as file,
        av.open(str(make(wanted.of, cache))) as source,
        av.open(
            file if wanted.is_seekable else _Pipe(file),
            "w",
            format=wanted.container,
            options={"fflags": "+bitexact", **dict(wanted.options)},
        ) as output,
    ):
        video = source.streams.video[0]
        copy = output.add_stream_from_template(video)
        for packet in source.demux(video):
            if packet.dts is not None:
                packet.stream = copy
                output.mux(packet)
    partial.replace(target)
    return target


class _Pipe:
    """A file that is written from front to back: nothing can be put in later."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        """Append."""
        return self._file.write(data)


def write_segment(target: Path, gop_frames: int, finer_keyframes: float) -> None:
    """Encode the segment: closed GOPs of exactly `gop_frames` frames, up to three B-frames in a row."""
    with av.open(str(target), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(
            "libx264",
            rate=FRAMES_PER_SECOND,
            options={
                "preset": "veryfast",
                "x264-params": f"keyint={gop_frames}:min-keyint={gop_frames}:scenecut=0:bframes=3:open-gop=0"
                f":ipratio={finer_keyframes:g}"
                ":colorprim=bt709:transfer=bt709:colormatrix=bt709",
            },
        )
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        stream.bit_rate = BITRATE
        stream.codec_context.thread_count = 2  # never "auto": the number of threads shows in the bytes
        for index, planes in enumerate(pictures()):
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, FRAMES_PER_SECOND)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def repeat_segment(segment: Path, target: Path, times: int) -> None:
    """Copy the packets of `segment` `times` times in a row; the index (moov) comes at the end of the file."""
    with (
        av.open(str(segment)) as source,
        av.open(str(target), "w", options={"fflags": "+bitexact"}) as output,
    ):
        video = source.streams.video[0]
        assert video.time_base is not None
        copy = output.add_stream_from_template(video)
        segment_length = int(SEGMENT_SECONDS / video.time_base)
        for turn in range(times):
            source.seek(0, stream=video)
            for packet in source.demux(video):
                if packet.pts is None or packet.dts is None:  # the empty packet at the end
                    continue
                packet.pts += turn * segment_length
                packet.dts += turn * segment_length
                packet.stream = copy
                output.mux(packet)


def pictures() -> Iterator[NDArray[np.uint8]]:
    """The pictures of one segment: yuv420p planes, stacked to shape (HEIGHT_PX * 3 / 2, WIDTH_PX)."""
    random = np.random.default_rng(20_240)
    grain = random.integers(-4, 5, (3, HEIGHT_PX + 64, WIDTH_PX + 64), dtype=np.int16).sum(
        axis=0, dtype=np.int16
    )
    for frames in SCENE_FRAMES:
        scene = Scene.draw(random)
        for number in range(frames):
            luma, chroma_blue, chroma_red = scene.planes(number)
            top, left = random.integers(0, 64, 2)
            luma = np.clip(luma + grain[top : top + HEIGHT_PX, left : left + WIDTH_PX], 16, 235)
            planes = (luma, chroma_blue, chroma_red)
            yield np.concatenate([plane.astype(np.uint8).reshape(-1, WIDTH_PX) for plane in planes])


@dataclass(frozen=True, slots=True)
class Scene:
    """A background under a moving camera, and a foreground that moves across it."""

    background: tuple[NDArray[np.int16], ...]  # luma and two chroma planes, larger than the picture
    foreground: tuple[NDArray[np.int16], ...]
    mask: NDArray[np.bool_]  # where the foreground hides the background
    camera: tuple[int, int]  # pixels per four frames, across and down
    travel: tuple[int, int]  # the foreground's own
    sway_px: int  # how far the lines of the background swing

    @classmethod
    def draw(cls, random: np.random.Generator) -> Scene:
        """A scene with textures and movements of its own."""
        height, width = HEIGHT_PX + BORDER_PX, WIDTH_PX + BORDER_PX
        shapes = _value_noise(random, height, width, steps=(160, 40))
        speeds = [int(value) for value in random.integers(-9, 10, 4)]
        return cls(
            background=_textures(random, height, width),
            foreground=_textures(random, height, width),
            mask=shapes > np.percentile(shapes, 80),
            camera=(speeds[0], speeds[1]),
            travel=(speeds[2], speeds[3]),
            sway_px=int(random.integers(4, 17)),
        )

    def planes(self, number: int) -> tuple[NDArray[np.int16], ...]:
        """Luma and the two chroma planes of the scene's picture `number`."""
        return tuple(self._plane(index, number, reduction) for index, reduction in enumerate((1, 2, 2)))

    def _plane(self, index: int, number: int, reduction: int) -> NDArray[np.int16]:
        rows, columns = np.arange(HEIGHT_PX // reduction)[:, None], np.arange(WIDTH_PX // reduction)
        sway = np.abs((rows * reduction + 5 * number) % 240 - 120) * self.sway_px // (120 * reduction)
        down, across = (offset // reduction for offset in _offset(number, self.camera))
        background = self.background[index][rows + down, columns + across + sway]
        down, across = (offset // reduction for offset in _offset(number, self.travel))
        near = (slice(down, down + rows.size), slice(across, across + columns.size))
        return np.where(self.mask[::reduction, ::reduction][near], self.foreground[index][near], background)


def _offset(number: int, speed: tuple[int, int]) -> tuple[int, int]:
    """How far down and across the view has moved in picture `number`: to and fro between the borders."""
    span = BORDER_PX - 16  # the rest is for the sway of the lines
    across, down = (abs((span // 2 + number * step // 4) % (2 * span) - span) for step in speed)
    return down, across


def _textures(random: np.random.Generator, height: int, width: int) -> tuple[NDArray[np.int16], ...]:
    detail = _value_noise(random, height, width, steps=(256, 128, 64, 32, 16, 8, 4, 2))
    edges = _value_noise(random, height, width, steps=(96, 24)) > 0
    luma = 126 + detail + np.where(edges, 18, -18)
    chroma = [128 + _value_noise(random, height // 2, width // 2, steps=(128, 32, 8)) // 3 for _ in range(2)]
    return tuple(plane.astype(np.int16) for plane in (luma, *chroma))


def _value_noise(
    random: np.random.Generator, height: int, width: int, steps: tuple[int, ...]
) -> NDArray[np.int32]:
    """Sum of random lattices of the given steps, interpolated; the coarser the stronger, as in nature."""
    total = np.zeros((height, width), np.int32)
    for step in steps:
        amplitude = 1 + int(0.8 * step**0.75)
        lattice = random.integers(
            -amplitude, amplitude + 1, (height // step + 2, width // step + 2), dtype=np.int32
        )
        row, row_part = np.divmod(np.arange(height), step)
        column, column_part = np.divmod(np.arange(width), step)
        lines = lattice[row] * (step - row_part)[:, None] + lattice[row + 1] * row_part[:, None]
        total += (lines[:, column] * (step - column_part) + lines[:, column + 1] * column_part) // step**2
    return total


def _partial(target: Path) -> Path:
    # With the process id, two benchmarks that share a cache do not write into each other's unfinished file.
    return target.with_name(f"{target.stem}.{os.getpid()}.partial{target.suffix}")


if __name__ == "__main__":
    main()
