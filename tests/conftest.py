"""What all tests share: no example of Hypothesis fails for being slow on a busy machine."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("no timing", deadline=None)
settings.load_profile("no timing")
