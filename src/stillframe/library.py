"""The library's way in: as `media` and `sandbox`, and with addresses besides paths.

shoot("https://example.com/movie.mp4", "s3://films/thumbs/{Count}.jpg", SnapshotConfig(count=5))
"""

from __future__ import annotations

import os
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING

from stillframe.media.config import SnapshotConfig

if TYPE_CHECKING:
    from stillframe.media.probe import Probe
    from stillframe.media.render import OnShot
    from stillframe.media.report import Report
    from stillframe.media.shoot import OnSurvey
    from stillframe.media.sink import Sink
    from stillframe.media.source import ByteSource
    from stillframe.sandbox.parent import Sandbox


def shoot(
    source: str | os.PathLike[str] | ByteSource,
    output: str | os.PathLike[str] | Sink,
    config: SnapshotConfig | None = None,
    *,
    threads: int | None = None,
    sandbox: bool | Sandbox = False,
    on_survey: OnSurvey | None = None,
    on_shot: OnShot | None = None,
) -> Report:
    """Make the pictures (and the track) of a video, and report on every one.

    `source` is a path, an address (`https://...`, `http://...`, `s3://bucket/key`, `oss://bucket/key`) or a ByteSource;
    `output` a template such as `thumbs/{Count}.jpg`, `sheet-{TileCount}.png` or `s3://bucket/thumbs/movie.vtt`, or a
    Sink. `threads` share the shots; default: one for each processor. `on_survey` and `on_shot` tell of progress (from
    any thread). With `sandbox`, the video is decoded by a process that has no network, no files and little memory; a
    Sandbox that is given serves for many videos.

    Returns a Report whose `ok` is False when shots are missing beyond AllowMissing; the pictures that could
    be made are kept. Raises ConfigError, SourceError, MediaError (no picture can be made) or SinkError; and with
    `sandbox` SandboxUnavailable and ChildKilled.
    """
    from stillframe.sandbox.shoot import shoot as shoot_opened

    config = config or SnapshotConfig()
    with ExitStack() as held:
        if isinstance(output, str) and is_address(output):
            from stillframe.storage.by_address import open_output

            output = held.enter_context(open_output(output, config))
        source = _opened(source, held)
        return shoot_opened(
            source, output, config, threads=threads, sandbox=sandbox, on_survey=on_survey, on_shot=on_shot
        )


def probe(source: str | os.PathLike[str] | ByteSource) -> Probe:
    """Look into a video by its path, its address or as a ByteSource.

    Raises MediaError when there is no video that can be shown, SourceError when it cannot be read.
    """
    from stillframe.media.probe import probe as probe_opened
    from stillframe.media.source import FileSource

    with ExitStack() as held:
        source = _opened(source, held)
        if isinstance(source, str | os.PathLike):
            source = held.enter_context(FileSource(source))
        return probe_opened(source)


def is_address(text: str) -> bool:
    """Whether a text is meant as an address, and not as a path."""
    return re.match(r"[a-z][a-z0-9+.-]*://", text, re.IGNORECASE) is not None


def _opened(
    source: str | os.PathLike[str] | ByteSource, held: ExitStack
) -> str | os.PathLike[str] | ByteSource:
    """A source for an address or a playlist's path, held open; all else as it is."""
    if not isinstance(source, str | os.PathLike):
        return source
    if not isinstance(source, str) or not is_address(source):
        from stillframe.storage.playlist_keys import is_playlist

        if not is_playlist(os.fspath(source)):
            return source
        from stillframe.storage.playlist_source import open_playlist_file

        return held.enter_context(open_playlist_file(source))
    from stillframe.storage.by_address import open_input, parse_input

    return held.enter_context(open_input(parse_input(source)))
