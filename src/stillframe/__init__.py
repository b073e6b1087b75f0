"""Stillframe: exact, fast stills, sprite sheets and thumbnail tracks out of video.

    import stillframe
    report = stillframe.shoot("movie.mp4", "thumbs/{Count}.jpg", stillframe.SnapshotConfig(count=5))

Importing the package is cheap: the decoder is loaded when the first of the names that need it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from stillframe.errors import (
    ChildKilled,
    ConfigError,
    MediaError,
    PastTheEnd,
    SandboxError,
    SandboxUnavailable,
    SinkError,
    SourceError,
    StillframeError,
    TooMuchRead,
)
from stillframe.media.config import SnapshotConfig, SpriteSnapshotConfig

if TYPE_CHECKING:
    from stillframe.library import probe, shoot
    from stillframe.media.probe import Probe
    from stillframe.media.report import Report, ShotReport
    from stillframe.media.sink import FolderSink, MemorySink, Output
    from stillframe.media.source import ByteSource, FileSource, MemorySource
    from stillframe.sandbox.parent import Sandbox

__version__ = "0.1.0"

_LAZY = {
    "ByteSource": "stillframe.media.source",
    "FileSource": "stillframe.media.source",
    "FolderSink": "stillframe.media.sink",
    "MemorySink": "stillframe.media.sink",
    "MemorySource": "stillframe.media.source",
    "Output": "stillframe.media.sink",
    "Probe": "stillframe.media.probe",
    "Report": "stillframe.media.report",
    "Sandbox": "stillframe.sandbox.parent",
    "ShotReport": "stillframe.media.report",
    "probe": "stillframe.library",
    "shoot": "stillframe.library",
}

__all__ = [
    "ByteSource",
    "ChildKilled",
    "ConfigError",
    "FileSource",
    "FolderSink",
    "MediaError",
    "MemorySink",
    "MemorySource",
    "Output",
    "PastTheEnd",
    "Probe",
    "Report",
    "Sandbox",
    "SandboxError",
    "SandboxUnavailable",
    "ShotReport",
    "SinkError",
    "SnapshotConfig",
    "SourceError",
    "SpriteSnapshotConfig",
    "StillframeError",
    "TooMuchRead",
    "probe",
    "shoot",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
