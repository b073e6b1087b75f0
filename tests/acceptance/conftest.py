"""A film for all acceptance tests, and the folder of a user who has it."""

from __future__ import annotations

import shutil
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
