"""`make demo`: draw a short film, then make a sprite sheet and a WebVTT track of it with the command.

    python scripts/demo.py FOLDER [--picture docs/images/sheet.jpg]

The film is a day in the hills: every moment of it looks different, so that a wrong cell would be seen.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT, FRAMES_A_SECOND, SECONDS = 480, 270, 10, 60
Picture = npt.NDArray[np.float32]


def main() -> None:
    """Make the film if it is not there yet, run two commands, and say where everything is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--picture", type=Path, help="copy the README's sheet there")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    film = options.folder / "film.mp4"
    if not film.exists():
        print(f"drawing a film of {SECONDS} s: {film}")
        make_film(film)
    sheet = str(options.folder / "sheet-{TileCount}.jpg")
    grid = ["--type", "Sprite", "--columns", "6", "--lines", "4", "--width", "160"]
    look = ["--padding", "4", "--margin", "4", "--color", "#202020", "--frame-type", "normal"]
    run("snap", str(film), "-o", sheet, *grid, *look)
    track = str(options.folder / "film.vtt")
    run("snap", str(film), "-o", track, "--type", "WebVtt", "--tiled", "--interval", "2", "--width", "160")
    run("lint", track)
    print(f"\nthe sheet: {options.folder / 'sheet-00001.jpg'}")
    print(f"the track: {track} (its sheet: {options.folder / 'film' / 'snapshot-tile-00001.jpg'})")
    if options.picture:
        options.picture.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(options.folder / "sheet-00001.jpg", options.picture)


def run(*arguments: str) -> None:
    """Run the command, showing what is run."""
    print(f"\n$ stillframe {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", "stillframe", *arguments], check=True)


def make_film(path: Path) -> None:
    """Encode the film; it appears under its name only when it is whole."""
    unfinished = path.with_suffix(".part.mp4")
    with av.open(str(unfinished), "w") as container:
        stream = container.add_stream(
            "libx264", rate=FRAMES_A_SECOND, options={"preset": "veryfast", "crf": "24"}
        )
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.gop_size = 4 * FRAMES_A_SECOND
        for number in range(SECONDS * FRAMES_A_SECOND):
            frame = av.VideoFrame.from_ndarray(draw(number / (SECONDS * FRAMES_A_SECOND)), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FRAMES_A_SECOND)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    unfinished.rename(path)


def draw(day: float) -> npt.NDArray[np.uint8]:
    """The hills at a time of the day, 0 (night) to 1 (night again)."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    x, y = x / WIDTH, y / HEIGHT
    light = np.float32(np.clip(np.sin(np.pi * day) * 1.6 - 0.25, 0.04, 1))
    dusk = np.float32(np.exp(-((light - 0.45) ** 2) / 0.06))
    top = np.array([0.10, 0.28, 0.62]) * light + np.array([0.02, 0.02, 0.08])
    low = np.array([0.62, 0.78, 0.95]) * light + np.array([0.55, 0.22, 0.05]) * dusk * 0.7
    picture: Picture = (top + (low - top) * (y**1.3)[..., None]).astype(np.float32)
    _stars(picture, 1 - light)
    sun_x, sun_y = 0.08 + 0.84 * day, 0.85 - 0.72 * np.sin(np.pi * day)
    distance = np.hypot((x - sun_x) * WIDTH / HEIGHT, y - sun_y)
    picture += (
        np.exp(-distance * 9)[..., None] * np.array([1.0, 0.75, 0.4], np.float32) * (0.35 + light * 0.5)
    )
    picture[distance < 0.06] = (1.0, 0.95 - 0.2 * dusk, 0.75 - 0.5 * dusk)
    for depth in range(4):
        scroll = day * (0.6 + depth) * 2.2
        shape = np.sin(x[0] * (5 + 2 * depth) + scroll) + 0.5 * np.sin(x[0] * (13 + 5 * depth) + scroll * 1.9)
        ridge = 0.58 + depth * 0.11 - 0.045 * shape
        near = np.array([0.10, 0.22 + 0.06 * depth, 0.13]) * (0.5 + depth * 0.22)
        far = np.array([0.42, 0.50, 0.62])
        color = (far + (near - far) * (depth + 1) / 4) * (0.12 + 0.88 * light)
        picture[y > ridge[None, :]] = color
    return (np.clip(picture, 0, 1) * 255).astype(np.uint8)


def _stars(picture: Picture, darkness: float) -> None:
    places = np.random.default_rng(7)
    rows, columns = places.integers(0, HEIGHT // 2, 90), places.integers(0, WIDTH, 90)
    picture[rows, columns] += np.float32(max(darkness - 0.3, 0))


if __name__ == "__main__":
    main()
