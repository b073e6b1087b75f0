"""What the page New job shows beside its form: what is in the video, the moments that would be taken, a strip of them.

What cannot be shown is said in the words of a job that fails for the same reason; nothing of it keeps anybody from
submitting the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stillframe.console.visit import Visit
from stillframe.errors import (
    ChildKilled,
    ConfigError,
    MediaError,
    NotFound,
    PastTheEnd,
    SourceError,
    StillframeError,
    Throttled,
    TooMuchRead,
    Unavailable,
)
from stillframe.jobs import faults
from stillframe.media.config import SnapshotConfig
from stillframe.media.finish import notes_of
from stillframe.media.probe import Probe
from stillframe.media.strip import strip_of
from stillframe.media.survey import Shot, Survey
from stillframe.service.errors import as_api_error
from stillframe.service.job_previews import (
    DEADLINE_S,
    MOST_READ_BYTES,
    STRIP_PICTURES,
    STRIP_WIDTH_PX,
    Strip,
    Video,
)

#: moments that are listed one by one
MOST_LISTED = 240


@dataclass(frozen=True, slots=True)
class Look:
    """What came of a look. Without a `survey`, `why` says why there is none; `is_busy`: it is worth to ask again."""

    survey: Survey | None = None
    why: str | None = None
    is_busy: bool = False
    #: of an answer, where the file itself is at fault or is not there: no other numbers would help
    hopeless_status: int | None = None
    #: what the config wants of this very video, and cannot have
    error: ConfigError | None = None
    #: the first moment lies behind the end
    is_past_the_end: bool = False

    @property
    def shots(self) -> Sequence[Shot]:
        """The moments that are listed."""
        return self.survey.shots[:MOST_LISTED] if self.survey else ()

    @property
    def strip(self) -> Survey | None:
        """The strip as it will be, without its picture."""
        return strip_of(self.survey, most=STRIP_PICTURES, width_px=STRIP_WIDTH_PX) if self.survey else None

    @property
    def warnings(self) -> Sequence[str]:
        """What is worth saying before it is done."""
        if self.survey is None:
            return ()
        missing = [shot for shot in self.survey.shots if shot.fate == "missing"]
        lost = f"{len(missing)} of the moments cannot be had: {missing[0].reason}" if missing else None
        fates = [shot.fate for shot in self.survey.shots]
        return [*self.survey.probe.notes, *notes_of(self.survey, fates), *([lost] if lost else [])]

    @property
    def summary(self) -> str:
        """The moments in a line."""
        if self.survey is None:
            return self.why or ""
        survey, number = self.survey, self.survey.planned
        canvas = survey.placement.canvas
        if (sheet := survey.sheet) is None:
            return f"{_number(number, 'picture')} of {canvas.width} × {canvas.height} px"
        sheets = _number(-(-number // sheet.cells), "sheet")
        return (
            f"{_number(number, 'moment')} on {sheets} of {sheet.columns} × {sheet.lines} cells "
            f"({canvas.width} × {canvas.height} px each), {sheet.width_px} × {sheet.height_px} px"
        )


def look(visit: Visit, video: Video, config: SnapshotConfig) -> Look:
    """The moments of a config. Raises NotFound for a bucket that the account does not have."""
    try:
        return Look(visit.rooms.job_previews.survey(visit.account_id, video, config))
    except NotFound:
        raise
    except StillframeError as error:
        return _without(error)


def facts_of(visit: Visit, video: Video) -> tuple[Probe | None, Look]:
    """What is in a video; without it why that cannot be told."""
    first = look(visit, video, SnapshotConfig())
    return (first.survey.probe if first.survey is not None else None), first


def strip(visit: Visit, video: Video, config: SnapshotConfig) -> tuple[Strip | None, Look]:
    """Small pictures at the moments of a config. Raises NotFound."""
    try:
        return visit.rooms.job_previews.strip(visit.account_id, video, config), Look()
    except NotFound:
        raise
    except StillframeError as error:
        return None, _without(error)


def _without(error: StillframeError) -> Look:
    match error:
        case Throttled() | Unavailable():
            return Look(
                why="Others are being looked at just now. This is tried again by itself.", is_busy=True
            )
        case ConfigError(path="Input.Media"):
            return Look(why=f"{error}.", hopeless_status=400)
        case ConfigError():
            return Look(why=f"{error}.", error=error)
        case PastTheEnd():
            return Look(why="The first moment lies behind the end of the video.", is_past_the_end=True)
        case ChildKilled(reason="time" | "no-progress"):
            return Look(
                why=f"Looking at this video takes more than {DEADLINE_S:g} s, so nothing is shown here. "
                "A job takes the time that it needs."
            )
        case ChildKilled():
            return Look(why=f"{error}.")
        case TooMuchRead() if error.most_bytes >= MOST_READ_BYTES:
            return Look(
                why=f"More than {MOST_READ_BYTES >> 20} MiB of this video would have to be read to show anything here. "
                "A job may read more."
            )
    api_error = as_api_error(error)
    is_hopeless = isinstance(error, MediaError | SourceError) and not getattr(error, "transient", False)
    status = api_error.status if api_error is not None and is_hopeless else None
    return Look(why=f"{faults.told(error)[1]}.", hopeless_status=status)


def _number(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
