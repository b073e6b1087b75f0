"""Log lines with their ids and without secrets; metrics with their units."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from stillframe.media.report import Stats
from stillframe.telemetry import Metrics, bound, configure_logging


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in ("procrastinate", "alembic", "httpx"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture
def output() -> io.StringIO:
    output = io.StringIO()
    configure_logging(format="json", level="info", stream=output)
    return output


def lines(output: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.getvalue().splitlines()]


log = structlog.get_logger("stillframe.test")


def test_a_line_is_one_object_with_the_ids_of_the_work_at_hand(output: io.StringIO) -> None:
    with bound(request_id="R"):
        with bound(job_id="J", slice=3):
            log.info("slice rendered", seconds=1.5)
        log.warning("outside")
    log.error("after")

    first, second, third = lines(output)
    assert first["event"] == "slice rendered"
    assert (first["request_id"], first["job_id"], first["slice"], first["seconds"]) == ("R", "J", 3, 1.5)
    assert (first["level"], first["logger"]) == ("info", "stillframe.test")
    assert first["timestamp"].endswith("Z")
    assert second["request_id"] == "R"
    assert not {"job_id", "slice"} & set(second)
    assert not {"request_id", "job_id", "slice"} & set(third)


def test_libraries_lines_have_the_same_form_and_ids(output: io.StringIO) -> None:
    with bound(job_id="J"):
        logging.getLogger("a.library").warning("port %d is taken", 80)
    (line,) = lines(output)
    assert (line["event"], line["level"], line["logger"]) == ("port 80 is taken", "warning", "a.library")
    assert line["job_id"] == "J"


def test_less_important_lines_are_left_out(output: io.StringIO) -> None:
    log.debug("step")
    logging.getLogger("procrastinate.worker").info("Starting worker")
    assert lines(output) == []


def test_secrets_are_masked_wherever_they_are(output: io.StringIO) -> None:
    log.info(
        "key made",
        access_key_secret="swordfish",
        Signature="swordfish",
        url="postgresql://me:swordfish@db/x",
        headers={"Authorization": "swordfish", "host": "a"},
        tried=["https://u:swordfish@host/"],
    )
    try:
        hidden = "swordfish"
        raise ValueError(len(hidden))
    except ValueError:
        log.exception("failed")
    assert "swordfish" not in output.getvalue()
    first, second = lines(output)
    assert first["headers"] == {"Authorization": "***", "host": "a"}
    assert first["url"] == "postgresql://***@db/x"
    assert second["exception"][0]["exc_type"] == "ValueError"


def test_the_console_form_is_for_people() -> None:
    output = io.StringIO()
    configure_logging(format="console", level="debug", stream=output)
    with bound(job_id="J"):
        log.debug("slice rendered", password="swordfish")
    text = output.getvalue()
    assert "slice rendered" in text
    assert "job_id=J" in text
    assert "swordfish" not in text
    assert "\x1b" not in text


def test_metrics_tell_what_was_counted() -> None:
    metrics = Metrics()
    metrics.queue_tasks.labels("default").set(7)
    metrics.queue_age.labels("default").set(1.5)
    metrics.stage.labels("render").observe(0.2)
    metrics.job_outcomes.labels("Success").inc()
    metrics.note_read("s3", Stats(bytes_read=1000, requests=3))
    metrics.child_kills.labels("memory").inc()
    metrics.retries.labels("render").inc()
    metrics.database_restarts.inc()

    text, content_type = metrics.exposition()
    assert content_type.startswith("text/plain")
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }
    assert samples["stillframe_queue_depth_tasks", "default"] == 7
    assert samples["stillframe_queue_age_seconds", "default"] == 1.5
    assert samples["stillframe_stage_seconds_count", "render"] == 1
    assert samples["stillframe_job_outcomes_total", "Success"] == 1
    assert samples["stillframe_read_bytes_total", "s3"] == 1000
    assert samples["stillframe_read_requests_total", "s3"] == 3
    assert samples["stillframe_child_kills_total", "memory"] == 1
    assert samples["stillframe_retries_total", "render"] == 1
    assert samples["stillframe_database_restarts_total",] == 1


def test_every_metric_has_its_unit_and_a_description() -> None:
    text, _ = Metrics().exposition()
    families = [f for f in text_string_to_metric_families(text.decode()) if f.name.startswith("stillframe_")]
    assert len(families) >= 8
    for family in families:
        name = family.name + ("_total" if family.type == "counter" else "")
        assert name.endswith(("_seconds", "_bytes", "_tasks", "_jobs", "_events", "_nodes", "_total")), name
        assert family.documentation


def test_two_registries_do_not_know_each_other() -> None:
    first, second = Metrics(), Metrics()
    first.database_restarts.inc(5)
    assert second.registry.get_sample_value("stillframe_database_restarts_total") == 0
