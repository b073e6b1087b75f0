"""Whose turn it is: the order in which a real queue gives out the tasks of accounts, pipelines and long jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pytest
from sqlalchemy import URL, text

from jobs_by_hand import JobsByHand, jobs_by_hand
from stillframe.catalog.pipelines import DEFAULT_PRIORITY
from stillframe.jobs import lanes, lifecycle, pipelines
from stillframe.jobs.lanes import BAND, LAST_TAG, Lane
from stillframe.jobs.models import Job
from stillframe.jobs.nodes import Node
from stillframe.jobs.repair import repair
from stillframe.service.accounts import open_account


@dataclass(frozen=True)
class Taken:
    """A task that a worker was given."""

    id: int
    name: str
    #: the pipeline's name, or the job's for a slice
    whose: str


class Turns:
    """A queue, and a worker that takes one task after the other; slices are done in no time."""

    def __init__(self, jobs: JobsByHand) -> None:
        self.jobs = jobs
        self.queue = jobs.assembly.queue
        self._lanes: dict[str, Lane] = {}
        self._names: dict[str, str] = {}

    def clear(self) -> None:
        self._lanes.clear()
        self._names.clear()
        self.jobs.sql("DELETE FROM procrastinate_jobs")
        self.jobs.sql("DELETE FROM jobs")
        self.jobs.sql("DELETE FROM nodes")

    def pipeline(self, name: str, *, account: str = "one", priority: int = DEFAULT_PRIORITY) -> str:
        """A new pipeline of an account, by its name."""
        made = self.jobs.assembly
        account_id = made.accounts.find(account)
        if account_id is None:
            with made.database.transaction() as session:
                account_id, _ = open_account(
                    account, made.accounts, made.pipelines, made.keys, within=session
                )
        pipeline_id = made.pipelines.create(account_id, name, priority=priority).pipeline_id
        self._lanes[name] = Lane(account_id, pipeline_id, priority)
        self._names[pipeline_id] = name
        return name

    def lane(self, name: str) -> Lane:
        return self._lanes[name]

    def small(self, pipeline: str, number: int = 1, *, priority: int | None = None) -> None:
        """So many small jobs: their surveys, as a submit puts them into the queue."""
        lane = self._lanes[pipeline]
        task = self.queue.deferring_survey(
            "0" * 32,
            1,
            account_id=lane.account_id,
            pipeline_id=lane.pipeline_id,
            priority=str(priority or lane.priority),
        )
        with self.jobs.assembly.database.statements() as connection:
            connection.execute(
                f"SELECT {task.expression} FROM generate_series(1, %(many)s)", {**task.values, "many": number}
            )

    def long(self, name: str, pipeline: str, slices: int) -> str:
        """A long job whose survey was made just now."""
        lane = self._lanes[pipeline]
        job_id = self.jobs.submit(1, f"oss://local/{name}/{{Count}}.png")
        self.jobs.sql("DELETE FROM procrastinate_jobs WHERE args->>'job_id' = :id", id=job_id)
        self.jobs.sql(
            "UPDATE jobs SET planned = :slices, pipeline_id = :pipeline, account_id = :account, priority = :priority "
            "WHERE job_id = :id",
            id=job_id,
            slices=slices,
            pipeline=lane.pipeline_id,
            account=lane.account_id,
            priority=lane.priority,
        )
        self.jobs.sql(
            "INSERT INTO slices (job_id, number, first, last, cost_s, state, attempt, failures, kills) "
            "SELECT :id, number, number, number, 1, 'waiting', 0, 0, 0 FROM generate_series(1, :slices) AS number",
            id=job_id,
            slices=slices,
        )
        self._names[job_id] = name
        self._dispatch(job_id)
        return job_id

    def take(self, of: Sequence[str] | None = None) -> Taken | None:
        """The next task for a worker of all pipelines, or of some."""
        queues = [self._lanes[name].pipeline_id for name in of] if of is not None else None
        ((row,),) = self.jobs.sql(
            "SELECT to_jsonb(procrastinate_fetch_job_v2(CAST(:queues AS varchar[]), NULL))", queues=queues
        )
        if row["id"] is None:
            return None
        whose = row["args"]["job_id"] if row["task_name"] == "render" else row["queue_name"]
        self.jobs.sql("DELETE FROM procrastinate_jobs WHERE id = :id", id=row["id"])
        if row["task_name"] == "render":
            self.jobs.sql(
                "UPDATE slices SET state = 'done' WHERE job_id = :id AND number = :number",
                id=whose,
                number=row["args"]["number"],
            )
            self._dispatch(whose)
        return Taken(row["id"], row["task_name"], self._names.get(whose, whose))

    def taken(self, number: int, of: Sequence[str] | None = None) -> list[str]:
        """Whose the next tasks are."""
        found = [self.take(of) for _ in range(number)]
        return [task.whose for task in found if task is not None]

    def tags(self, priority: int = DEFAULT_PRIORITY) -> list[int]:
        """The tags that wait, in the order of the queue."""
        top = priority * BAND
        found = self.jobs.sql(
            "SELECT priority FROM procrastinate_jobs WHERE status = 'todo' AND priority <= :top "
            "AND priority > :top - :band ORDER BY priority DESC, id",
            top=top,
            band=BAND,
        )
        return [top - row.priority for row in found]

    def _dispatch(self, job_id: str) -> None:
        with self.jobs.assembly.database.transaction() as session:
            job = session.get(Job, job_id, with_for_update=True)
            assert job is not None
            lifecycle.dispatch(session, self.queue, job)


@pytest.fixture(scope="module")
def shared(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Turns]:
    with jobs_by_hand(module_database_url, tmp_path_factory.mktemp("data")) as made:
        yield Turns(made)


@pytest.fixture
def turns(shared: Turns) -> Iterator[Turns]:
    shared.clear()
    yield shared
    shared.clear()


def longest_wait(taken: Sequence[str], whose: str) -> int:
    """The most tasks of others in a row."""
    return max((len([*run]) for name, run in groupby(taken) if name != whose), default=0)


BACKLOGS = pytest.mark.parametrize("backlog", [500, pytest.param(10_000, marks=pytest.mark.full)])


def test_a_small_job_goes_between_the_slices_of_a_long_one(turns: Turns) -> None:
    """However wide the window of the long one is."""
    for pipeline in ("films", "other films"):
        turns.pipeline(pipeline)
    worker = Node(turns.jobs.assembly.database, serves=False, slots=100)
    worker.appear()
    turns.long("long", "films", 500)
    assert len(turns.tags()) == 200
    assert turns.taken(20) == ["long"] * 20
    for pipeline in ("films", "other films"):
        turns.small(pipeline)
        assert pipeline in turns.taken(4)


@BACKLOGS
def test_a_pipeline_does_not_wait_for_the_backlog_of_another(turns: Turns, backlog: int) -> None:
    turns.pipeline("full")
    turns.pipeline("empty")
    turns.small("full", backlog)
    assert turns.taken(30) == ["full"] * 30
    turns.small("empty")
    assert "empty" in turns.taken(4)


@BACKLOGS
def test_accounts_take_turns(turns: Turns, backlog: int) -> None:
    turns.pipeline("of one", account="one")
    turns.pipeline("of two", account="two")
    turns.small("of one", backlog)
    turns.taken(5)
    turns.small("of two", 20)
    taken = turns.taken(44)
    assert Counter(taken)["of two"] == 20
    assert longest_wait(taken[:40], "of two") <= 3


def test_a_long_job_goes_on_beside_a_backlog(turns: Turns) -> None:
    """It waits for what was submitted to its pipeline before; what comes after that takes turns with its slices."""
    turns.pipeline("films")
    turns.small("films", 60)
    assert turns.taken(60) == ["films"] * 60
    turns.small("films", 300)
    turns.long("long", "films", 200)
    taken = turns.taken(60)
    # the backlog came when it was the account's only line, so it has two turns for one
    assert Counter(taken)["long"] >= 18
    assert longest_wait(taken, "long") <= 4


@pytest.mark.parametrize("lines", [10, pytest.param(100, marks=pytest.mark.full)])
def test_many_lines_give_no_larger_share(turns: Turns, lines: int) -> None:
    """Neither pipelines nor long jobs: two accounts share, whatever they divide theirs into."""
    turns.pipeline("of two", account="two")
    turns.small("of two", 300)
    for number in range(lines // 2):
        turns.pipeline(f"pipeline {number}")
        turns.long(f"long {number}", f"pipeline {number}", 100)
    for _ in range(12):
        for number in range(lines // 2):
            turns.small(f"pipeline {number}")
    # the first tasks of each were given their turns when it had fewer
    turns.taken(6 * lines)
    share = Counter(turns.taken(100))["of two"] / 100
    assert 0.35 <= share <= 0.65


def test_backlogs_one_after_the_other_have_a_bounded_share(turns: Turns) -> None:
    """The price of not counting: a backlog that was there before the account's others keeps its turns."""
    turns.pipeline("of two", account="two")
    turns.small("of two", 200)
    for number in range(10):
        turns.pipeline(f"pipeline {number}")
        turns.small(f"pipeline {number}", 60)
    share = Counter(turns.taken(120))["of two"] / 120
    # 1 + 1/2 + ... + 1/10 = 2.9 for the others
    assert share >= 0.2


