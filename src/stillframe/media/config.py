"""SnapshotConfig: what pictures to make. One frozen dataclass, one table of ranges and defaults.

Field names are the IMS parameters in snake_case (`BlackLevel` is `black_level`); `config_json.py` reads and
writes the wire's spelling. The rules stand in docs/parameters.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Literal, get_args

from stillframe.errors import ConfigError, NotSupported

SnapshotType = Literal["Normal", "Sprite", "WebVtt"]
FrameType = Literal["intra", "normal"]
KeyframeMiss = Literal["exact", "nearest", "skip"]
Fit = Literal["stretch", "contain", "cover"]
BlackScope = Literal["first", "every"]

#: the largest number that every reader of JSON reads alike (RFC 8259, section 6)
LARGEST = (1 << 53) - 1
#: allowed range of every number, both ends included; `None` means that there is no upper end below `LARGEST`
RANGES: dict[str, tuple[int, int | None]] = {
    "Count": (1, 20_000),
    "Interval": (0, None),
    "IntervalMs": (0, None),
    "Time": (0, None),
    "Width": (8, 4096),
    "Height": (8, 4096),
    "BlackLevel": (30, 100),
    "PixelBlackThreshold": (0, 255),
    "Quality": (1, 100),
    "AllowMissing": (0, 100),
    "MaxReadBytes": (1, None),
    "SpriteSnapshotConfig.CellWidth": (8, 4096),
    "SpriteSnapshotConfig.CellHeight": (8, 4096),
    "SpriteSnapshotConfig.Padding": (0, 1000),
    "SpriteSnapshotConfig.Margin": (0, 1000),
    "SpriteSnapshotConfig.Columns": (1, 10_000),
    "SpriteSnapshotConfig.Lines": (1, 10_000),
}

CHOICES: dict[str, tuple[str, ...]] = {
    "Type": get_args(SnapshotType),
    "FrameType": get_args(FrameType),
    "KeyframeMiss": get_args(KeyframeMiss),
    "Fit": get_args(Fit),
    "BlackScope": get_args(BlackScope),
}

MAX_SHOTS = 20_000
#: players and browsers fail on larger sheets: Chrome's textures end at 8,192 px a side, iOS at 16 Mi pixels
MAX_SHEET_SIDE_PX = 8_192
MAX_SHEET_PIXELS = 16 << 20
#: BlackLevel of a single shot at Time 0, which is always filtered
SINGLE_SHOT_BLACK_LEVEL = 90
#: seconds between the cues of a WebVTT track when neither Count nor Interval is given
WEBVTT_INTERVAL_MS = 10_000


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that is made of one video, whatever its config asks. An operator may lower them."""

    shots: int = MAX_SHOTS
    sheet_side_px: int = MAX_SHEET_SIDE_PX
    sheet_pixels: int = MAX_SHEET_PIXELS


#: where no operator has said otherwise
DEFAULT_CAPS = Caps()


@dataclass(frozen=True, slots=True)
class SpriteSnapshotConfig:
    """The grid of a sprite sheet; all lengths in pixels.

    `cell_width` and `cell_height` default to the size of the snapshot; when one is given, the other keeps
    the aspect. `color` is a CSS colour name or `#RRGGBB`.
    """

    cell_width: int | None = None
    cell_height: int | None = None
    padding: int = 0
    margin: int = 0
    columns: int = 10
    lines: int = 10
    color: str = "black"

    def __post_init__(self) -> None:
        for name in ("cell_width", "cell_height", "padding", "margin", "columns", "lines"):
            _check_range(f"SpriteSnapshotConfig.{wire_name(name)}", getattr(self, name))
        rgb_of(self.color)


