"""Settings: where each comes from, which wins, and what a mistake is told."""

from __future__ import annotations

import os
from ipaddress import ip_network
from pathlib import Path

import pytest

from stillframe.errors import SettingsError
from stillframe.settings import (
    OTHER_VARIABLES,
    LoadedSettings,
    Settings,
    load_settings,
    option_of,
    variable_of,
)


def load(
    tmp_path: Path, text: str = "", environ: dict[str, str] | None = None, **options: object
) -> LoadedSettings:
    """Settings with a file of this text."""
    file = tmp_path / "stillframe.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file, environ or {}, **options)


def test_no_setting_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = load_settings(environ={"PATH": "/bin", "HOME": "/"})
    assert loaded.file is None
    assert set(loaded.origins.values()) == {"default"}
    settings = loaded.settings
    assert (settings.host, settings.port, settings.region) == ("127.0.0.1", 8080, "cn-shanghai")
    assert settings.data_dir == Path("stillframe-data")
    assert settings.sandbox == "required"
    assert 1 <= settings.slots <= (os.cpu_count() or 1)
    assert settings.database_url is settings.public_url is None


def test_an_option_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        "port = 1\nhost = 'file'\nregion = 'cn-file'\n",
        {"STILLFRAME_PORT": "2", "STILLFRAME_HOST": "environment"},
        port=3,
        host=None,
    )
    settings = loaded.settings
    assert (settings.port, settings.host, settings.region) == (3, "environment", "cn-file")
    assert loaded.origins["port"] == "--port"
    assert loaded.origins["host"] == "STILLFRAME_HOST"
    assert loaded.origins["region"] == str(tmp_path / "stillframe.toml")
    assert loaded.origins["slots"] == "default"


@pytest.mark.parametrize("how", ["option", "variable", "data folder", "default data folder"])
def test_where_the_file_may_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "stillframe-data" if how == "default data folder" else tmp_path
    folder.mkdir(exist_ok=True)
    file = folder / "stillframe.toml"
    file.write_text("port = 5")
    loaded = {
        "option": lambda: load_settings(file, {}),
        "variable": lambda: load_settings(environ={"STILLFRAME_CONFIG": str(file)}),
        "data folder": lambda: load_settings(environ={"STILLFRAME_DATA_DIR": str(folder)}),
        "default data folder": lambda: load_settings(environ={}),
    }[how]()
    assert loaded.settings.port == 5
    assert loaded.file is not None
    assert loaded.file.samefile(file)


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    loaded = load(tmp_path, environ={"STILLFRAME_PUBLIC_URL": "", "STILLFRAME_PORT": ""})
    assert loaded.settings.public_url is None
    assert loaded.origins["port"] == "default"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trusted_proxies = ['10.0.0.0/8', '::1']", ("10.0.0.0/8", "::1/128")),
        ("trusted_proxies = '127.0.0.1, 192.168.0.0/16'", ("127.0.0.1/32", "192.168.0.0/16")),
        ("trusted_proxies = ''", ()),
        ("trusted_proxies = []", ()),
    ],
)
def test_proxies_are_a_list_or_a_text_with_commas(
    tmp_path: Path, text: str, expected: tuple[str, ...]
) -> None:
    assert load(tmp_path, text).settings.trusted_proxies == tuple(map(ip_network, expected))


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        ("callback_retry_seconds = [60, 600.5]", {}, (60, 600.5)),
        ("callback_retry_seconds = '60, 600.5'", {}, (60, 600.5)),
        ("callback_retry_seconds = []", {}, ()),
        ("", {"STILLFRAME_CALLBACK_RETRY_SECONDS": "1,2 , 3"}, (1, 2, 3)),
    ],
)
def test_pauses_are_a_list_or_a_text_with_commas(
    tmp_path: Path, text: str, environ: dict[str, str], expected: tuple[float, ...]
) -> None:
    assert load(tmp_path, text, environ).settings.callback_retry_seconds == expected


