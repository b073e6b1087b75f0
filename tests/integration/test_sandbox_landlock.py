"""Landlock where the kernel does not put it on: it says so, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys

import pytest

from stillframe.sandbox import landlock

#: the kernel lays so many of them on one another, and no more
MOST_LAYERS = 16
PROGRAM = f"""
import os
from stillframe.sandbox import landlock
from stillframe.sandbox.libc import call
PR_SET_NO_NEW_PRIVS = 38
call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
free = os.dup(0)
os.close(free)
for _ in range({MOST_LAYERS}):
    assert landlock.restrict()
try:
    landlock.restrict()
    print("it was put on")
except OSError as error:
    print(error.strerror, os.dup(0) - free)
"""


@pytest.mark.skipif(landlock.version() is None, reason="this kernel has no Landlock")
def test_one_that_is_refused_leaves_no_descriptor() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )
    assert (done.stdout, done.stderr) == ("Argument list too long 0\n", "")