def test_a_higher_priority_goes_first(turns: Turns) -> None:
    turns.pipeline("low", priority=5)
    turns.pipeline("high", priority=6)
    turns.small("low", 3)
    turns.small("high", 30)
    turns.small("low", 1, priority=10)
    assert turns.taken(35) == ["low"] + ["high"] * 30 + ["low"] * 3


def test_a_finish_waits_for_nobody(turns: Turns) -> None:
    turns.pipeline("films")
    turns.small("films", 20)
    turns.taken(10)
    with turns.jobs.assembly.database.transaction() as session:
        turns.queue.defer_finish(session, "0" * 32, 1, lane=turns.lane("films"))
    before = turns.tags()
    assert before[0] == 0
    turns.small("films")
    assert turns.tags() == [*before, before[-1] + 1]
    found = turns.take()
    assert found is not None
    assert found.name == "finish"


def test_what_waits_for_its_time_holds_nobody_up(turns: Turns) -> None:
    """Newcomers begin where the others are; and when only such tasks are there, they come before newcomers."""
    turns.pipeline("films")
    turns.pipeline("other films")
    with turns.jobs.assembly.database.transaction() as session:
        for _ in range(3):
            turns.queue.defer_survey(session, "0" * 32, 1, lane=turns.lane("films"), delay_s=3600)
    turns.small("films", 50)
    turns.taken(40)
    turns.small("other films")
    assert turns.tags()[:3] == [1, 2, 3]
    assert "other films" in turns.taken(4)
    turns.taken(7)
    assert turns.take() is None
    turns.small("other films")
    assert turns.tags()[:3] == [1, 2, 3]
    assert turns.tags()[3] > 3


