"""A child that lies, floods, hangs or dies harms nothing but its own slice, and costs its parent little."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sandbox_hostile import (
    AT_ONCE,
    GREEDY,
    HONEST,
    LIES,
    LIES_OF_FACTS,
    LIES_OF_PNGS,
    NAMES,
    REFUSING,
)

from own_memory import growth
from stillframe import (
    ChildKilled,
    MediaError,
    MemorySink,
    MemorySource,
    SnapshotConfig,
    SpriteSnapshotConfig,
)
from stillframe.sandbox.parent import Sandbox
from stillframe.sandbox.session import Limits
from stillframe.testing import videos

pytestmark = pytest.mark.usefixtures("sandbox_holds")

TEMPLATE = "x-{Count}.jpg"
#: what the parent may take more than it has, whatever a child does
MOST_MEMORY = 224 << 20
DEADLINE_S = 60
#: a busy machine must not be taken for a child that hangs
PATIENT = Limits(no_progress_s=30, total_s=60, read_bytes=1 << 20)
LARGE = MemorySource(bytes(32 << 20))


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(PATIENT, entry="sandbox_hostile:behave") as made:
        yield made


@pytest.fixture(scope="module")
def impatient() -> Iterator[Sandbox]:
    with Sandbox(replace(PATIENT, no_progress_s=1.0), entry="sandbox_hostile:behave") as made:
        yield made


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> MemorySource:
    return MemorySource(videos.h264_pyramid(tmp_path_factory.mktemp("clip")).path.read_bytes())


@pytest.fixture(scope="module")
def honest(box: Sandbox, clip: MemorySource) -> dict[str, bytes]:
    sink = MemorySink(TEMPLATE, config_of(HONEST))
    box.survey_and_render(clip, config_of(HONEST), sink)
    assert len(sink.files) == 3
    return sink.files


@pytest.fixture(autouse=True)
def _memory_stays_bounded() -> Iterator[None]:
    grown = growth()
    yield
    assert grown() < MOST_MEMORY


@pytest.mark.parametrize("name", AT_ONCE)
def test_a_child_that_does_not_do_its_work(box: Sandbox, impatient: Sandbox, name: str) -> None:
    box = impatient if AT_ONCE[name][1] == "no-progress" else box
    source = MemorySource(bytes(1 << 20)) if name.startswith("a flood") else LARGE
    sink = MemorySink(TEMPLATE, config_of(name))
    with pytest.raises(ChildKilled) as killed:
        box.survey_and_render(source, config_of(name), sink)
    assert killed.value.reason == AT_ONCE[name][1]
    assert sink.files == {}
    assert children_of(box) == []


@pytest.mark.parametrize("name", LIES)
def test_a_child_that_lies(box: Sandbox, clip: MemorySource, honest: dict[str, bytes], name: str) -> None:
    sink = MemorySink(TEMPLATE, config_of(name))
    with pytest.raises(ChildKilled) as killed:
        box.survey_and_render(clip, config_of(name), sink)
    assert killed.value.reason == "protocol"
    assert killed.value.detail
    assert killed.value.detail.isprintable()
    # what was true may have been written; what is not never is
    assert sink.files.items() <= honest.items()
    assert children_of(box) == []


@pytest.mark.parametrize("name", LIES_OF_PNGS)
def test_a_child_that_lies_about_pngs(box: Sandbox, clip: MemorySource, name: str) -> None:
    sink = MemorySink("x-{Count}.png", config_of(name))
    with pytest.raises(ChildKilled, match=r"no PNG|8, 8") as killed:
        box.survey_and_render(clip, config_of(name), sink)
    assert killed.value.reason == "protocol"
    assert sink.files == {}


def test_a_rendering_child_is_believed_no_more(
    box: Sandbox, clip: MemorySource, honest: dict[str, bytes]
) -> None:
    name = "a still that is smaller"
    survey = box.survey(clip, config_of(name))
    sink = MemorySink(TEMPLATE, config_of(name))
    with pytest.raises(ChildKilled, match="8, 8"):
        box.render(survey, survey.stretches[0], clip, sink)
    assert sink.files == {}


@pytest.fixture(scope="module")
def misdescribing() -> Iterator[Sandbox]:
    with Sandbox(PATIENT, entry="sandbox_hostile:misdescribe") as made:
        yield made


@pytest.mark.parametrize("number", range(len(LIES_OF_FACTS)), ids=[*LIES_OF_FACTS])
def test_a_child_that_lies_about_a_source(misdescribing: Sandbox, number: int) -> None:
    with pytest.raises(ChildKilled) as killed:
        misdescribing.describe(MemorySource(bytes(number + 1)))
    assert killed.value.reason == "protocol"
    assert killed.value.detail.isprintable()
    assert children_of(misdescribing) == []


def test_memory_without_end_is_told(box: Sandbox, clip: MemorySource) -> None:
    with pytest.raises(ChildKilled, match="needs more memory than the 1024 MiB") as killed:
        box.survey(clip, config_of(GREEDY))
    assert killed.value.reason == "memory"


def test_words_are_made_safe_to_show(box: Sandbox, clip: MemorySource) -> None:
    with pytest.raises(MediaError) as refused:
        box.survey(clip, config_of(REFUSING))
    assert (refused.value.source, refused.value.reason) == ("<memory>", "damaged")
    assert re.fullmatch(r"it is �\[2J�bad!{1,1000}", refused.value.message)


def test_others_go_on_beside_it(
    box: Sandbox, impatient: Sandbox, clip: MemorySource, honest: dict[str, bytes]
) -> None:
    reasons: list[str] = []

    def one(name: str) -> Callable[[], None]:
        def run() -> None:
            try:
                impatient.survey(LARGE, config_of(name))
            except ChildKilled as killed:
                reasons.append(killed.reason)

        return run

    hostile = [
        threading.Thread(target=one(name))
        for name in ("spin", "ask and never read", "noise", "segmentation fault")
    ]
    for thread in hostile:
        thread.start()
    for _ in range(3):
        sink = MemorySink(TEMPLATE, config_of(HONEST))
        box.survey_and_render(clip, config_of(HONEST), sink)
        assert sink.files == honest
    for thread in hostile:
        thread.join()
    assert sorted(reasons) == ["crash", "no-progress", "no-progress", "protocol"]


def config_of(name: str) -> SnapshotConfig:
    """A config whose margin of sheets, of which there are none, tells the child how to behave."""
    number = SpriteSnapshotConfig(margin=NAMES.index(name))
    return SnapshotConfig(count=3, frame_type="normal", width=64, height=36, sprite_snapshot_config=number)


def children_of(box: Sandbox) -> list[str]:
    """The children that are left once it is time that none is."""
    until = time.monotonic() + DEADLINE_S
    where = Path(f"/proc/{box.pid}/task/{box.pid}/children")
    while (left := where.read_text().split()) and time.monotonic() < until:
        threading.Event().wait(0.01)
    return left
