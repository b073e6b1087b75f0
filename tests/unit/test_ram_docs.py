"""docs/ram.md tells the truth: its examples are policies, its tables name each operator, key and managed policy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stillframe.accounts.policies import MANAGED, AccessRequest, evaluate, parse_policy
from stillframe.accounts.policy_conditions import GLOBAL_KEYS, OPERATORS

TEXT = (Path(__file__).parents[2] / "docs" / "ram.md").read_text(encoding="utf-8")
OFFICE, OVER_HTTPS = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
KINDS = {"texts": "String", "numbers": "Numeric", "dates": "Date", "truth": "Bool", "addresses": "IpAddress"}


def rows(heading: str) -> list[list[str]]:
    """The cells of the table with this heading, without the heading."""
    table = TEXT[TEXT.index(heading) :].partition("\n\n")[0]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines()[2:]]


def test_every_operator_has_its_place() -> None:
    told = {
        operator: KINDS[kind]
        for kind, operators in rows("| of | operators |")
        for operator in re.findall(r"`([A-Z]\w+)`", operators)
    }
    assert told == {name: operator.kind for name, operator in OPERATORS.items()}


def test_every_key_has_its_row() -> None:
    told = {
        key.strip("`"): {KINDS[kind] for kind in kinds.split(", ")}
        for key, _, kinds in rows("| key | what it is | operators of |")
    }
    assert told == {key: {*kinds} for key, kinds in GLOBAL_KEYS.items()}


def test_every_managed_policy_has_its_row() -> None:
    assert [name.strip("`") for name, _ in rows("| managed policy |")] == [*MANAGED]


@pytest.mark.parametrize(
    ("document", "action", "context", "expected"),
    [
        (OFFICE, "SubmitSnapshotJob", {"acs:SourceIp": "203.0.113.9"}, True),
        (OFFICE, "ListSnapshotJobs", {"acs:SourceIp": "2001:db8::7"}, True),
        (OFFICE, "GetSnapshotUrls", {"acs:SourceIp": "203.0.113.9"}, True),
        (OFFICE, "DeleteSnapshotJob", {"acs:SourceIp": "203.0.113.9"}, False),
        (OFFICE, "SubmitSnapshotJob", {"acs:SourceIp": "198.51.100.7"}, False),
        (OVER_HTTPS, "SubmitSnapshotJob", {}, True),
        (OVER_HTTPS, "DeleteSnapshotJob", {}, False),
        (OVER_HTTPS, "SubmitSnapshotJob", {"acs:SecureTransport": "false"}, False),
        (OVER_HTTPS, "SubmitSnapshotJob", {"acs:CurrentTime": "2028-01-01T00:00:00Z"}, False),
    ],
)
def test_the_examples_do_what_is_said_of_them(
    document: str, action: str, context: dict[str, str], expected: bool
) -> None:
    usual = {"acs:SecureTransport": "true", "acs:CurrentTime": "2026-11-22T17:30:42Z"}
    request = AccessRequest(f"ice:{action}", "cn-shanghai", "1001", usual | context)
    assert evaluate(request, [parse_policy(document)]).is_allowed is expected