def test_what_nobody_takes_holds_nobody_up(turns: Turns) -> None:
    """Two workers, each of some pipelines: one whose backlog stands still gives newcomers elsewhere no start."""
    for name in ("dead", "busy", "new", "newer"):
        turns.pipeline(name)
    turns.small("dead", 5)
    turns.small("busy", 150)
    assert turns.taken(60, of=["busy"]) == ["busy"] * 60
    Node(
        turns.jobs.assembly.database,
        serves=False,
        slots=1,
        pipelines=[turns.lane(name).pipeline_id for name in ("busy", "new")],
    ).appear()
    turns.small("new", 50)
    taken = turns.taken(40, of=["busy", "new"])
    assert 15 <= Counter(taken)["busy"] <= 25
    # without a living worker of its own it stands for itself
    turns.small("newer", 2)
    assert turns.taken(2, of=["newer"]) == ["newer"] * 2


def test_a_pipeline_that_is_ahead_has_newcomers_begin_there(turns: Turns) -> None:
    """It has a worker of its own beside that of all: its backlog is not put behind whatever comes new."""
    for name in ("of all", "of its own"):
        turns.pipeline(name)
    turns.small("of all", 5)
    turns.small("of its own", 100)
    Node(turns.jobs.assembly.database, serves=False, slots=1).appear()
    turns.taken(60, of=["of its own"])
    turns.long("long", "of its own", 50)
    taken = turns.taken(20, of=["of its own"])
    assert 5 <= Counter(taken)["long"] <= 15


