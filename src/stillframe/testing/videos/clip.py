"""What is known about a generated video: which number is on screen when."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

__all__ = ["Clip"]


@dataclass(frozen=True, slots=True)
class Clip:
    """A generated video and the truth about it.

    ``numbers`` and ``pts_s`` go together, in display order: the picture with the bar code ``numbers[i]`` is
    shown from ``pts_s[i]``, which is in seconds and as the container says it (a file that starts at 1.4 s has
    ``pts_s[0] == 1.4``). ``end_s`` is when the last one goes. They are empty for a file that has no video, or
    pictures without numbers. ``keyframe_numbers`` are those of ``numbers`` that are keyframes,
    ``black_numbers`` those whose picture is black and carries none. ``width_px`` and ``height_px`` are those
    of the shown picture: upright, and with square pixels (the larger side grows, as players do).
    """

    path: Path
    numbers: tuple[int, ...] = ()
    pts_s: tuple[Fraction, ...] = ()
    end_s: Fraction = Fraction(0)
    keyframe_numbers: tuple[int, ...] = ()
    black_numbers: tuple[int, ...] = ()
    width_px: int = 0
    height_px: int = 0

    @property
    def duration_ms(self) -> Fraction:
        """From the first picture's appearance to the end of the last, in milliseconds."""
        return (self.end_s - self.pts_s[0]) * 1000 if self.pts_s else Fraction(0)

    def number_at(self, time_ms: int | Fraction) -> int:
        """The number on screen ``time_ms`` after the first picture appeared.

        It is that of the last picture with pts <= first pts + time; past the end it is the last number.
        Raises ValueError for a negative time, or a clip without numbers.
        """
        if not self.numbers:
            raise ValueError(f"{self.path.name} has no numbered pictures")
        if time_ms < 0:
            raise ValueError(f"time_ms is {time_ms}, the first picture is at 0")
        return self.numbers[bisect_right(self.pts_s, self.pts_s[0] + Fraction(time_ms) / 1000) - 1]

    def time_ms_of(self, number: int) -> Fraction:
        """When ``number`` appears, in milliseconds after the first; ValueError when it never does."""
        return (self.pts_s[self.numbers.index(number)] - self.pts_s[0]) * 1000
