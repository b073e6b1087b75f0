"""deploy/systemd: units that systemd takes, whose hardening is one and leaves the decoding child its barriers."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import pytest

from unit_filter import UNITS, calls, demand_systemd, settings

INSTALLED = "/opt/stillframe/bin/stillframe"
#: what the layers of the sandbox are put on by (`sandbox.layers`), beside what every process needs
NEEDED_CALLS = {
    *(
        "unshare",
        "seccomp",
        "prctl",
        "setrlimit",
        "prlimit64",
        "setresuid",
        "setresgid",
        "setgroups",
        "capset",
    ),
    *("setpgid", "close_range", "landlock_create_ruleset", "landlock_restrict_self"),
}


def verified(tmp_path: Path, text: str, name: str) -> str:
    """What systemd-analyze says of a unit; the program that it starts is the one that is installed here."""
    program = Path(sysconfig.get_path("scripts")) / "stillframe"
    unit = tmp_path / name
    unit.write_text(text.replace(INSTALLED, str(program)))
    done = subprocess.run(
        [demand_systemd(), "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr + ("" if done.returncode == 0 else f"exit code {done.returncode}")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_it(unit: Path, tmp_path: Path) -> None:
    text = unit.read_text(encoding="utf-8")
    assert text.count(INSTALLED) == 1
    assert verified(tmp_path, text, unit.name) == ""


def test_what_systemd_does_not_know_is_noticed(tmp_path: Path) -> None:
    text = UNITS[0].read_text(encoding="utf-8")
    assert "ProtectSystems" in verified(
        tmp_path, text.replace("ProtectSystem=", "ProtectSystems="), "x.service"
    )


def test_all_are_hardened_alike() -> None:
    assert [unit.name for unit in UNITS] == [
        "stillframe-api.service",
        "stillframe-worker@.service",
        "stillframe.service",
    ]
    hardened = [unit.read_text(encoding="utf-8").partition("NoNewPrivileges")[2] for unit in UNITS]
    assert len({*hardened}) == 1
    assert "CapabilityBoundingSet=\n" in hardened[0]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_decoding_child_can_be_locked_in(unit: Path) -> None:
    found = settings(unit)
    # the child's own namespaces: its network and messages, and a user to be allowed that
    assert {*found["RestrictNamespaces"][0].split()} == {"user", "net", "ipc"}
    assert calls(found["SystemCallFilter"][0].split()) >= NEEDED_CALLS


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_it_has_time_to_end_in_order(unit: Path) -> None:
    found = settings(unit)
    # PostgreSQL and its supervisor are ended by the server
    assert found["KillMode"] == ["mixed"]
    assert float(found["TimeoutStopSec"][0]) >= 20 + 20 + 30
