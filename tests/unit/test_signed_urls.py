"""Signed links: what a token is good for, until when, and that nothing else than what was signed passes."""

from __future__ import annotations

import string
from urllib.parse import unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stillframe.storage.signed_urls import Denial, Grant, sign, signed_path, verify

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
NOW = 1_800_000_000
GOOD = Grant(NOW + 60)
ALPHABET = string.ascii_letters + string.digits + "-_"
TOKEN = sign("local", "a/x.jpg", NOW + 60, KEY)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


def ask(token: str = TOKEN, bucket: str = "local", key: str = "a/x.jpg", now: float = NOW) -> Grant | Denial:
    return verify(token, bucket, key, now=now, signing_keys=[KEY])


@pytest.mark.parametrize(
    ("bucket", "key"),
    [
        pytest.param("other", "a/x.jpg", id="another bucket"),
        pytest.param("loca", "la/x.jpg", id="the same letters in another bucket"),
        pytest.param("local/a", "x.jpg", id="a part of the key in the bucket"),
        pytest.param("local", "a/x.jpg2", id="the name goes on"),
        pytest.param("local", "a/x.jpg/y", id="below it"),
        pytest.param("local", "a/x.jp", id="a part of the name"),
        pytest.param("local", "a/X.jpg", id="another case"),
        pytest.param("local", "a/./x.jpg", id="another way to it"),
        pytest.param("local", "a/y/../x.jpg", id="another way to it, up and down"),
        pytest.param("local", "", id="no key"),
        pytest.param("", "a/x.jpg", id="no bucket"),
        pytest.param("local", "\ud800", id="a key that cannot be written in UTF-8"),
        pytest.param("\ud800", "a/x.jpg", id="such a bucket"),
    ],
)
def test_a_link_is_good_for_its_object_alone(bucket: str, key: str) -> None:
    assert ask() == GOOD
    assert ask(TOKEN, bucket, key) is Denial.INVALID


@pytest.mark.parametrize(
    ("now", "found"),
    [
        (0, GOOD),
        (NOW, GOOD),
        (NOW + 59.9, GOOD),
        (NOW + 60, Denial.EXPIRED),
        (NOW + 60.1, Denial.EXPIRED),
        (NOW + 10**9, Denial.EXPIRED),
    ],
)
def test_a_link_expires(now: float, found: Grant | Denial) -> None:
    assert ask(now=now) == found


def test_what_was_never_good_is_not_called_expired() -> None:
    assert ask(TOKEN, key="a/y.jpg", now=NOW + 100) is Denial.INVALID


def test_a_moment_after_2106() -> None:
    token = sign("local", "a/x.jpg", 2**33 + 5, KEY)
    assert ask(token, now=2**33) == Grant(2**33 + 5)


def test_a_path() -> None:
    path = signed_path("local", "a b/ü#?%41+.jpg", expires_at=NOW + 60, signing_key=KEY)
    empty, files, token, bucket, key = path.split("/", 4)

    assert (empty, files, bucket) == ("", "files", "local")
    assert key == "a%20b/%C3%BC%23%3F%2541%2B.jpg"
    assert len(token) == 32
    assert ask(token, bucket, unquote(key)) == GOOD


def test_keys_can_be_changed() -> None:
    token = sign("local", "a/x.jpg", NOW + 60, OTHER_KEY)
    for signing_keys, found in (
        ([KEY, OTHER_KEY], GOOD),
        ([OTHER_KEY, KEY], GOOD),
        ([KEY], Denial.INVALID),
        ([], Denial.INVALID),
    ):
        assert verify(token, "local", "a/x.jpg", now=NOW, signing_keys=signing_keys) == found


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16 bytes, this one 15"):
        sign("local", "a/x.jpg", NOW, b"k" * 15)


@pytest.mark.parametrize("place", range(32))
def test_no_character_can_be_changed(place: int) -> None:
    for other in ALPHABET.replace(TOKEN[place], ""):
        assert ask(TOKEN[:place] + other + TOKEN[place + 1 :], now=0) is Denial.INVALID


@pytest.mark.parametrize(
    "token",
    [
        "",
        TOKEN[:-1],
        *(TOKEN + more for more in ("A", "=", "\n")),
        " " + TOKEN[1:],
        TOKEN[:-1] + "é",
        TOKEN.swapcase(),
        "A" * 32,
        "_" * 32,
    ],
)
def test_what_is_no_token(token: str) -> None:
    assert ask(token, now=0) is Denial.INVALID


@given(token=st.text(ALPHABET, min_size=32, max_size=32), bucket=TEXT, key=TEXT)
def test_no_token_is_guessed(token: str, bucket: str, key: str) -> None:
    assert ask(token, bucket, key, now=0) is Denial.INVALID


@given(bucket=TEXT, key=TEXT, expires_at=st.integers(1, 2**40 - 1))
def test_every_object_can_be_signed(bucket: str, key: str, expires_at: int) -> None:
    _, _, token, quoted_bucket, quoted_key = signed_path(
        bucket, key, expires_at=expires_at, signing_key=KEY
    ).split("/", 4)

    assert ask(token, unquote(quoted_bucket), unquote(quoted_key), expires_at - 1) == Grant(expires_at)
    assert ask(token, bucket, key, expires_at) is Denial.EXPIRED


@given(bucket=TEXT, key=TEXT, other_bucket=TEXT, other_key=TEXT)
def test_no_other_object_passes(bucket: str, key: str, other_bucket: str, other_key: str) -> None:
    assume((bucket, key) != (other_bucket, other_key))
    assert ask(sign(bucket, key, NOW + 60, KEY), other_bucket, other_key) is Denial.INVALID
