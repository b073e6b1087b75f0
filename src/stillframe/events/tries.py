"""One try to deliver an event: when, how long it took, and what was wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class Try:
    """`reason` is why the message did not arrive; None when it did. `at` is when the try began."""

    at: datetime
    seconds: float
    reason: str | None = None

    def as_json(self) -> list[dict[str, Any]]:
        """As it is put behind the tries before."""
        reason = self.reason[:_LONGEST_REASON] if self.reason is not None else None
        return [
            {"At": self.at.astimezone(UTC).isoformat(), "Seconds": round(self.seconds, 3), "Reason": reason}
        ]


def read_try(read: Mapping[str, Any]) -> Try:
    """A try as it was stored."""
    return Try(datetime.fromisoformat(read["At"]), read["Seconds"], read["Reason"])
