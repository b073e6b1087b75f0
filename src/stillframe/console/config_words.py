"""What a snapshot config makes, in one sentence for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stillframe.console.templating import duration_text, moment_text
from stillframe.errors import ConfigError
from stillframe.media import config_json
from stillframe.media.config import WEBVTT_INTERVAL_MS, SnapshotConfig


def sentence(wire: Mapping[str, Any]) -> str:
    """Such as "10 stills, evenly spread, 160 px wide, of keyframes"."""
    try:
        config = config_json.parse(wire)
    except ConfigError as error:
        # an earlier release may have known other keys
        return f"Not understood: {error}"
    frame = "keyframe" if config.frame_type == "intra" else "exact frame"
    article = "a" if config.frame_type == "intra" else "the"
    frames = f"of {article} {frame}" if _is_single(config) else f"of {frame}s"
    return ", ".join(part for part in (_what(config), _moments(config), _size(config), frames) if part)


def _what(config: SnapshotConfig) -> str:
    grid = config.sprite_snapshot_config
    cells = f"{grid.columns} × {grid.lines} cells"
    if config.type == "Sprite":
        return f"Sheets of {cells}"
    if config.type == "WebVtt":
        return f"A track with sheets of {cells}" if config.is_spt_frag else "A track with single pictures"
    if _is_single(config):
        return f"One still at {moment_text(config.time)}"
    return "Stills" if config.count is None else f"{config.count} stills"


def _moments(config: SnapshotConfig) -> str:
    count, step = config.count, config.step_ms
    if _is_single(config):
        return ""
    if config.type == "WebVtt" and count is None and not step:
        step = WEBVTT_INTERVAL_MS
    number = f"{count} pictures" if count is not None and config.type != "Normal" else ""
    spread = f"one every {duration_text(step / 1000)}" if step else "evenly spread"
    start = f"from {moment_text(config.time)} on" if config.time else ""
    return ", ".join(part for part in (number, spread, start) if part)


def _size(config: SnapshotConfig) -> str:
    width, height = config.width, config.height
    if config.makes_sheets:
        grid = config.sprite_snapshot_config
        width, height = grid.cell_width or width, grid.cell_height or height
    if width is not None and height is not None:
        return f"{width} × {height} px"
    if width is not None:
        return f"{width} px wide"
    return f"{height} px high" if height is not None else ""


def _is_single(config: SnapshotConfig) -> bool:
    return config.type == "Normal" and (config.count == 1 or (config.count is None and not config.step_ms))
