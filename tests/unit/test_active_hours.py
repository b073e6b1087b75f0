"""When the jobs of a pipeline are begun: ranges of the week, by the clocks of a time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stillframe.catalog import active_hours
from stillframe.errors import ConfigError

#: 2026-06-01 is a Monday
WEEK = {
    name: datetime(2026, 6, day, tzinfo=UTC)
    for day, name in enumerate(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], 1)
}


def at(told: str) -> datetime:
    """`Mon 22:00` of that week, in UTC."""
    day, time = told.split()
    hour, minute = map(int, time.split(":"))
    return WEEK[day] + timedelta(hours=hour, minutes=minute)


@pytest.mark.parametrize(
    ("hours", "inside", "outside"),
    [
        ("09:00-17:00", ["Mon 09:00", "Sun 16:59"], ["Mon 08:59", "Mon 17:00", "Wed 00:00"]),
        ("22:00-06:00", ["Mon 22:00", "Mon 00:00", "Sun 05:59"], ["Mon 06:00", "Mon 21:59", "Sun 12:00"]),
        ("00:00-24:00", ["Mon 00:00", "Sun 23:59"], []),
        ("22:00-24:00", ["Mon 23:59"], ["Tue 00:00", "Mon 21:59"]),
        ("22:00-00:00", ["Mon 23:59"], ["Tue 00:00", "Mon 21:59"]),
        ("02:00-03:00, 12:00-13:00", ["Tue 02:30", "Tue 12:30"], ["Tue 03:00", "Tue 13:00"]),
        # over midnight into the next day, and from Sunday into Monday
        ("Fri 22:00-06:00", ["Fri 22:00", "Sat 05:59"], ["Fri 05:59", "Sat 06:00", "Sat 22:00"]),
        ("Sun 22:00-06:00", ["Sun 23:00", "Mon 05:59"], ["Sun 05:59", "Mon 06:00", "Mon 22:00"]),
        ("Mon-Fri 20:00-07:00, Sat-Sun 00:00-24:00", ["Sat 12:00", "Sat 06:00", "Thu 20:00"], ["Thu 12:00"]),
        ("Sat-Mon 10:00-11:00", ["Sat 10:00", "Sun 10:30", "Mon 10:59"], ["Tue 10:00", "Fri 10:30"]),
        ("Tue-Tue 10:00-11:00,Wed  12:00-13:00", ["Tue 10:00", "Wed 12:00"], ["Wed 10:00", "Tue 12:00"]),
    ],
)
def test_what_is_inside(hours: str, inside: list[str], outside: list[str]) -> None:
    parsed = active_hours.parse(hours)
    assert {told: parsed.contains(at(told)) for told in inside} == dict.fromkeys(inside, True)
    assert {told: parsed.contains(at(told)) for told in outside} == dict.fromkeys(outside, False)


def test_the_clocks_of_the_time_zone_count() -> None:
    night = active_hours.parse("Mon 22:00-06:00", "Asia/Shanghai")
    assert night.contains(at("Mon 14:00"))
    assert night.contains(at("Mon 21:59"))
    assert not night.contains(at("Mon 13:59"))
    assert not night.contains(at("Mon 22:00"))
    # whatever zone the moment is told in
    assert night.contains(datetime.fromisoformat("2026-06-01T10:00:00-04:00"))


def test_clocks_that_are_put_forward_and_back() -> None:
    """In Berlin on 2026-03-29 there is no 02:30, and on 2026-10-25 it comes twice."""

    def open_minutes(hours: str, begin: str) -> int:
        parsed, first = active_hours.parse(hours, "Europe/Berlin"), datetime.fromisoformat(begin)
        return sum(parsed.contains(first + timedelta(minutes=minute)) for minute in range(20 * 60))

    for day, night, hour in (("2026-03-28", 7, 0), ("2026-10-24", 9, 120), ("2026-06-01", 8, 60)):
        assert open_minutes("22:00-06:00", f"{day}T13:00+00:00") == night * 60
        assert open_minutes("02:00-03:00", f"{day}T13:00+00:00") == hour
    # eight in the morning is that in winter and in summer
    morning = active_hours.parse("08:00-09:00", "Europe/Berlin")
    for moment in ("2026-03-28T07:00+00:00", "2026-03-29T06:00+00:00"):
        assert morning.contains(datetime.fromisoformat(moment))
        assert not morning.contains(datetime.fromisoformat(moment) - timedelta(minutes=1))


@pytest.mark.parametrize(
    "hours",
    [
        "",
        ",",
        "22-06",
        "22:00",
        "9:00-17:00",
        "09:00-17:60",
        "24:00-06:00",
        "09:00-24:01",
        "25:00-26:00",
        "10:00-10:00",
        "mon 10:00-11:00",
        "Mon,Tue 10:00-11:00",
        "Mon-Xyz 10:00-11:00",
        "10:00-11:00;12:00-13:00",
        "always",
        "١٠:00-11:00",
    ],
)
def test_hours_that_are_refused(hours: str) -> None:
    with pytest.raises(ConfigError, match=r"^ActiveHours is .*22:00-06:00"):
        active_hours.parse(hours)


@pytest.mark.parametrize(
    "zone",
    [
        "",
        "Berlin",
        "Europe",
        "CEST",
        "UTC+3",
        "../../etc/passwd",
        "/etc/localtime",
        "localtime",
        "Mars/Base",
        "x\0",
    ],
)
def test_time_zones_that_are_refused(zone: str) -> None:
    with pytest.raises(ConfigError, match=r"^TimeZone is .*Europe/Berlin"):
        active_hours.parse("22:00-06:00", zone)
