"""Ranges and conditions of a request for a file, as RFC 9110 has them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stillframe.server.conditions import Answer, Entity, answer

FILE = Entity('"abc"', 1_700_000_000.7, 1000)
DATE, BEFORE, AFTER = (
    "Tue, 14 Nov 2023 22:13:20 GMT",
    "Tue, 14 Nov 2023 22:13:19 GMT",
    "Tue, 14 Nov 2023 22:13:21 GMT",
)
WHOLE = Answer(200, 0, 1000)
PART = Answer(206, 0, 10)
RANGE = {"range": "bytes=0-9"}


def test_the_date() -> None:
    assert FILE.last_modified == DATE


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bytes=0-9", PART),
        ("bytes=0-0", Answer(206, 0, 1)),
        ("bytes=990-", Answer(206, 990, 10)),
        ("bytes=0-", Answer(206, 0, 1000)),
        ("bytes=999-999", Answer(206, 999, 1)),
        ("bytes=990-5000", Answer(206, 990, 10)),
        ("bytes=-1", Answer(206, 999, 1)),
        ("bytes=-1000", Answer(206, 0, 1000)),
        ("bytes=-5000", Answer(206, 0, 1000)),
        (" Bytes = 0 - 9 ", PART),
        ("bytes=0-" + "9" * 5000, Answer(206, 0, 1000)),
        ("bytes=1000-", Answer(416)),
        ("bytes=1000-2000", Answer(416)),
        ("bytes=-0", Answer(416)),
        ("bytes=" + "9" * 5000 + "-", Answer(416)),
        ("bytes=9-0", WHOLE),
        ("bytes=-", WHOLE),
        ("bytes=", WHOLE),
        ("bytes", WHOLE),
        ("", WHOLE),
        ("bytes=a-b", WHOLE),
        ("bytes=0x0-0x9", WHOLE),
        ("bytes=--5", WHOLE),
        ("bytes=٠-٩", WHOLE),
        ("frames=0-9", WHOLE),
        ("bytes=0-9,20-29", WHOLE),
    ],
)
def test_ranges(text: str, found: Answer) -> None:
    assert answer("GET", {"range": text}, FILE) == found


@pytest.mark.parametrize("text", ["bytes=0-", "bytes=0-0", "bytes=-1"])
def test_no_range_of_an_empty_file(text: str) -> None:
    assert answer("GET", {"range": text}, replace(FILE, size=0)) == Answer(416)


def test_an_empty_file() -> None:
    assert answer("GET", {}, replace(FILE, size=0)) == Answer(200, 0, 0)


def test_a_range_is_for_get() -> None:
    assert answer("HEAD", RANGE, FILE) == WHOLE


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ('"abc"', PART),
        ('"abd"', WHOLE),
        ('W/"abc"', WHOLE),
        (DATE, PART),
        (BEFORE, WHOLE),
        (AFTER, WHOLE),
        ("", WHOLE),
        ("nonsense", WHOLE),
    ],
)
def test_if_range(condition: str, found: Answer) -> None:
    assert answer("GET", RANGE | {"if-range": condition}, FILE) == found


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"if-none-match": '"abc"'}, Answer(304)),
        ({"if-none-match": 'W/"abc"'}, Answer(304)),
        ({"if-none-match": '"x", "abc" , W/"y"'}, Answer(304)),
        ({"if-none-match": "*"}, Answer(304)),
        ({"if-none-match": '"x"'}, WHOLE),
        ({"if-none-match": "abc"}, WHOLE),
        ({"if-none-match": ""}, WHOLE),
        ({"if-modified-since": DATE}, Answer(304)),
        ({"if-modified-since": AFTER}, Answer(304)),
        ({"if-modified-since": BEFORE}, WHOLE),
        ({"if-modified-since": "yesterday"}, WHOLE),
        ({"if-modified-since": "Tue, 14 Nov 99999999999 22:13:20 GMT"}, WHOLE),
        ({"if-none-match": '"x"', "if-modified-since": DATE}, WHOLE),
        ({"if-none-match": '"abc"', "range": "bytes=0-9"}, Answer(304)),
        ({"if-match": '"abc"'}, WHOLE),
        ({"if-match": "*"}, WHOLE),
        ({"if-match": 'W/"abc"'}, Answer(412)),
        ({"if-match": '"x"', "range": "bytes=0-9"}, Answer(412)),
        ({"if-unmodified-since": DATE}, WHOLE),
        ({"if-unmodified-since": BEFORE}, Answer(412)),
        ({"if-match": '"abc"', "if-unmodified-since": BEFORE}, WHOLE),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_conditions(method: str, headers: dict[str, str], found: Answer) -> None:
    assert answer(method, headers, FILE) == found
