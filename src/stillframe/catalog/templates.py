"""The system templates: stored snapshot configs that every account has.

Source: docs/parameters.md and the design's row "System templates".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stillframe.errors import NotFound

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


def template_config(template_id: str) -> Mapping[str, Any]:
    """The wire JSON of a template. Raises NotFound."""
    found = SYSTEM_TEMPLATES.get(template_id)
    if found is None:
        raise NotFound("Template", template_id)
    return found