@dataclass(frozen=True, slots=True)
class SnapshotConfig:
    """What pictures to make of a video. Raises ConfigError for a value that is not allowed.

    `time` and `interval_ms` are milliseconds, `interval` whole seconds; times count from the first picture
    of the video. `width` and `height` are pixels of the finished, upright, square-pixel picture. `quality`
    is JPEG quality. `allow_missing` is the percentage of shots that may be missing in a success. `max_read_bytes`
    is the most that may be read of the video, over the network where it is there.
    """

    type: SnapshotType = "Normal"
    frame_type: FrameType = "intra"
    count: int | None = None
    interval: int | None = None
    interval_ms: int | None = None
    time: int = 0
    width: int | None = None
    height: int | None = None
    black_level: int | None = None
    pixel_black_threshold: int = 30
    sprite_snapshot_config: SpriteSnapshotConfig = field(default_factory=SpriteSnapshotConfig)
    is_spt_frag: bool = False
    keyframe_miss: KeyframeMiss = "exact"
    fit: Fit = "stretch"
    black_scope: BlackScope = "first"
    quality: int = 85
    allow_missing: int = 0
    max_read_bytes: int | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            path, value = wire_name(item.name), getattr(self, item.name)
            if path in RANGES:
                _check_range(path, value)
            elif path in CHOICES and value not in CHOICES[path]:
                raise ConfigError(path, value, f"one of {', '.join(CHOICES[path])}")
        if not isinstance(self.is_spt_frag, bool):
            raise ConfigError("IsSptFrag", self.is_spt_frag, "true or false")
        if not isinstance(self.sprite_snapshot_config, SpriteSnapshotConfig):
            raise ConfigError("SpriteSnapshotConfig", self.sprite_snapshot_config, "an object")
        if self.interval is not None and self.interval_ms is not None:
            raise ConfigError("IntervalMs", self.interval_ms, "left out when Interval is given")

    @property
    def step_ms(self) -> int:
        """Milliseconds between two shots as asked; 0 when they are to be spread evenly."""
        if self.interval_ms is not None:
            return self.interval_ms
        return (self.interval or 0) * 1000

    @property
    def makes_sheets(self) -> bool:
        """Whether the stills are pasted into sprite sheets."""
        return self.type == "Sprite" or (self.type == "WebVtt" and self.is_spt_frag)


@cache
def wire_name(name: str) -> str:
    """The wire's spelling of a field: `is_spt_frag` -> `IsSptFrag`."""
    return "".join(part.capitalize() for part in name.split("_"))


def rgb_of(color: str) -> tuple[int, int, int]:
    """Red, green and blue (0-255) of a CSS colour name or `#RRGGBB`. Raises ConfigError (NotSupported for `random`)."""
    allowed = "a CSS colour name or #RRGGBB"
    if not isinstance(color, str):
        raise ConfigError("SpriteSnapshotConfig.Color", color, allowed)
    if color.lower() == "random":
        raise NotSupported("SpriteSnapshotConfig.Color", color, allowed)
    if re.fullmatch(r"#[0-9a-fA-F]{6}", color):
        value = int(color[1:], 16)
    elif color.lower() in CSS_COLOURS:
        value = CSS_COLOURS[color.lower()]
    else:
        raise ConfigError("SpriteSnapshotConfig.Color", color, allowed)
    return value >> 16, value >> 8 & 255, value & 255


def _check_range(path: str, value: object) -> None:
    if value is None and path not in _NEVER_NONE:
        return
    low, high = RANGES[path]
    allowed = f"a whole number from {low} to {high}" if high is not None else f"a whole number, {low} or more"
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigError(path, value, allowed)
    if high is None and value > LARGEST:
        raise ConfigError(path, value, f"a whole number from {low} to {LARGEST}")
    if value < low or (high is not None and value > high):
        raise ConfigError(path, value, allowed)


_NEVER_NONE = {
    "Time",
    "PixelBlackThreshold",
    "Quality",
    "AllowMissing",
    "SpriteSnapshotConfig.Padding",
    "SpriteSnapshotConfig.Margin",
    "SpriteSnapshotConfig.Columns",
    "SpriteSnapshotConfig.Lines",
}