@pytest.mark.parametrize(
    ("text", "environ", "message"),
    [
        ("prot = 1", {}, r"^prot \(.*stillframe\.toml\): is not a setting; did you mean port\?$"),
        ("[server]\nport = 1", {}, r"^server \(.*toml\): is not a setting"),
        ("", {"STILLFRAME_PROT": "1"}, r"^STILLFRAME_PROT \(environment\): .*mean STILLFRAME_PORT\?$"),
        ("", {"STILLFRAME_port": "1"}, r"^STILLFRAME_port \(environment\): is not a setting"),
        ("", {"STILLFRAME_XYZZY": "1"}, r"^STILLFRAME_XYZZY \(environment\): is not a setting$"),
        ("port = 70000", {}, r"^port \(.*toml\): is 70000: .*less than or equal to 65535"),
        ("", {"STILLFRAME_PORT": "many"}, r"^port \(STILLFRAME_PORT\): is 'many': .*valid integer"),
        ("sandbox = 'maybe'", {}, r"^sandbox \(.*'required' or 'off'"),
        ("slots = 0", {}, r"^slots .*greater than or equal to 1"),
        ("region = 'Shang Hai'", {}, r"^region \("),
        ("public_url = 'example.com'", {}, r"^public_url .*must be an address such as https://"),
        ("public_url = 'https://a:b@example.com'", {}, r"^public_url .*no user"),
        ("trusted_proxies = ['10.0.0.1/8']", {}, r"^trusted_proxies .*host bits set"),
        ("callback_retry_seconds = [0]", {}, r"^callback_retry_seconds .*greater than 0"),
        ("callback_retry_seconds = 'soon'", {}, r"^callback_retry_seconds .*valid number"),
        ("callback_allow_networks = ['home']", {}, r"^callback_allow_networks .*'home' does not appear"),
        ("trusted_proxies = 7", {}, r"^trusted_proxies .*must be a list"),
        ("url_expiry_max_seconds = 60", {}, r"^url_expiry_max_seconds .*greater than or equal to 3600"),
        (
            "history_retention_days = 0.01",
            {},
            r"^history_retention_days .*must be 0, or at least an hour: 0.042",
        ),
        ("history_retention_days = -1", {}, r"^history_retention_days .*greater than or equal to 0"),
        ("port = 1 2", {}, r"^stillframe\.toml .*is not TOML: .*line 1"),
        ("max_shots = 20001", {}, r"^max_shots .*less than or equal to 20000"),
    ],
)
def test_a_mistake_is_named_with_its_place(
    tmp_path: Path, text: str, environ: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        load(tmp_path, text, environ)


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"missing\.toml\): no such file"):
        load_settings(tmp_path / "missing.toml", {})


def test_the_databases_password_is_never_shown(tmp_path: Path) -> None:
    loaded = load(tmp_path, environ={"STILLFRAME_DATABASE_URL": "postgresql://me:swordfish@db/name"})
    assert loaded.settings.database_url is not None
    assert loaded.settings.database_url.get_secret_value() == "postgresql://me:swordfish@db/name"
    for text in (repr(loaded), str(loaded.settings), str(loaded.shown()), loaded.settings.model_dump_json()):
        assert "swordfish" not in text
    assert loaded.shown()["database_url"][1] == "STILLFRAME_DATABASE_URL"

    with pytest.raises(SettingsError, match=r"^database_url .*must begin with postgresql://") as caught:
        load(tmp_path, "database_url = 'mysql://me:swordfish@db/name'")
    assert "swordfish" not in repr(caught.value)
    with pytest.raises(SettingsError, match="is not TOML") as caught:
        load(tmp_path, "database_url = 'postgresql://me:swordfish@db\n")
    assert "swordfish" not in str(caught.value)


def test_what_is_shown_has_every_setting_as_text(tmp_path: Path) -> None:
    shown = load(tmp_path, "trusted_proxies = ['10.0.0.0/8', '::1']").shown()
    assert set(shown) == set(Settings.model_fields)
    assert shown["trusted_proxies"] == ("10.0.0.0/8, ::1/128", str(tmp_path / "stillframe.toml"))
    assert shown["public_url"] == ("", "default")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described_and_its_default_is_allowed(name: str) -> None:
    field = Settings.model_fields[name]
    assert field.description
    assert field.description.endswith(".")
    assert variable_of(name) not in OTHER_VARIABLES
    assert option_of(name).startswith("--")
