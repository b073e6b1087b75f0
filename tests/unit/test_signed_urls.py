"""Signed links: what a token is good for, until when, and that nothing else than what was signed passes."""

from __future__ import annotations

import string
from urllib.parse import unquote, urljoin

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stillframe.storage.signed_urls import (
    Denial,
    Grant,
    Kind,
    Scope,
    scope_of,
    sign,
    signed_path,
    verify,
)

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
NOW = 1_800_000_000
GOOD = Grant(NOW + 60)
ALPHABET = string.ascii_letters + string.digits + "-_"

FILE = Scope("local", "a/x.jpg", "file")
TRACK = Scope("local", "a/x", "track")
FOLDER = Scope("local", "a/x/", "folder")

TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=20
).filter(lambda text: text not in (".", ".."))
OBJECT_KEYS = st.lists(TEXT, min_size=1, max_size=4).map("/".join)
BUCKETS = st.text(string.ascii_lowercase + string.digits + "-", min_size=3, max_size=12)


def ask(scope: Scope, bucket: str, key: str, now: float = NOW) -> Grant | Denial:
    return verify(sign(scope, NOW + 60, KEY), bucket, key, now=now, signing_keys=[KEY])


@pytest.mark.parametrize(
    ("scope", "key"),
    [
        (FILE, "a/x.jpg"),
        (TRACK, "a/x.vtt"),
        (TRACK, "a/x.VTT"),
        (TRACK, "a/x/snapshot-tile-00001.jpg"),
        (TRACK, "a/x/b/c.jpg"),
        (FOLDER, "a/x/y.jpg"),
        (FOLDER, "a/x/y/z.jpg"),
        (Scope("local", "ä%2e/ü", "track"), "ä%2e/ü.vtt"),
    ],
)
def test_what_a_scope_covers(scope: Scope, key: str) -> None:
    assert ask(scope, "local", key) == GOOD


@pytest.mark.parametrize(
    ("scope", "bucket", "key"),
    [
        pytest.param(FILE, "other", "a/x.jpg", id="another bucket"),
        pytest.param(FILE, "loca", "la/x.jpg", id="the same letters in another bucket"),
        pytest.param(FILE, "local", "a/x.jpg2", id="a file's name goes on"),
        pytest.param(FILE, "local", "a/x.jpg/y", id="below a file"),
        pytest.param(FILE, "local", "a/x.jp", id="a part of a file's name"),
        pytest.param(FILE, "local", "", id="no key"),
        pytest.param(TRACK, "local", "a/x", id="a track's stem"),
        pytest.param(TRACK, "local", "a/x.jpg", id="beside a track"),
        pytest.param(TRACK, "local", "a/xy.vtt", id="a track that starts with the same letters"),
        pytest.param(TRACK, "local", "a/xy/secret.jpg", id="a folder that starts with the same letters"),
        pytest.param(TRACK, "local", "a/x.vtt/secret.jpg", id="below a track"),
        pytest.param(TRACK, "local", "a/x-private/secret.jpg", id="a folder whose name goes on"),
        pytest.param(TRACK, "local", "b/x/secret.jpg", id="another folder"),
        pytest.param(TRACK, "local", "a/x/", id="the folder of a track"),
        pytest.param(TRACK, "local", "a/x/../secret.jpg", id="up from a track"),
        pytest.param(TRACK, "local", "a/x/./secret.jpg", id="a dot"),
        pytest.param(TRACK, "local", "a/x//secret.jpg", id="an empty part"),
        pytest.param(TRACK, "other", "a/x.vtt", id="a track in another bucket"),
        pytest.param(FOLDER, "local", "a/x/", id="a folder itself"),
        pytest.param(FOLDER, "local", "a/x", id="a folder without its slash"),
        pytest.param(FOLDER, "local", "a/xy/z.jpg", id="another folder with the same letters"),
        pytest.param(FOLDER, "local", "a/x/../secret.jpg", id="up from a folder"),
        pytest.param(FOLDER, "local", "a/x/y/..", id="up at the end"),
        pytest.param(Scope("local", "a/x", "folder"), "local", "a/xy", id="a folder that is none"),
    ],
)
def test_what_a_scope_does_not_cover(scope: Scope, bucket: str, key: str) -> None:
    assert ask(scope, bucket, key) is Denial.INVALID


@pytest.mark.parametrize(
    ("key", "scope"),
    [
        ("a/x.jpg", Scope("local", "a/x.jpg", "file")),
        ("a/x.vtt", Scope("local", "a/x", "track")),
        ("x.VTT", Scope("local", "x", "track")),
        ("a/.vtt", Scope("local", "a/.vtt", "file")),
        (".vtt", Scope("local", ".vtt", "file")),
        ("vtt", Scope("local", "vtt", "file")),
    ],
)
def test_the_least_scope_of_an_object(key: str, scope: Scope) -> None:
    assert scope_of("local", key) == scope
    assert scope.covers("local", key)


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
    assert ask(FILE, "local", "a/x.jpg", now) == found


def test_what_was_never_good_is_not_called_expired() -> None:
    assert ask(FILE, "local", "a/y.jpg", NOW + 100) is Denial.INVALID


