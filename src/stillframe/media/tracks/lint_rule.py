"""What a rule of the lint is, the players it speaks of, and what it looks at."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from stillframe.media.tracks.vtt_text import TrackText

Severity = Literal["error", "warning"]
Resolve = Callable[[str], tuple[int, int] | None]
#: (line, message) of each place where a rule is broken
Breaches = Iterator[tuple[int, str]]

VIDEOJS = "videojs-vtt-thumbnails"
PLYR = "Plyr"
VIDSTACK = "Vidstack"
ARTPLAYER = "ArtPlayer"
MEDIA_CHROME = "Media Chrome"
SHAKA = "Shaka Player"
FLUID = "Fluid Player"
JW = "JW Player"
ALL = (VIDEOJS, PLYR, VIDSTACK, ARTPLAYER, MEDIA_CHROME, SHAKA, FLUID, JW)


@dataclass(frozen=True, slots=True)
class Subject:
    """What the rules look at: the track, taken apart, and a way to ask for the size of an image."""

    track: TrackText
    is_empty: bool
    resolve: Resolve | None


Check = Callable[[Subject], Breaches]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `explanation` says in one line what happens where it is broken."""

    slug: str
    severity: Severity
    players: tuple[str, ...]
    explanation: str
    check: Check


class RuleTable:
    """Collects the rules of one module in the order in which they are written down.

    table = RuleTable()

    @table.rule("empty-file", "error", ALL)
    def _empty_file(subject: Subject) -> Breaches:
        "The file holds nothing."
    """

    def __init__(self) -> None:
        self._rules: list[Rule] = []

    def rule(self, slug: str, severity: Severity, players: tuple[str, ...]) -> Callable[[Check], Check]:
        """Enter the decorated function as a rule; its docstring is the rule's explanation."""

        def enter(check: Check) -> Check:
            self._rules.append(Rule(slug, severity, players, inspect.getdoc(check) or "", check))
            return check

        return enter

    @property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(self._rules)


def shown(text: str) -> str:
    """Quote a piece of the file for a message: one line, printable, not too long."""
    return repr(text if len(text) <= 80 else text[:77] + "...")
