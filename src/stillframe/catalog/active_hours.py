"""When the jobs of a pipeline are begun: ranges of the day, or of some weekdays, by the clocks of a time zone.

22:00-06:00
Mon-Fri 20:00-07:00, Sat-Sun 00:00-24:00

A range over midnight belongs to the day on which it begins. When clocks are put forward or back a range is as much
shorter or longer as they tell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from stillframe.errors import ConfigError

UTC = "UTC"
#: takes the hours of a pipeline away
ALWAYS = "always"

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = "|".join(_DAYS)
_RANGE = re.compile(
    rf"(?:({_DAY})(?:-({_DAY}))? +)?([0-9]{{2}}):([0-9]{{2}})-([0-9]{{2}}):([0-9]{{2}})", re.ASCII
)
_ALLOWED = "ranges such as 22:00-06:00 or Mon-Fri 20:00-07:00, Sat-Sun 00:00-24:00"
_ZONES = "a time zone of the IANA database, such as Europe/Berlin or UTC"
#: what it means depends on the machine
_OF_THE_MACHINE = ("localtime", "posixrules", "Factory")


@dataclass(frozen=True, slots=True)
class _Range:
    """From `begin` to before `end`, in minutes of the day; `end` is of the next day where it is not later."""

    days: frozenset[int]
    begin: int
    end: int

    def contains(self, weekday: int, minute: int) -> bool:
        if self.begin < self.end:
            return weekday in self.days and self.begin <= minute < self.end
        return (weekday in self.days and minute >= self.begin) or (
            (weekday - 1) % 7 in self.days and minute < self.end
        )


@dataclass(frozen=True, slots=True)
class ActiveHours:
    """Hours as they were written, and the name of their time zone."""

    text: str
    time_zone: str
    _ranges: tuple[_Range, ...]
    _zone: ZoneInfo

    def contains(self, moment: datetime) -> bool:
        """Whether jobs are begun then; `moment` knows its time zone."""
        local = moment.astimezone(self._zone)
        minute = local.hour * 60 + local.minute
        return any(hours.contains(local.weekday(), minute) for hours in self._ranges)


def parse(hours: str, time_zone: str = UTC) -> ActiveHours:
    """Hours from text. Raises ConfigError for `ActiveHours` or `TimeZone`."""
    return ActiveHours(
        hours, time_zone, tuple(_range(part.strip(), hours) for part in hours.split(",")), _zone(time_zone)
    )


def _range(part: str, hours: str) -> _Range:
    found = _RANGE.fullmatch(part)
    if found is None:
        raise ConfigError("ActiveHours", hours, _ALLOWED)
    first, last, *times = found.groups()
    begin_hour, begin_minute, end_hour, end_minute = map(int, times)
    begin, end = begin_hour * 60 + begin_minute, end_hour * 60 + end_minute
    if begin_minute > 59 or end_minute > 59 or begin > 24 * 60 - 1 or end > 24 * 60:
        raise ConfigError("ActiveHours", hours, f"{_ALLOWED}, with times of the day from 00:00 to 24:00")
    if begin == end:
        raise ConfigError(
            "ActiveHours", hours, f"{_ALLOWED}, none of them empty; all of a day is 00:00-24:00"
        )
    return _Range(_days(first, last), begin, end)


def _days(first: str | None, last: str | None) -> frozenset[int]:
    if first is None:
        return frozenset(range(7))
    begin = _DAYS.index(first)
    number = (_DAYS.index(last or first) - begin) % 7
    return frozenset((begin + day) % 7 for day in range(number + 1))


def _zone(name: str) -> ZoneInfo:
    try:
        if name not in _OF_THE_MACHINE:
            return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        pass
    raise ConfigError("TimeZone", name, _ZONES)
