"""Ctrl-C while several videos are shot at the same time, of which one waits for a server that says nothing."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from stillframe.cli import snap
from stillframe.cli.inputs import Input
from stillframe.cli.progress import Quiet
from stillframe.media.config import SnapshotConfig


def test_ctrl_c_waits_for_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    waits, server_speaks, ended = threading.Event(), threading.Event(), threading.Event()
    begun = []

    def shoot(source: Input, *rest: Any) -> bool:
        begun.append(source.name)
        if source.name == "waits":
            waits.set()
            assert server_speaks.wait(10)
            ended.set()
            return True
        assert waits.wait(10)
        raise KeyboardInterrupt

    monkeypatch.setattr(snap, "_shoot_one", shoot)
    monkeypatch.setattr(snap, "_LAST_SHOT_S", 0.01)
    targets = [
        (Input.of(name), "{Name}.jpg") for name in ("is interrupted", "waits", "comes later", "and later")
    ]
    with pytest.raises(KeyboardInterrupt):
        snap._shoot_all(targets, SnapshotConfig(), Quiet(), threads=1, jobs=2, sandbox=False)
    assert not ended.is_set()
    assert set(begun[:2]) == {"is interrupted", "waits"}
    server_speaks.set()
    assert ended.wait(10)
