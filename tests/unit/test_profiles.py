"""Which server and key a `job` command uses, and what it says when a profile cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from stillframe.errors import SettingsError
from stillframe.server.address import announced
from stillframe.server.connecting import connect
from stillframe.server.profiles import profiles_path
from stillframe.settings import Settings

FILE = """
[profiles.office]
endpoint = "https://office.example"
access_key_id = "SFoffice"
access_key_secret = "hunter2"

[profiles.home]
endpoint = "home.example:8080"
access_key_id = "SFhome"
access_key_secret = "swordfish"
"""
KEY = {"STILLFRAME_ACCESS_KEY_ID": "SFenv", "STILLFRAME_ACCESS_KEY_SECRET": "trustno1"}
ELSEWHERE = {"STILLFRAME_ENDPOINT": "http://env.example"}
NAMED = {"STILLFRAME_PROFILE": "home"}


def environment(folder: Path, text: str = FILE, mode: int = 0o600, **more: str) -> dict[str, str]:
    path = folder / ".config" / "stillframe" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    path.chmod(mode)
    return {"HOME": str(folder), **more}


@pytest.mark.parametrize(
    ("endpoint", "profile", "variables", "server", "key"),
    [
        (None, "office", {}, "https://office.example", "SFoffice"),
        (None, "office", KEY | ELSEWHERE | NAMED, "https://office.example", "SFoffice"),
        ("http://other.example", "office", KEY | ELSEWHERE, "http://other.example", "SFoffice"),
        ("http://other.example", None, KEY | ELSEWHERE | NAMED, "http://other.example", "SFenv"),
        ("http://other.example", None, NAMED, "http://other.example", "SFhome"),
        (None, None, NAMED, "http://home.example:8080", "SFhome"),
        (None, None, NAMED | KEY, "http://home.example:8080", "SFenv"),
        (None, None, NAMED | ELSEWHERE, "http://env.example", "SFhome"),
        (None, None, KEY | ELSEWHERE, "http://env.example", "SFenv"),
        (None, None, KEY, "http://folder.example", "SFenv"),
        (None, None, KEY | {"STILLFRAME_PROFILE": ""}, "http://folder.example", "SFenv"),
    ],
)
def test_what_comes_first_counts(
    tmp_path: Path,
    endpoint: str | None,
    profile: str | None,
    variables: dict[str, str],
    server: str,
    key: str,
) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    with (
        announced(settings.data_dir, "http://folder.example"),
        connect(settings, endpoint, profile, environment(tmp_path, **variables)) as client,
    ):
        assert (client.endpoint, client.access_key_id) == (server, key)


def test_a_token_without_its_key(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "STILLFRAME_SECURITY_TOKEN": "secret", **ELSEWHERE}
    with pytest.raises(
        SettingsError, match=r"STILLFRAME_SECURITY_TOKEN .* but STILLFRAME_ACCESS_KEY_ID is not"
    ):
        connect(Settings(), None, None, environ)


def test_a_profile_that_is_not_needed_is_not_looked_for(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "STILLFRAME_PROFILE": "nowhere", **KEY, **ELSEWHERE}
    with connect(Settings(), None, None, environ) as client:
        assert client.endpoint == "http://env.example"


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        pytest.param(FILE, 0o644, ["office", "chmod 600", "config.toml"], id="readable by all"),
        pytest.param(FILE, 0o640, ["chmod 600"], id="readable by the group"),
        pytest.param(
            FILE.replace("office", "offices"), 0o600, ["did you mean offices?", "--profile"], id="a slip"
        ),
        pytest.param(FILE.replace("office", "work"), 0o600, ["it has: home, work"], id="another"),
        pytest.param("", 0o600, ["it has: none"], id="empty"),
        pytest.param(FILE.replace('"hunter2"', "hunter2"), 0o600, ["is not TOML", "line 5"], id="not TOML"),
        pytest.param(
            FILE.replace('"hunter2"', "12345678"), 0o600, ["access_key_secret", "in quotes"], id="number"
        ),
        pytest.param(
            FILE.replace('"hunter2"', '""'), 0o600, ["office.access_key_secret", "is empty"], id="empty"
        ),
        pytest.param(FILE.replace("_secret", "_id"), 0o600, ["is not TOML"], id="a key twice"),
        pytest.param(
            FILE.replace("key_secret", "secret"), 0o600, ["access_key_secret", "is missing"], id="missing"
        ),
        pytest.param(
            FILE.replace('hunter2"', 'x"\nhost = "x"'), 0o600, ["office.host", "is not known"], id="more"
        ),
        pytest.param(FILE.replace("profiles.", ""), 0o600, ["write [profiles.office]"], id="no profiles"),
        pytest.param("profiles = 1", 0o600, ["profiles", "is no table"], id="profiles no table"),
        pytest.param("[profiles]\noffice = 1", 0o600, ["profiles.office", "is no table"], id="no table"),
    ],
)
def test_a_profile_that_cannot_be_used(tmp_path: Path, text: str, mode: int, words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        connect(Settings(), None, "office", environment(tmp_path, text, mode))
    for word in words:
        assert word in str(caught.value)
    for secret in ("hunter2", "12345678", "swordfish"):
        assert secret not in str(caught.value)


def test_no_file_yet(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"STILLFRAME_PROFILE.*there is no .*config.toml yet: write \[profiles"
    ):
        connect(Settings(), None, None, {"HOME": str(tmp_path), "STILLFRAME_PROFILE": "office"})


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    (tmp_path / ".config" / "stillframe" / "config.toml").mkdir(parents=True)
    with pytest.raises(SettingsError, match="is a folder"):
        connect(Settings(), None, "office", {"HOME": str(tmp_path)})


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({"HOME": "/home/me"}, "/home/me/.config/stillframe/config.toml"),
        ({"HOME": "/home/me", "XDG_CONFIG_HOME": "/etc/mine"}, "/etc/mine/stillframe/config.toml"),
        ({"HOME": "/home/me", "XDG_CONFIG_HOME": "mine"}, "/home/me/.config/stillframe/config.toml"),
        ({"HOME": "/home/me", "XDG_CONFIG_HOME": ""}, "/home/me/.config/stillframe/config.toml"),
    ],
)
def test_where_the_file_is(environ: dict[str, str], place: str) -> None:
    assert str(profiles_path(environ)) == place
