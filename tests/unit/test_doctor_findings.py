"""What the doctor says of the sandbox's layers and of the clock."""

from __future__ import annotations

import sys
import time

import pytest

from stillframe.sandbox.layers import Layers
from stillframe.server.clock import is_kept_right, read_timex
from stillframe.server.doctor import MOST_APART_S, clock_finding, sandbox_findings, version_finding

WHOLE = Layers(seccomp=True, rlimits=True, landlock=4, network_namespace=True, unprivileged=True)


@pytest.mark.parametrize(
    ("layers", "required", "states"),
    [
        (WHOLE, True, "ok ok ok ok ok"),
        (WHOLE, False, "note ok ok ok ok ok"),
        (Layers(seccomp=True, rlimits=True), True, "ok ok note note note"),
        (Layers(), True, "wrong wrong note note note"),
        (Layers(), False, "note note note note note note"),
    ],
)
def test_each_layer_has_its_finding(layers: Layers, required: bool, states: str) -> None:
    findings = list(sandbox_findings(layers, required=required))
    assert " ".join(finding.state for finding in findings) == states
    assert all(bool(finding.remedy) is (finding.state != "ok") for finding in findings)


@pytest.mark.parametrize("way", [1, -1])
def test_clocks_that_are_apart_are_told(way: int) -> None:
    now_s = 1_800_000_000.0
    assert clock_finding(now_s, now_s + way * MOST_APART_S).state == "ok"
    apart = clock_finding(now_s, now_s + way * (MOST_APART_S + 50))
    assert (apart.state, apart.subject) == ("wrong", "clock")
    assert "60 s apart" in apart.text
    assert "NTP" in apart.remedy


def test_a_clock_that_nobody_sets_is_told() -> None:
    now_s = time.time()
    assert [clock_finding(now_s, now_s, kept).state for kept in (True, False, None)] == ["ok", "note", "ok"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_what_the_kernel_says_of_the_clock() -> None:
    """Its fields are where we look for them: the time among them is the time."""
    told = read_timex()
    assert told is not None
    assert abs(told.seconds - time.time()) < 60
    assert is_kept_right() is (told.status & 0x40 == 0)


@pytest.mark.parametrize(("number", "state"), [(160_013, "wrong"), (170_000, "ok")])
def test_a_postgresql_that_could_not_restore_a_backup_is_told_of(number: int, state: str) -> None:
    found = version_finding("some", number)
    assert found.state == state
    assert ("upgrade it to 17 or newer" in found.remedy) == (state == "wrong")
