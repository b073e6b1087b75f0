"""Whether tests of the sandbox run here: elsewhere they are skipped, but where it must hold they fail.

`CI_SANDBOX=required` says that it must: a run in which nothing was proven is not to be green.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import pytest

from stillframe.sandbox.layers import available_layers


@pytest.fixture(scope="session")
def sandbox_holds() -> None:
    """For every test that locks a child in: `pytestmark = pytest.mark.usefixtures("sandbox_holds")`."""
    demand_sandbox(available_layers().missing, os.environ)


def demand_sandbox(missing: Sequence[str], environment: Mapping[str, str]) -> None:
    if not missing:
        return
    reason = f"no sandbox here: {'; '.join(missing)}"
    if environment.get("CI_SANDBOX") == "required":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
