"""Where in a policy's document something is wrong."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stillframe.accounts.policies import LONGEST_DOCUMENT, parse_policy
from stillframe.accounts.policy_lines import line_of
from stillframe.errors import ConfigError

GOOD = """{
  "Version": "1",
  "Statement": [
    {"Effect": "Allow", "Action": ["ice:Get*", "ice:List*"], "Resource": "*"},
    {
      "Effect": "Deny",
      "NotAction": [
        "ice:a{[,:",
        "ice:b\\"]}"
      ],
      "Resource": "*",
      "Condition": {
        "IpAddress": {
          "acs:SourceIp": [
            "203.0.113.0/24",
            "2001:db8::/32"
          ]
        }
      }
    }
  ]
}"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("Version", 2),
        ("Statement", 3),
        ("Statement[0]", 4),
        ("Statement[0].Action[1]", 4),
        ("Statement[1]", 5),
        ("Statement[1].NotAction", 7),
        ("Statement[1].NotAction[1]", 9),
        ("Statement[1].Resource", 11),
        ("Statement[1].Condition.IpAddress.acs:SourceIp", 14),
        ("Statement[1].Condition.IpAddress.acs:SourceIp[1]", 16),
        # what is not there is missed in what is around it
        ("Statement[1].Action", 5),
        ("Statement[7].Effect", 3),
        ("Nothing", None),
        ("Policy", None),
    ],
)
def test_each_element_has_its_line(path: str, line: int | None) -> None:
    assert line_of(GOOD, path) == line


@pytest.mark.parametrize(
    ("document", "line"),
    [
        ('{\n"Version": "1",\n"Statement": [\n}', 4),
        ("", 1),
        ('{"Version": "1",\n"Statement": [],\n"Version": "2"}', 3),
        (
            '{"Version": "1", "Statement": [{\n"Effect": "Allow",\n"Action": "ice:*",\n'
            '"Resource": "*",\n"Effect": "Deny"}]}',
            5,
        ),
        ("[" * 6000, None),
        ("[]", None),
        ('{"Version": 1.0,\n"Statement": [NaN]}', None),
    ],
)
def test_what_is_said_of_a_document_has_its_line(document: str, line: int | None) -> None:
    with pytest.raises(ConfigError) as error:
        parse_policy(document)
    assert line_of(document, error.value.path) == line


def test_a_document_that_is_too_long_is_not_walked() -> None:
    depth, key = 50, "k" * 64
    document = f'{{"{key}":' * depth + "[" + "0," * 20_000 + "0]" + "}" * depth
    with pytest.raises(ConfigError) as error:
        parse_policy(document)
    tracemalloc.start()
    try:
        assert line_of(document, error.value.path) is None
        assert tracemalloc.get_traced_memory()[1] < len(document)
    finally:
        tracemalloc.stop()


def test_the_longest_document_is_walked() -> None:
    document = '{"Version": "1",\n"Statement": []}'
    assert line_of(document.ljust(LONGEST_DOCUMENT), "Statement") == 2


@settings(max_examples=40)
@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_walked_to_its_end(value: object) -> None:
    text = json.dumps({"Statement": value, "Last": 0}, indent=1)
    assume(len(text) <= LONGEST_DOCUMENT)
    assert line_of(text, "Last") == text.count("\n")
