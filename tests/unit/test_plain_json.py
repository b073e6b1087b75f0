"""Many threads that meet the same types for the first time, at the same moment."""

from __future__ import annotations

import subprocess
import sys

#: in a process of its own: without the lock it dies of a SIGSEGV (a naked msgspec.convert does, within a second)
MANY = """
import sys, threading
from dataclasses import make_dataclass
from typing import NamedTuple
from stillframe.media import plain_json

sys.setswitchinterval(1e-6)
for n in range(400):
    inner = [make_dataclass(f"I{n}_{k}", [(f"x{j}", int) for j in range(5)]) for k in range(8)]
    outer = NamedTuple(f"O{n}", [(f"f{k}", inner[k]) for k in range(8)])
    value = [{f"x{j}": k for j in range(5)} for k in range(8)]
    begin, found = threading.Barrier(4), []

    def read():
        begin.wait()
        found.append(plain_json.convert(value, outer))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [read[7].x0 for read in found] == [7] * 4
"""


def test_threads_that_meet_a_type_for_the_first_time() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MANY], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
