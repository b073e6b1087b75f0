"""Every statement that the product sends, explained over jobs that have ended and jobs that are parked, many of both.

The statements are those that are really sent, by SQLAlchemy and by psycopg itself, while every action is called, jobs
are worked on, and the repair and the sweeper go their rounds. Each is run once more under EXPLAIN, in a transaction
that is rolled back: what it has read is counted, not estimated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import psycopg
import pytest
from sqlalchemy import URL

from populated import CALLS, World, parameters_of, populate
from service_client import Client, Service, service, wait_for
from stillframe.database.engine import psycopg_dsn
from stillframe.events.history import EventState
from stillframe.jobs import repair, retention
from stillframe.jobs.standing import Standing
from stillframe.service.pipelines import PipelineControl
from stillframe.testing import Clip
from stillframe.testing.many_jobs import TABLES, add_parked, add_waiting, fill

#: as many as are looked at in `make test`; the plans are the same as over the million of the full table
SAMPLE, FULL = 12_000, 1_000_000
#: jobs that wait meanwhile, with their tasks
LIVE = 1000
#: jobs that are parked in each pipeline that lets in few: more than may be looked at in vain
PARKED = 2500
#: blocks of 8 KiB that one statement may touch, however many jobs there are
MOST_BLOCKS = 2500
#: rows that are sorted, or looked at in vain: all that wait, and no page is larger than that
MOST_ROWS = 2 * LIVE + 200
#: statements that are about all that there is
ABOUT_ALL = {
    "SELECT count(*) AS count_1 FROM media_assets": "TotalCount of ListMediaBasicInfos is that of all assets",
}
#: statements that are about all that wait: done the more seldom, the longer they take, or up to some thousands
ABOUT_ALL_THAT_WAIT = {
    "SELECT jobs.pipeline_id, count(*) AS jobs FROM jobs": "the metric stillframe_parked_jobs",
    "SELECT jobs.pipeline_id, count(*) AS tasks, extract": "metrics of the queue",
    "SELECT count(*) AS count_1 FROM (SELECT jobs.job_id AS job_id FROM jobs": "as many as a pipeline may have",
    "SELECT pipelines.pipeline_id, count(*) AS jobs, count(*) FILTER": "the console's page of pipelines",
    "SELECT pipeline_id, job_id, epoch FROM jobs WHERE status = 'Init' AND NOT parked": "which have lost their task",
}
READS_ALL = "it reads all of"
Statement = tuple[str, Any]


@contextmanager
def captured(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The statements that are sent in the block by anybody in this process, with parameters of one time each."""
    seen: dict[str, Any] = {}
    with monkeypatch.context() as patches:
        for cursor in (psycopg.Cursor, psycopg.AsyncCursor):
            patches.setattr(cursor, "execute", _noting(cursor.execute, seen))
        yield seen


def _noting(execute: Any, seen: dict[str, Any]) -> Any:
    def noting(self: Any, query: Any, params: Any = None, **options: Any) -> Any:
        seen.setdefault(query if isinstance(query, str) else query.as_string(None), params)
        return execute(self, query, params, **options)

    return noting


def explained(connection: psycopg.Connection[Any], query: str, params: Any) -> dict[str, Any]:
    """The plan of a statement, with what it has read; what it did is undone."""
    for kind in ("ANALYZE, BUFFERS, ", ""):
        try:
            row = connection.execute(f"EXPLAIN ({kind}FORMAT JSON) {query}", params).fetchone()
            assert row is not None
            plan: dict[str, Any] = row[0][0]["Plan"]
            return plan
        except (psycopg.errors.IntegrityError, psycopg.errors.RaiseException):
            # it is there already, or is gone: what it would read shows in the plan all the same
            pass
        finally:
            connection.rollback()
    raise AssertionError


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


def flaws(plan: dict[str, Any]) -> Iterator[str]:
    """What would become slower with each job that has ended, or that is parked."""
    for node in nodes(plan):
        rows = node.get("Actual Rows", node["Plan Rows"]) * node.get("Actual Loops", 1)
        if (
            node["Node Type"] == "Seq Scan"
            and node["Relation Name"] in TABLES
            and node.get("Actual Loops", 1)
        ):
            yield f"{READS_ALL} {node['Relation Name']}"
        if node["Node Type"] in ("Sort", "Hash") and rows > MOST_ROWS:
            yield f"it sorts or hashes {rows:.0f} rows"
        vain = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        if vain * node.get("Actual Loops", 1) > MOST_ROWS:
            yield f"it looks at {vain} rows of {node.get('Relation Name', node['Node Type'])} in vain"
    blocks = plan.get("Shared Hit Blocks", 0) + plan.get("Shared Read Blocks", 0)
    if blocks > MOST_BLOCKS:
        yield f"it reads {blocks} blocks"


