"""Links that a store's bucket signs: to where, with which keys, and for how long. Nothing is asked of the store."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from stillframe.errors import SourceError
from stillframe.storage.places import open_bucket, parse_place

PROFILE = "[films]\naws_access_key_id = {}\naws_secret_access_key = secret\n"


@pytest.fixture(autouse=True)
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "credentials"
    path.write_text(PROFILE.format("FIRST"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    return path


def signed(place: str, *keys: str, seconds: int = 600) -> list[str]:
    links = open_bucket(parse_place(place), "films").links(keys or ("a.jpg",), seconds)
    assert links is not None
    return [*links]


@pytest.mark.parametrize(
    ("place", "address"),
    [
        ("s3://films?profile=films", "https://films.s3.us-east-1.amazonaws.com/a.jpg"),
        (
            "s3://films/b c?profile=films&region=eu-west-1",
            "https://films.s3.eu-west-1.amazonaws.com/b%20c/a.jpg",
        ),
        ("s3://films?profile=films&endpoint=http://10.0.0.5:9000", "http://10.0.0.5:9000/films/a.jpg"),
        (
            "s3://films?profile=films&endpoint=http://10.0.0.5:9000&public_endpoint=https://s3.example.com",
            "https://s3.example.com/films/a.jpg",
        ),
        (
            "s3://films?profile=films&style=virtual&endpoint=http://10.0.0.5&public_endpoint=https://s3.example.com",
            "https://films.s3.example.com/a.jpg",
        ),
    ],
)
def test_where_they_lead(place: str, address: str) -> None:
    (link,) = signed(place)
    assert link.partition("?")[0] == address


def test_keys_are_percent_encoded() -> None:
    keys = ["a b/ü+%41&c#?.jpg", "'\"<>|*:~\n.jpg"]
    links = signed("s3://films?profile=films", *keys)
    assert all(link.isascii() and not set(link) & set(' "<>|\n#') for link in links)
    assert [unquote(urlsplit(link).path) for link in links] == [f"/{key}" for key in keys]


@pytest.mark.parametrize("seconds", [1, 129_600, 604_800])
def test_how_long(seconds: int) -> None:
    (link,) = signed("s3://films?profile=films", seconds=seconds)
    assert parse_qs(urlsplit(link).query)["X-Amz-Expires"] == [str(seconds)]


@pytest.mark.parametrize(("seconds", "is_signed"), [(1, True), (3500, True), (3601, False), (604_801, False)])
def test_keys_that_end_sooner_sign_nothing(
    profiles: Path, tmp_path: Path, seconds: int, is_signed: bool
) -> None:
    """A link is good for as long as was promised, or is none."""
    ends = datetime.now(UTC) + timedelta(hours=1)
    lent = {"Version": 1, "AccessKeyId": "LENT", "SecretAccessKey": "secret", "Expiration": ends.isoformat()}
    (tmp_path / "lent.json").write_text(json.dumps(lent))
    profiles.write_text(f"[films]\ncredential_process = cat '{tmp_path / 'lent.json'}'\n")
    links = open_bucket(parse_place("s3://films?profile=films"), "films").links(["a.jpg"], seconds)
    assert (links is not None) == is_signed


def test_keys_that_change_count_at_once(profiles: Path) -> None:
    for key in ("FIRST", "SECOND"):
        profiles.write_text(PROFILE.format(key))
        (link,) = signed("s3://films?profile=films")
        assert parse_qs(urlsplit(link).query)["X-Amz-Credential"][0].startswith(f"{key}/")
        assert "X-Amz-Security-Token" not in link
    profiles.write_text(f"{PROFILE.format('THIRD')}aws_session_token = to/ken+\n")
    (link,) = signed("s3://films?profile=films")
    assert parse_qs(urlsplit(link).query)["X-Amz-Security-Token"] == ["to/ken+"]


def test_without_keys(profiles: Path) -> None:
    profiles.write_text("")
    with pytest.raises(SourceError, match="there is no section") as caught:
        signed("s3://films?profile=films")
    assert not caught.value.transient


def test_from_many_threads() -> None:
    keys = [f"{number}.jpg" for number in range(50)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: signed("s3://films?profile=films", *keys), range(8)))
    for links in found:
        assert [urlsplit(link).path for link in links] == [f"/{key}" for key in keys]
