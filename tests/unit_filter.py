"""The units of deploy/systemd as their lines, and the system calls that they allow."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from told import DEPLOY

UNITS = sorted((DEPLOY / "systemd").iterdir())
PROGRAM = shutil.which("systemd-analyze")


def demand_systemd() -> str:
    """The program; without it the test is skipped, or fails where `CI_SYSTEMD=required` says so."""
    if PROGRAM is None:
        reason = "systemd-analyze is not installed (apt-get install systemd)"
        if os.environ.get("CI_SYSTEMD") == "required":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return PROGRAM


def settings(unit: Path) -> dict[str, list[str]]:
    """The lines of a unit by their names."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text(encoding="utf-8").splitlines():
        if re.match(r"[A-Z]\w*=", line):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def calls(names: list[str]) -> set[str]:
    """System calls and groups of them (`@process`) as the calls that they are."""
    found = {name for name in names if not name.startswith("@")}
    for group in [name for name in names if name.startswith("@")]:
        done = subprocess.run(
            [demand_systemd(), "syscall-filter", group], capture_output=True, text=True, check=True
        )
        found |= calls([line.strip() for line in done.stdout.splitlines()[1:] if line.startswith("    ")])
    return {name for name in found if not name.startswith("#")}
