"""What all tests share: databases, stores, and that no example of Hypothesis fails because a machine is busy."""

from __future__ import annotations

import signal
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

from clips import made_clip
from moto_server import moto
from needs_sandbox import sandbox_holds
from object_store import object_store, running_store
from oss_server import oss, running_oss
from postgres_fixtures import (
    _server,
    database_server,
    database_template,
    database_url,
    empty_database_url,
    module_database_url,
)
from stillframe.storage import cached_source
from stillframe.storage.index_cache import IndexCache

__all__ = [
    "_server",
    "database_server",
    "database_template",
    "database_url",
    "empty_database_url",
    "made_clip",
    "module_database_url",
    "moto",
    "object_store",
    "oss",
    "running_oss",
    "running_store",
    "sandbox_holds",
]

# what was started in the background by a shell has Ctrl-C ignored, and so has all that it starts itself
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("no timing", deadline=None)
settings.load_profile("no timing")

TESTS = Path(__file__).parent
#: acceptance tests take seconds each, and unit tests next to nothing
LONGEST_FIRST = ("acceptance", "integration", "unit")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long tests begin first, in random order, so that no worker has to wait for another's last one."""
    folders = [TESTS / name for name in LONGEST_FIRST]

    @cache
    def place(path: Path) -> int:
        return next((at for at, folder in enumerate(folders) if folder in path.parents), len(folders))

    items.sort(key=lambda item: place(item.path))


@pytest.fixture(scope="session")
def without_privileges() -> tuple[str, ...]:
    """What a command is run under so that the modes of files count: root without the power to override them."""
    program = (
        "import ctypes, os, sys\n"
        "if os.geteuid() == 0:\n"
        "    PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2\n"
        "    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):\n"
        "        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n"
    )
    return (sys.executable, "-c", program)


@pytest.fixture(autouse=True)
def no_index_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read first of an object stays in the process; a test that counts what is read begins without."""
    monkeypatch.setattr(cached_source, "_INDEXES", IndexCache())
