"""The clips of the catalogue, each made once for all tests and all of their processes: they are only read.

Making them all takes six seconds of a processor.
"""

from __future__ import annotations

import fcntl
import os
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from stillframe.testing import Clip, videos

RECIPES: Mapping[str, Callable[[Path], Clip]] = {**videos.PLAYABLE, **videos.DAMAGED, **videos.REFUSED}

MadeClip = Callable[[str], Clip]


@pytest.fixture(scope="session")
def made_clip(tmp_path_factory: pytest.TempPathFactory) -> MadeClip:
    """The clip of a recipe, by its name, in a folder of its own."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # which the workers of a run share
    folder = root / "clips"
    folder.mkdir(exist_ok=True)

    def made(name: str) -> Clip:
        facts = folder / f"{name.replace('/', ' ')}.pickle"
        with facts.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not facts.exists():
                own = facts.with_suffix("")
                own.mkdir()
                facts.write_bytes(pickle.dumps(RECIPES[name](own)))
        clip: Clip = pickle.loads(facts.read_bytes())
        return clip

    return made
