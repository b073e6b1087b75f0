"""Links to tracks: what a token says, until when, and that nothing else than what was signed passes."""

from __future__ import annotations

import string
from dataclasses import replace
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillframe.storage.signed_urls import Denial
from stillframe.storage.track_links import TrackGrant, track_path, verify_track

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
NOW = 1_800_000_000
GRANT = TrackGrant("1234567890123456", "films", "a/ü x.vtt", NOW + 60)
ALPHABET = string.ascii_letters + string.digits + "-_"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def token_of(grant: TrackGrant, key: bytes = KEY) -> str:
    return track_path(grant, key).split("/")[2]


def ask(token: str, name: str = GRANT.name, now: float = NOW, key: bytes = KEY) -> TrackGrant | Denial:
    return verify_track(token, name, now=now, signing_keys=[OTHER_KEY, key])


def test_a_path() -> None:
    empty, tracks, token, name = track_path(GRANT, KEY).split("/")
    assert (empty, tracks, name) == ("", "tracks", "%C3%BC%20x.vtt")
    assert set(token) <= set(ALPHABET)
    assert ask(token, unquote(name)) == GRANT


@given(account=TEXT, bucket=TEXT, key=TEXT, expires_at=st.integers(NOW + 1, 2**63))
def test_every_track_can_be_signed(account: str, bucket: str, key: str, expires_at: int) -> None:
    grant = TrackGrant(account, bucket, key, expires_at)
    assert ask(token_of(grant), grant.name) == grant


def test_the_longest_key() -> None:
    grant = replace(GRANT, key="x" * 1019 + ".vtt")
    assert ask(token_of(grant), grant.name) == grant


@pytest.mark.parametrize(
    ("now", "found"),
    [(0, GRANT), (NOW + 59.9, GRANT), (NOW + 60, Denial.EXPIRED), (NOW + 10**9, Denial.EXPIRED)],
)
def test_a_link_expires(now: float, found: TrackGrant | Denial) -> None:
    assert ask(token_of(GRANT), now=now) == found


def test_what_was_never_good_is_not_called_expired() -> None:
    assert ask(token_of(GRANT), "y.vtt", NOW + 100) is Denial.INVALID
    assert ask(token_of(GRANT, b"x" * 32), now=NOW + 100) is Denial.INVALID


def test_no_character_can_be_changed() -> None:
    token = token_of(GRANT)
    for place, was in enumerate(token):
        for other in ALPHABET.replace(was, ""):
            assert ask(token[:place] + other + token[place + 1 :]) is Denial.INVALID


@pytest.mark.parametrize(
    "token",
    ["", "A", "é", "=", "AAAA", "A" * 31, "A" * 32, "A" * 36, "A" * 5000, token_of(GRANT)[:-1]]
    + [token_of(GRANT) + more for more in ("A", "=", "\n", "AAAA")]
    + [token_of(GRANT).swapcase(), " " + token_of(GRANT)],
)
def test_what_is_no_token(token: str) -> None:
    assert ask(token) is Denial.INVALID


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16 bytes, this one 15"):
        track_path(GRANT, b"k" * 15)
