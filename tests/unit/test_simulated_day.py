"""The simulation of a day: every job ends exactly once, whatever fails, and a seed is a day."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FIGURES = json.loads((BENCHMARKS / "figures.json").read_text())


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("simulated_day", BENCHMARKS / "day.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def run(day: ModuleType, seed: int = 1, workers: int = 3) -> Any:
    made = day.simulate(FIGURES, jobs=1000, workers=workers, seed=seed)
    day.demand_conserved(made)
    return made


def test_every_job_ends_exactly_once(day: ModuleType) -> None:
    made = run(day)
    assert [*made.ends] == [1] * 1000
    assert len(made.waits_s) >= 1000
    assert made.tasks >= 1000
    made.ends[17] = 2
    with pytest.raises(ValueError, match="1 of 1000 jobs did not end exactly once"):
        day.demand_conserved(made)


def test_they_do_when_workers_die_all_the_time(day: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    calm = run(day)
    monkeypatch.setattr(day, "LIFE_S", 60.0)
    made = run(day)
    assert made.lost > 10 * max(calm.lost, 1)
    # what was lost is a task once more
    assert made.tasks - made.lost == calm.tasks - calm.lost
    assert made.busy_s > calm.busy_s


def test_nothing_begins_or_ends_while_the_database_is_away(
    day: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day, "OUTAGES", ((40_000.0, 9000.0),))
    made = run(day, workers=50)
    assert made.refused > 10
    assert sum(made.database_ms[39_000:40_000]) > 0
    assert sum(made.database_ms[40_001:49_000]) == 0
    assert sum(made.database_ms[49_000:49_100]) > 0


def test_a_slow_store_makes_work_longer(day: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day, "SLOW", ())
    calm = run(day)
    monkeypatch.setattr(day, "SLOW", tuple((0.0, 1e6, store, 3.0) for store in range(day.STORES)))
    # other tasks draw other times
    assert run(day).busy_s == pytest.approx(3 * calm.busy_s, rel=0.2)


def test_a_seed_is_a_day(day: ModuleType) -> None:
    first, again, other = run(day, 7), run(day, 7), run(day, 8)
    assert first.waits_s == again.waits_s
    assert first.database_ms == again.database_ms
    assert first.database_ms != other.database_ms
    assert day.told(first, FIGURES) == day.told(again, FIGURES)


def test_fewer_workers_wait_longer(day: ModuleType) -> None:
    assert sum(run(day, workers=1).waits_s) > sum(run(day, workers=20).waits_s)
