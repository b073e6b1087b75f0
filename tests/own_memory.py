"""How much memory this process takes.

grown = growth()
...
assert grown() < 1 << 20
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path


def growth() -> Callable[[], int]:
    """By how many bytes this process was larger, at the most, than it is now."""
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    return lambda: memory("VmHWM") - before


def memory(kind: str) -> int:
    """Bytes of memory of this process."""
    found = re.search(rf"^{kind}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) << 10