def test_a_moment_after_2106() -> None:
    token = sign(FILE, 2**33 + 5, KEY)
    assert verify(token, "local", "a/x.jpg", now=2**33, signing_keys=[KEY]) == Grant(2**33 + 5)


def test_a_path() -> None:
    path = signed_path("local", "a b/ü#?%41+.jpg", expires_at=NOW + 60, signing_key=KEY)
    empty, files, token, bucket, key = path.split("/", 4)

    assert (empty, files, bucket) == ("", "files", "local")
    assert key == "a%20b/%C3%BC%23%3F%2541%2B.jpg"
    assert len(token) == 32
    assert verify(token, bucket, unquote(key), now=NOW, signing_keys=[KEY]) == GOOD


def test_a_relative_name_in_a_track_is_good_under_the_same_token() -> None:
    path = signed_path("local", "a/x y.vtt", expires_at=NOW + 60, signing_key=KEY)
    picture = urljoin(f"https://example.com{path}", "x%20y/snapshot-tile-00001.jpg#xywh=0,0,160,90")
    _, _, _, _, token, bucket, key = picture.partition("#")[0].split("/", 6)

    assert verify(token, bucket, unquote(key), now=NOW, signing_keys=[KEY]) == GOOD


def test_a_wider_scope_may_be_given_and_another_may_not() -> None:
    path = signed_path("local", "a/x/y.jpg", expires_at=NOW + 60, signing_key=KEY, scope=FOLDER)

    token = path.split("/")[2]
    assert verify(token, "local", "a/x/z.jpg", now=NOW, signing_keys=[KEY]) == GOOD
    with pytest.raises(ValueError, match="does not cover"):
        signed_path("local", "b/y.jpg", expires_at=NOW + 60, signing_key=KEY, scope=FOLDER)


def test_keys_can_be_changed() -> None:
    token = sign(FILE, NOW + 60, OTHER_KEY)

    assert verify(token, "local", "a/x.jpg", now=NOW, signing_keys=[KEY, OTHER_KEY]) == GOOD
    assert verify(token, "local", "a/x.jpg", now=NOW, signing_keys=[KEY]) is Denial.INVALID
    assert verify(token, "local", "a/x.jpg", now=NOW, signing_keys=[]) is Denial.INVALID


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16 bytes, this one 15"):
        sign(FILE, NOW, b"k" * 15)


@pytest.mark.parametrize("place", range(32))
def test_no_character_can_be_changed(place: int) -> None:
    token = sign(TRACK, NOW + 60, KEY)
    for other in ALPHABET.replace(token[place], ""):
        changed = token[:place] + other + token[place + 1 :]
        assert verify(changed, "local", "a/x.vtt", now=0, signing_keys=[KEY]) is Denial.INVALID


@pytest.mark.parametrize(
    "change",
    [
        lambda token: "",
        lambda token: token[:-1],
        lambda token: token + "A",
        lambda token: token + "=",
        lambda token: token + "\n",
        lambda token: " " + token[1:],
        lambda token: token[:-1] + "é",
        lambda token: token.swapcase(),
        lambda token: "A" * 32,
        lambda token: "_" * 32,
    ],
)
def test_what_is_no_token(change: object) -> None:
    token = sign(FILE, NOW + 60, KEY)
    assert callable(change)
    assert verify(change(token), "local", "a/x.jpg", now=0, signing_keys=[KEY]) is Denial.INVALID


@given(token=st.text(ALPHABET, min_size=32, max_size=32), bucket=BUCKETS, key=OBJECT_KEYS)
def test_no_token_is_guessed(token: str, bucket: str, key: str) -> None:
    assert verify(token, bucket, key, now=0, signing_keys=[KEY]) is Denial.INVALID


@given(bucket=BUCKETS, key=OBJECT_KEYS, expires_at=st.integers(1, 2**40 - 1))
def test_every_object_can_be_signed(bucket: str, key: str, expires_at: int) -> None:
    _, _, token, quoted_bucket, quoted_key = signed_path(
        bucket, key, expires_at=expires_at, signing_key=KEY
    ).split("/", 4)

    found = verify(token, unquote(quoted_bucket), unquote(quoted_key), now=expires_at - 1, signing_keys=[KEY])
    assert found == Grant(expires_at)
    assert verify(token, bucket, key, now=expires_at, signing_keys=[KEY]) is Denial.EXPIRED


@given(
    bucket=BUCKETS,
    key=OBJECT_KEYS,
    other_bucket=BUCKETS,
    other_key=OBJECT_KEYS,
    kind=st.sampled_from(["file", "track"]),
)
def test_no_other_object_passes(bucket: str, key: str, other_bucket: str, other_key: str, kind: Kind) -> None:
    scope = Scope(bucket, key, kind)
    assume(not scope.covers(other_bucket, other_key))

    assert ask(scope, other_bucket, other_key) is Denial.INVALID
    assert ask(scope, bucket, f"{key}/../{other_key}") is Denial.INVALID
    assert ask(scope, bucket, f"{key}{other_key.replace('/', '-')}x") is Denial.INVALID


def test_a_key_that_cannot_be_written_in_utf8() -> None:
    assert ask(FILE, "local", "\ud800") is Denial.INVALID
    assert ask(FILE, "\ud800", "a/x.jpg") is Denial.INVALID
