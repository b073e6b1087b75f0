"""A film for all acceptance tests, and the folder of a user who has it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from stillframe.testing import Clip, videos


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """25 seconds at 5 pictures a second with sound; every fifth picture is a keyframe."""
    path = tmp_path_factory.mktemp("film") / "movie.mp4"
    return videos.make(path, frames=125, fps=5, gop=5, bframes=2, audio="aac")


@pytest.fixture
def folder(tmp_path: Path, film: Clip) -> Path:
    """The folder that the command is run in: there is movie.mp4 in it and nothing else."""
    shutil.copy(film.path, tmp_path / "movie.mp4")
    return tmp_path


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
