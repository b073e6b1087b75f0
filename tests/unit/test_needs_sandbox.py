"""A system without the sandbox is no reason to skip its tests where it is required."""

from __future__ import annotations

import pytest

from needs_sandbox import demand_sandbox

MISSING = ("seccomp filters cannot be set",)


@pytest.mark.parametrize("environment", [{}, {"CI_SANDBOX": "required"}])
def test_nothing_is_said_where_it_holds(environment: dict[str, str]) -> None:
    demand_sandbox((), environment)


@pytest.mark.parametrize(
    ("environment", "outcome"),
    [
        ({}, pytest.skip.Exception),
        ({"CI_SANDBOX": ""}, pytest.skip.Exception),
        ({"CI_SANDBOX": "required"}, pytest.fail.Exception),
    ],
    ids=["unset", "empty", "required"],
)
def test_where_it_does_not_hold(environment: dict[str, str], outcome: type[BaseException]) -> None:
    with pytest.raises(outcome, match="seccomp filters cannot be set"):
        demand_sandbox(MISSING, environment)