def page_calls(client: Client) -> None:
    """All lists with each of their filters and orders, and a page in the middle."""
    middle = f"{datetime.now(UTC) - timedelta(days=40):%Y-%m-%dT%H:%M:%SZ}"
    for action in ("ListSnapshotJobs", "ListMediaInfoJobs"):
        for order in ("CreateTimeDesc", "CreateTimeAsc"):
            for more in (
                {},
                {"Status": "Init"},
                {"Status": "Fail"},
                {"Status": "Success", "StartOfCreateTime": middle},
                {"EndOfCreateTime": middle},
                {"Status": "Init", "EndOfCreateTime": middle},
                {"StartOfCreateTime": middle, "EndOfCreateTime": middle},
            ):
                told = client.call(action, OrderBy=order, PageSize=100, **more)
                if token := told.get("NextPageToken"):
                    client.call(action, OrderBy=order, PageSize=100, NextPageToken=token, **more)
    for order in ("asc", "desc"):
        for more in (
            {},
            {"MediaType": "image"},
            {"BusinessType": "opening"},
            {"Status": "PrepareFail"},
            {"StartTime": middle},
            {"EndTime": middle},
        ):
            told = client.call("ListMediaBasicInfos", SortBy=order, MaxResults=100, **more)
            if token := told.get("NextToken"):
                client.call("ListMediaBasicInfos", SortBy=order, MaxResults=100, NextToken=token, **more)


def standings_of(running: Service) -> Mapping[str, Standing]:
    """What the console's list of pipelines looks at each second."""
    control = PipelineControl(running.assembly.database, running.assembly.queue)
    return control.standings(running.account_id)


def work(running: Service, world: World) -> None:
    """Jobs of all kinds from the submit to the end, tokens, retries, and pipelines that let in few."""
    client = running.client
    limited = client.call("CreatePipeline", Name="one at a time", Speed="Standard", MaxConcurrency=1)[
        "Pipeline"
    ]
    more = {"ScheduleConfig": {"PipelineId": limited["PipelineId"]}}
    jobs = [
        client.submit("oss://local/movie.mp4", f"oss://local/l{n}/{{Count}}.jpg", more=more) for n in range(3)
    ]
    token = {"ClientToken": "the same"}
    assert client.submit(more=token) == client.submit(more=token)
    client.submit("oss://local/nothing.mp4")
    for job_id in jobs:
        client.succeeded(job_id)
    client.call("UpdatePipeline", PipelineId=world.paused_id, Priority=7)
    client.call("UpdatePipeline", PipelineId=world.pipeline_id, Status="Paused")
    client.call("UpdatePipeline", PipelineId=world.pipeline_id, Status="Active")


def look_at_events(running: Service) -> None:
    """What the console looks at for its lists of events and keys, and a sending again of all that failed."""
    history, account_id = running.assembly.event_history, running.account_id
    middle = datetime.now(UTC) - timedelta(days=3), ""
    for state in (None, *get_args(EventState)):
        assert state == "waiting" or len(history.page(account_id, state, size=26)) == 26
        history.page(account_id, state, middle, size=26)
    history.count(account_id)
    running.client.call("SetEventCallback", CallbackURL="https://nowhere.example/", EventTypeList="ALL")
    assert history.send_failed_again(account_id)
    history.send_again(account_id, history.page(account_id, "delivered", size=1)[0].event_id)
    running.client.call("SetEventCallback")
    running.assembly.keys.used_lately(account_id)


@pytest.mark.parametrize("jobs", [SAMPLE, pytest.param(FULL, marks=pytest.mark.full)])
def test_no_statement_looks_through_what_has_ended(
    jobs: int,
    database_url: URL,
    tmp_path: Path,
    film: Clip,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(repair, "_EVERY_S", 0.2)
    monkeypatch.setattr(retention, "_EVERY_S", 0.2)
    with (
        service(
            database_url, tmp_path, slots=1, job_retention_days=79.9, event_retention_days=79.9
        ) as running,
        psycopg.connect(psycopg_dsn(database_url)) as connection,
    ):
        world = populate(running.client, running.folder, film.path)
        pipeline_id = running.assembly.pipelines.of_account(running.account_id, None).pipeline_id
        fill(connection, running.account_id, pipeline_id, jobs=jobs)
        add_waiting(connection, pipeline_id, jobs=LIVE)
        with captured(monkeypatch) as seen:
            for action in CALLS:
                running.client.call(action, **parameters_of(action, world))
            page_calls(running.client)
            assert standings_of(running)[pipeline_id].waiting >= LIVE
            work(running, world)
            look_at_events(running)
            removed = {"kind": "job"}
            registry = running.assembly.metrics.registry
            wait_for(lambda: registry.get_sample_value("stillframe_removed_records_total", removed))
            wait_for(lambda: any("DELETE FROM settled_events" in query for query in seen))
            wait_for(lambda: any("pg_total_relation_size" in query for query in seen))
            wait_for(lambda: any("UPDATE nodes" in query for query in seen))
    with psycopg.connect(psycopg_dsn(database_url)) as connection:
        # only now: those that work would let them in
        add_parked(connection, jobs=PARKED)
        found = {
            " ".join(query.split()): [*flaws(explained(connection, query, params))]
            for query, params in seen.items()
            if query.lstrip().upper().startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"))
        }
    assert len(found) > 80
    for query, why in found.items():
        if query.startswith((*ABOUT_ALL_THAT_WAIT,)):
            found[query] = [flaw for flaw in why if flaw.startswith(READS_ALL)]
    bad = {query: why for query, why in found.items() if why and not query.startswith((*ABOUT_ALL,))}
    assert not bad, "\n\n".join(f"{'; '.join(why)}:\n{query}" for query, why in bad.items())
