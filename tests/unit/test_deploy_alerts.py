"""deploy/prometheus/alerts.yaml: each expression is PromQL, of metrics and labels that a process of ours tells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import promql_parser
import pytest
import yaml

from stillframe.telemetry import Metrics
from told import DEPLOY

DURATION = {"type": "string", "pattern": r"^([0-9]+(ms|[smhdwy]))+$"}
TEXT = {"type": "string", "minLength": 1}
#: https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
RULES = {
    "type": "object",
    "additionalProperties": False,
    "required": ["groups"],
    "properties": {
        "groups": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "rules"],
                "properties": {
                    "name": TEXT,
                    "interval": DURATION,
                    "rules": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["alert", "expr", "labels", "annotations"],
                            "properties": {
                                "alert": {"type": "string", "pattern": "^Stillframe[A-Za-z]+$"},
                                "expr": TEXT,
                                "for": DURATION,
                                "keep_firing_for": DURATION,
                                "labels": {
                                    "type": "object",
                                    "additionalProperties": False,
                                    "required": ["severity"],
                                    "properties": {"severity": {"enum": ["critical", "warning"]}},
                                },
                                "annotations": {
                                    "type": "object",
                                    "additionalProperties": False,
                                    "required": ["summary", "description"],
                                    "properties": {"summary": TEXT, "description": TEXT},
                                },
                            },
                        },
                    },
                },
            },
        }
    },
}
FOUND: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text(encoding="utf-8"))
ALERTS = {rule["alert"]: rule for group in FOUND["groups"] for rule in group["rules"]}
SCALED = next(yaml.safe_load_all((DEPLOY / "kubernetes" / "4-autoscaling.yaml").read_text(encoding="utf-8")))
EXPRESSIONS = {
    **{name: rule["expr"] for name, rule in ALERTS.items()},
    "autoscaling": SCALED["spec"]["triggers"][0]["metadata"]["query"],
}


def told() -> dict[str, set[str]]:
    """The series that a process tells, with their labels."""
    found: dict[str, set[str]] = {}
    for owner in Metrics().registry._collector_to_names:
        labels = {*getattr(owner, "_labelnames", ())}
        for family in owner.describe() if hasattr(owner, "describe") else owner.collect():
            endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
            for ending in endings.get(family.type, [""]):
                found[family.name + ending] = labels | ({"le"} if ending == "_bucket" else set())
    return found


TOLD = told()


def selectors(node: Any) -> Iterator[Any]:
    """Every choice of series in an expression, and in what it is made of."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("lhs", "rhs", "expr", "param", "vector_selector"):
        if getattr(node, name, None) is not None:
            yield from selectors(getattr(node, name))
    for argument in getattr(node, "args", None) or ():
        yield from selectors(argument)


def test_it_is_a_file_of_rules() -> None:
    jsonschema.validate(FOUND, RULES)
    assert len(ALERTS) == sum(len(group["rules"]) for group in FOUND["groups"])


def test_a_process_tells_what_is_known_here() -> None:
    assert TOLD["stillframe_queue_depth_tasks"] == {"pipeline"}
    assert TOLD["stillframe_stage_seconds_count"] == {"stage"}
    assert "process_open_fds" in TOLD
    assert "stillframe_stage_seconds" not in TOLD


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_expression_is_of_what_there_is(name: str) -> None:
    expression = EXPRESSIONS[name]
    found = [*selectors(promql_parser.parse(expression))]
    # whoever walks the tree has missed none
    assert len(found) == len(re.findall(r"\b(?:stillframe|process)_\w+", expression)) > 0
    for selector in found:
        assert selector.name in TOLD
        assert {matcher.name for matcher in selector.matchers.matchers} <= TOLD[selector.name]
    grouped = {label.strip() for by in re.findall(r"\bby \(([^)]*)\)", expression) for label in by.split(",")}
    assert grouped <= set().union(*(TOLD[selector.name] for selector in found))


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_other_programs_raise_no_alarm(name: str) -> None:
    """What each process tells of itself, whoever it is, counts beside something that only ours tell."""
    tree = promql_parser.parse(EXPRESSIONS[name])
    if any(not selector.name.startswith("stillframe_") for selector in selectors(tree)):
        assert str(tree.op) == "and"
        assert {selector.name.partition("_")[0] for selector in selectors(tree.rhs)} == {"stillframe"}


def test_what_is_no_expression_is_noticed() -> None:
    with pytest.raises(ValueError):
        promql_parser.parse("sum(rate(stillframe_retries_total))")
