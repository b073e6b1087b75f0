"""The other tools' commands.

Passes over a whole film decode, scale and write nothing that the work does not need. One process for each shot is
called in two ways, two at a time both: as scripts call ffmpeg (`ffmpeg -ss T -i FILE -frames:v 1`), and at its best,
with one decoding thread and, where a keyframe will do, nothing but that decoded. Whoever makes single cells is
spared the work of pasting them into a sheet.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

FFMPEG = ["ffmpeg", "-nostdin", "-v", "error", "-y"]
JPEG = ["-q:v", "3"]


def ffmpeg_keyframe_pass(video: Path, folder: Path, step_s: int, width_px: int) -> list[list[str]]:
    """One pass over all keyframes; every `step_s` seconds one goes into the 10x10 sheet."""
    sheet = f"fps=1/{step_s},scale={width_px}:-2:flags=area,tile=10x10"
    output = ["-vf", sheet, "-frames:v", "1", *JPEG, str(folder / "sheet.jpg")]
    return [[*FFMPEG, "-skip_frame", "nokey", "-i", str(video), *output]]


def ffmpeg_fps_pass(video: Path, folder: Path, width_px: int) -> list[list[str]]:
    """One pass over all frames; every second one goes into 10x10 sheets."""
    sheets = f"fps=1,scale={width_px}:-2:flags=area,tile=10x10"
    return [[*FFMPEG, "-i", str(video), "-vf", sheets, *JPEG, str(folder / "sheet-%05d.jpg")]]


def ffmpeg_keyframe_per_shot(
    video: Path, folder: Path, moments_ms: Sequence[int], width_px: int | None
) -> list[list[str]]:
    """One process per moment, which decodes the keyframe before it and nothing else."""
    how = ["-threads", "1", "-noaccurate_seek", "-skip_frame", "nokey"]
    return _ffmpeg_per_shot(video, folder, moments_ms, width_px, how)


def ffmpeg_exact_per_shot(
    video: Path, folder: Path, moments_ms: Sequence[int], width_px: int | None
) -> list[list[str]]:
    """One process per moment, which decodes from the keyframe before it up to the frame of the moment."""
    return _ffmpeg_per_shot(video, folder, moments_ms, width_px, ["-threads", "1"])


def ffmpeg_script_per_shot(
    video: Path, folder: Path, moments_ms: Sequence[int], width_px: int | None
) -> list[list[str]]:
    """One process per moment, as scripts call it: no option but the moment."""
    return _ffmpeg_per_shot(video, folder, moments_ms, width_px, [])


def _ffmpeg_per_shot(
    video: Path, folder: Path, moments_ms: Sequence[int], width_px: int | None, how: list[str]
) -> list[list[str]]:
    scale = ["-vf", f"scale={width_px}:-2:flags=area"] if width_px else []
    commands = []
    for number, moment_ms in enumerate(moments_ms, 1):
        seek = [*how, "-ss", f"{moment_ms / 1000:.3f}"]
        output = ["-frames:v", "1", *scale, *JPEG, str(folder / f"{number:05d}.jpg")]
        commands.append([*FFMPEG, *seek, "-i", str(video), *output])
    return commands


def ffmpegthumbnailer_per_shot(
    video: Path, folder: Path, moments_ms: Sequence[int], width_px: int | None
) -> list[list[str]]:
    """One process per moment, which decodes the keyframe before it. It takes whole seconds only."""
    commands = []
    for number, moment_ms in enumerate(moments_ms, 1):
        output = ["-o", str(folder / f"{number:05d}.jpg"), "-s", str(width_px or 0)]
        commands.append(["ffmpegthumbnailer", "-i", str(video), "-t", _clock(moment_ms // 1000), *output])
    return commands


def vcsi_sheet(vcsi: str, video: Path, folder: Path, width_px: int) -> list[list[str]]:
    """One 10x10 sheet of exact frames over the whole film, without its search for the sharpest frames (--fast)."""
    grid = ["-g", "10x10", "-w", str(10 * width_px), "--grid-spacing", "0", "--metadata-position", "hidden"]
    whole = ["--start-delay-percent", "0", "--end-delay-percent", "0"]
    return [[vcsi, str(video), "--fast", *grid, *whole, "-o", str(folder / "sheet.jpg")]]


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