#: the CSS colour names (CSS Color Module Level 4, named colours), as 0xRRGGBB
# fmt: off
CSS_COLOURS: dict[str, int] = {
    "aliceblue": 0xF0F8FF, "antiquewhite": 0xFAEBD7, "aqua": 0x00FFFF, "aquamarine": 0x7FFFD4,
    "azure": 0xF0FFFF, "beige": 0xF5F5DC, "bisque": 0xFFE4C4, "black": 0x000000, "blanchedalmond": 0xFFEBCD,
    "blue": 0x0000FF, "blueviolet": 0x8A2BE2, "brown": 0xA52A2A, "burlywood": 0xDEB887,
    "cadetblue": 0x5F9EA0, "chartreuse": 0x7FFF00, "chocolate": 0xD2691E, "coral": 0xFF7F50,
    "cornflowerblue": 0x6495ED, "cornsilk": 0xFFF8DC, "crimson": 0xDC143C, "cyan": 0x00FFFF,
    "darkblue": 0x00008B, "darkcyan": 0x008B8B, "darkgoldenrod": 0xB8860B, "darkgray": 0xA9A9A9,
    "darkgreen": 0x006400, "darkgrey": 0xA9A9A9, "darkkhaki": 0xBDB76B, "darkmagenta": 0x8B008B,
    "darkolivegreen": 0x556B2F, "darkorange": 0xFF8C00, "darkorchid": 0x9932CC, "darkred": 0x8B0000,
    "darksalmon": 0xE9967A, "darkseagreen": 0x8FBC8F, "darkslateblue": 0x483D8B, "darkslategray": 0x2F4F4F,
    "darkslategrey": 0x2F4F4F, "darkturquoise": 0x00CED1, "darkviolet": 0x9400D3, "deeppink": 0xFF1493,
    "deepskyblue": 0x00BFFF, "dimgray": 0x696969, "dimgrey": 0x696969, "dodgerblue": 0x1E90FF,
    "firebrick": 0xB22222, "floralwhite": 0xFFFAF0, "forestgreen": 0x228B22, "fuchsia": 0xFF00FF,
    "gainsboro": 0xDCDCDC, "ghostwhite": 0xF8F8FF, "gold": 0xFFD700, "goldenrod": 0xDAA520,
    "gray": 0x808080, "green": 0x008000, "greenyellow": 0xADFF2F, "grey": 0x808080, "honeydew": 0xF0FFF0,
    "hotpink": 0xFF69B4, "indianred": 0xCD5C5C, "indigo": 0x4B0082, "ivory": 0xFFFFF0, "khaki": 0xF0E68C,
    "lavender": 0xE6E6FA, "lavenderblush": 0xFFF0F5, "lawngreen": 0x7CFC00, "lemonchiffon": 0xFFFACD,
    "lightblue": 0xADD8E6, "lightcoral": 0xF08080, "lightcyan": 0xE0FFFF, "lightgoldenrodyellow": 0xFAFAD2,
    "lightgray": 0xD3D3D3, "lightgreen": 0x90EE90, "lightgrey": 0xD3D3D3, "lightpink": 0xFFB6C1,
    "lightsalmon": 0xFFA07A, "lightseagreen": 0x20B2AA, "lightskyblue": 0x87CEFA,
    "lightslategray": 0x778899, "lightslategrey": 0x778899, "lightsteelblue": 0xB0C4DE,
    "lightyellow": 0xFFFFE0, "lime": 0x00FF00, "limegreen": 0x32CD32, "linen": 0xFAF0E6,
    "magenta": 0xFF00FF, "maroon": 0x800000, "mediumaquamarine": 0x66CDAA, "mediumblue": 0x0000CD,
    "mediumorchid": 0xBA55D3, "mediumpurple": 0x9370DB, "mediumseagreen": 0x3CB371,
    "mediumslateblue": 0x7B68EE, "mediumspringgreen": 0x00FA9A, "mediumturquoise": 0x48D1CC,
    "mediumvioletred": 0xC71585, "midnightblue": 0x191970, "mintcream": 0xF5FFFA, "mistyrose": 0xFFE4E1,
    "moccasin": 0xFFE4B5, "navajowhite": 0xFFDEAD, "navy": 0x000080, "oldlace": 0xFDF5E6, "olive": 0x808000,
    "olivedrab": 0x6B8E23, "orange": 0xFFA500, "orangered": 0xFF4500, "orchid": 0xDA70D6,
    "palegoldenrod": 0xEEE8AA, "palegreen": 0x98FB98, "paleturquoise": 0xAFEEEE, "palevioletred": 0xDB7093,
    "papayawhip": 0xFFEFD5, "peachpuff": 0xFFDAB9, "peru": 0xCD853F, "pink": 0xFFC0CB, "plum": 0xDDA0DD,
    "powderblue": 0xB0E0E6, "purple": 0x800080, "rebeccapurple": 0x663399, "red": 0xFF0000,
    "rosybrown": 0xBC8F8F, "royalblue": 0x4169E1, "saddlebrown": 0x8B4513, "salmon": 0xFA8072,
    "sandybrown": 0xF4A460, "seagreen": 0x2E8B57, "seashell": 0xFFF5EE, "sienna": 0xA0522D,
    "silver": 0xC0C0C0, "skyblue": 0x87CEEB, "slateblue": 0x6A5ACD, "slategray": 0x708090,
    "slategrey": 0x708090, "snow": 0xFFFAFA, "springgreen": 0x00FF7F, "steelblue": 0x4682B4,
    "tan": 0xD2B48C, "teal": 0x008080, "thistle": 0xD8BFD8, "tomato": 0xFF6347, "turquoise": 0x40E0D0,
    "violet": 0xEE82EE, "wheat": 0xF5DEB3, "white": 0xFFFFFF, "whitesmoke": 0xF5F5F5, "yellow": 0xFFFF00,
    "yellowgreen": 0x9ACD32,
}
# fmt: on