def test_a_change_of_the_priority_keeps_the_distance_to_the_first(turns: Turns) -> None:
    """Whether more or less has been done in the one band than in the other."""
    for name, priority in (("moves", 5), ("stays", 5), ("there", 7)):
        turns.pipeline(name, priority=priority)
    turns.small("there", 80)
    assert turns.taken(60) == ["there"] * 60
    turns.small("stays", 10)
    turns.long("long", "moves", 100)
    distances = {tag - 1 for tag in turns.tags(5)[-8:]}
    with turns.jobs.assembly.database.transaction() as session:
        pipelines.set_priority(session, turns.queue, turns.lane("moves").pipeline_id, 7)
    assert (len(turns.tags(5)), len(turns.tags(7))) == (10, 28)
    assert {61 + distance for distance in distances} <= {*turns.tags(7)}
    taken = turns.taken(20)
    assert {*taken} == {"there", "long"}
    assert longest_wait(taken, "long") <= 4


def test_a_band_that_comes_to_its_end(turns: Turns) -> None:
    """What comes then is done in the order in which it came, until the repair has moved the band up."""
    for name in ("far on", "other"):
        turns.pipeline(name)
    turns.small("far on", 3)
    turns.jobs.sql(f"UPDATE procrastinate_jobs SET priority = priority - {BAND - 20}")
    turns.small("far on", 20)
    turns.small("other", 2)
    assert max(turns.tags()) == LAST_TAG
    assert turns.tags() == sorted(turns.tags())
    made = turns.jobs.assembly
    with made.database.transaction() as session:
        assert lanes.move_up(session) == 25
    assert (min(turns.tags()), max(turns.tags())) == (1, LAST_TAG - (BAND - 20))
    with made.database.transaction() as session:
        assert lanes.move_up(session) == 0
    assert turns.taken(25).count("other") == 2


def test_tasks_of_an_earlier_release_are_taken_over(turns: Turns) -> None:
    """Its servers may still run: they know neither bands nor queues of pipelines."""
    job_id = turns.jobs.submit(1, "oss://local/old.png", priority=7)
    pipeline_id = turns.jobs.assembly.pipelines.of_account(turns.jobs.account_id, None).pipeline_id
    new: list[Any] = turns.jobs.sql("SELECT queue_name, args, priority FROM procrastinate_jobs")
    turns.jobs.sql(
        "UPDATE procrastinate_jobs SET queue_name = 'work', priority = 7, "
        "args = jsonb_build_object('job_id', args->'job_id', 'epoch', 1)"
    )
    repair(turns.jobs.assembly.database, turns.queue)
    assert turns.jobs.sql("SELECT queue_name, args, priority FROM procrastinate_jobs") == new
    assert (new[0].queue_name, new[0].args["job_id"], new[0].priority) == (pipeline_id, job_id, 7 * BAND - 1)


def test_the_functions_know_the_same_numbers(turns: Turns) -> None:
    with turns.jobs.assembly.database.transaction() as session:
        source = session.scalar(
            text("SELECT string_agg(prosrc, '') FROM pg_proc WHERE proname LIKE 'stillframe_%'")
        )
    assert f"job_priority * {BAND}" in str(source)
    assert f"{BAND} - {BAND - LAST_TAG}" in str(source)
