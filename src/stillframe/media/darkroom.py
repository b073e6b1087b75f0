"""Where frames become outputs: developed, pasted or not, encoded, put into the sink.

All of a stretch's threads share one darkroom. It is a module of its own because it needs Pillow, which is
imported while the threads already decode.
"""

from __future__ import annotations

import threading
from itertools import count

from av.video.frame import VideoFrame

from stillframe.media.config import rgb_of
from stillframe.media.darkness import is_black
from stillframe.media.develop import Developer
from stillframe.media.encode import encode, keeps_full_colour
from stillframe.media.free_memory import give_back
from stillframe.media.picture import Picture
from stillframe.media.report import Stats
from stillframe.media.sheet import Sheets
from stillframe.media.sink import Item, Output, Sink
from stillframe.media.survey import Survey

#: pictures after which freed memory is given back: seldom enough to cost nothing, often enough to matter
_GIVE_BACK_EVERY = 4


class Darkroom:
    """The sheets that fill, and what has been put into the sink. Safe to use from several threads."""

    def __init__(self, survey: Survey, sink: Sink) -> None:
        self.outputs: list[Output] = []
        self._config = survey.config
        self._placement = survey.placement
        self._picture_format = sink.names.picture_format
        self._color = rgb_of(survey.config.sprite_snapshot_config.color)
        self._sheets = Sheets(survey.sheet, self._color, survey.planned) if survey.sheet else None
        self._sink = sink
        self._lock = threading.Lock()
        self._kept = count(1)

    def developer(self) -> Developer:
        """A developer for one thread's frames."""
        full_colour = keeps_full_colour(self._picture_format, self._config.quality)
        return Developer(self._placement, self._color, full_colour=full_colour)

    def is_black(self, frame: VideoFrame, black_level: int) -> bool:
        """Whether at least `black_level` percent of a frame's pixels are black, as the config has it."""
        return is_black(frame, black_level, self._config.pixel_black_threshold)

    def keep(self, position: int, picture: Picture | None, stats: Stats) -> None:
        """Write the still of the shot at `position` (from 0); or paste it, and write the sheet that it completes.

        None leaves a shot's cell empty. Raises SinkError.
        """
        if self._sheets is not None:
            self._sheets.paste(
                position, picture, lambda index, sheet: self._put("sheet", index, sheet, stats)
            )
        elif picture is not None:
            self._put("still", position + 1, picture, stats)
        if next(self._kept) % _GIVE_BACK_EVERY == 0:
            give_back()

    def _put(self, kind: str, index: int, picture: Picture, stats: Stats) -> None:
        width, height = picture.size
        with stats.stage("encode"):
            data = encode(picture, self._picture_format, self._config.quality)
        with stats.stage("write"):
            output = self._sink.put(Item("sheet" if kind == "sheet" else "still", index, width, height), data)
        with self._lock:
            self.outputs.append(output)
