"""The system templates: stored snapshot configs that every account has, and nobody can change.

Source: the table in docs/parameters.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TILES: dict[str, Any] = {
    "Type": "Sprite",
    "Width": 160,
    "SpriteSnapshotConfig": {"Columns": 10, "Lines": 10},
}
_TRACK: dict[str, Any] = {"Type": "WebVtt", "Width": 160, "Interval": 10}

SYSTEM_TEMPLATES: Mapping[str, Mapping[str, Any]] = {
    "S00000002-000010": {"Type": "Normal", "FrameType": "intra", "Count": 1},
    "S00000002-000011": {"Type": "Normal", "FrameType": "normal", "Count": 1},
    "S00000002-000012": {"Type": "Normal", "FrameType": "intra", "Count": 10},
    "S00000002-000020": {**_TILES, "FrameType": "intra", "Count": 100},
    "S00000002-000021": {**_TILES, "FrameType": "normal", "Count": 100},
    "S00000002-000030": {**_TRACK, "FrameType": "intra", "IsSptFrag": True},
    "S00000002-000031": {**_TRACK, "FrameType": "normal", "IsSptFrag": True},
    "S00000002-000032": {**_TRACK, "FrameType": "intra", "IsSptFrag": False},
}
SYSTEM_NAMES: Mapping[str, str] = {
    "S00000002-000010": "One still, of a keyframe",
    "S00000002-000011": "One still, of the exact frame",
    "S00000002-000012": "Ten stills, of keyframes",
    "S00000002-000020": "Sheet of 100 cells, of keyframes",
    "S00000002-000021": "Sheet of 100 cells, of exact frames",
    "S00000002-000030": "WebVTT track with sheets, of keyframes",
    "S00000002-000031": "WebVTT track with sheets, of exact frames",
    "S00000002-000032": "WebVTT track with single pictures",
}
