"""What a row has to reach: functions from the row's results to the measured value and whether it is good enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

from measure import Usage


@dataclass(frozen=True, slots=True)
class Result:
    """All runs of one contestant."""

    runs: tuple[Usage, ...]

    @property
    def wall_s(self) -> float:
        """Median wall time in seconds."""
        return median(usage.wall_s for usage in self.runs)

    @property
    def cpu_s(self) -> float:
        """Median CPU time in seconds."""
        return median(usage.cpu_s for usage in self.runs)

    @property
    def peak_mib(self) -> float:
        """Peak memory of the worst run in MiB."""
        return max(usage.peak_mib for usage in self.runs)

    @property
    def others(self) -> float:
        """Median share of the machine that other work had, 0 to 1."""
        return median(usage.others for usage in self.runs)


Results = Mapping[str, Result]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The measured value as text, and whether the goal is met."""

    measured: str
    met: bool


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal in words, the contestants it compares, and its test. Not judged while one of them is missing."""

    text: str
    contestants: tuple[str, ...]
    test: Callable[[Results], Verdict]

    def judge(self, results: Results) -> Verdict | None:
        """The verdict, or None if a contestant did not take part."""
        return self.test(results) if set(self.contestants) <= results.keys() else None


def at_most_times(ours: str, theirs: str, factor: float) -> Goal:
    """Our wall time is at most `factor` times theirs."""

    def test(results: Results) -> Verdict:
        ratio = results[ours].wall_s / results[theirs].wall_s
        return Verdict(f"{ratio:.2f} x", ratio <= factor)

    return Goal(f"at most {factor} x {theirs}", (ours, theirs), test)


def faster_than(ours: str, theirs: str, factor: float) -> Goal:
    """Their wall time is at least `factor` times ours."""

    def test(results: Results) -> Verdict:
        ratio = results[theirs].wall_s / results[ours].wall_s
        return Verdict(f"{ratio:.1f} x", ratio >= factor)

    return Goal(f"at least {factor:g} x faster than {theirs}", (ours, theirs), test)


def within(ours: str, seconds: float) -> Goal:
    """Our wall time is at most `seconds`."""

    def test(results: Results) -> Verdict:
        return Verdict(f"{results[ours].wall_s:.2f} s", results[ours].wall_s <= seconds)

    return Goal(f"at most {seconds} s", (ours,), test)


def at_most_longer(ours: str, theirs: str, seconds: float) -> Goal:
    """Our wall time is at most theirs and `seconds`."""

    def test(results: Results) -> Verdict:
        more = results[ours].wall_s - results[theirs].wall_s
        return Verdict(f"{theirs} + {more:.2f} s", more <= seconds)

    return Goal(f"at most {theirs} + {seconds} s", (ours, theirs), test)


def peak_below(name: str, mib: float) -> Goal:
    """The peak memory of `name` is under `mib`."""

    def test(results: Results) -> Verdict:
        return Verdict(f"{results[name].peak_mib:.0f} MiB", results[name].peak_mib < mib)

    return Goal(f"{name}: under {mib:g} MiB", (name,), test)


def peaks_alike(few: str, many: str, tolerance: float) -> Goal:
    """The larger of the two peaks is at most 1 + `tolerance` times the smaller."""

    def test(results: Results) -> Verdict:
        low, high = sorted((results[few].peak_mib, results[many].peak_mib))
        return Verdict(f"{high / low - 1:.1%} apart", high <= low * (1 + tolerance))

    return Goal(f"both peaks within {tolerance:.0%} of each other", (few, many), test)
