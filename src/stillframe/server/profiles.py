"""Profiles: named servers with a key each, in a file of the user's own.

# ~/.config/stillframe/config.toml, chmod 600
[profiles.office]
endpoint = "https://snapshots.example.com"
access_key_id = "SF..."
access_key_secret = "..."

find_profile("office", "--profile", os.environ).endpoint
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stillframe.errors import SettingsError, os_reason

PROFILE_VARIABLE = "STILLFRAME_PROFILE"
_PLACE = Path("stillframe", "config.toml")


class Profile(BaseModel):
    """A server and the key to call it with."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)

    endpoint: str = Field(min_length=1)
    access_key_id: str = Field(min_length=1)
    access_key_secret: str = Field(min_length=1, repr=False)


def find_profile(name: str, asked_by: str, environ: Mapping[str, str]) -> Profile:
    """The profile of this name; `asked_by` is the option or variable that names it.

    Raises SettingsError: no file, one that others may read, no such profile, or something wrong in it.
    """
    path = profiles_path(environ)
    profiles = _profiles(path, name, asked_by)
    if name not in profiles:
        near = get_close_matches(name, profiles, n=1)
        known = f"did you mean {near[0]}?" if near else f"it has: {', '.join(sorted(profiles)) or 'none'}"
        raise SettingsError(f"profile {name}", asked_by, f"is not in {path}; {known}")
    try:
        return Profile.model_validate(profiles[name])
    except ValidationError as error:
        raise _as_settings_error(error, name, path) from None


def profiles_path(environ: Mapping[str, str]) -> Path:
    """Where the profiles are: under XDG_CONFIG_HOME where that is set, else under ~/.config."""
    folder = environ.get("XDG_CONFIG_HOME", "")
    # by the XDG base directory specification a relative one is to be ignored
    if folder.startswith("/"):
        return Path(folder) / _PLACE
    try:
        home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    except RuntimeError as error:
        raise SettingsError("HOME", "environment", "is not set: set it, or XDG_CONFIG_HOME") from error
    return home / ".config" / _PLACE


def _profiles(path: Path, name: str, asked_by: str) -> dict[str, Any]:
    try:
        # what is looked at is what is read, whoever replaces the file meanwhile
        with path.open("rb") as stream:
            if stat.S_IMODE(os.fstat(stream.fileno()).st_mode) & 0o077:
                told = f"others may use it, and it holds secrets: run: chmod 600 '{path}'"
                raise SettingsError(f"profile {name}", str(path), told)
            content = tomllib.load(stream)
    except FileNotFoundError:
        raise SettingsError(
            f"profile {name}", asked_by, f"there is no {path} yet: {_HOW.format(name)}"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        # the text around the mistake may be a secret
        raise SettingsError(path.name, str(path), f"is not TOML: {str(error).splitlines()[0]}") from None
    except SettingsError:
        raise
    except OSError as error:
        raise SettingsError(f"profile {name}", str(path), os_reason(error)) from error
    for key in content:
        if key != "profiles":
            raise SettingsError(key, str(path), f"is not known: {_HOW.format(name)}")
    profiles = content.get("profiles", {})
    if not isinstance(profiles, dict):
        raise SettingsError("profiles", str(path), f"is no table: {_HOW.format(name)}")
    return profiles


_HOW = "write [profiles.{}] with endpoint, access_key_id and access_key_secret, and let only yourself read it"


def _as_settings_error(error: ValidationError, name: str, path: Path) -> SettingsError:
    """The first mistake, without its value: it may be a secret."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    key = ".".join(("profiles", name, *(str(part) for part in first["loc"])))
    told = {
        "missing": "is missing",
        "extra_forbidden": "is not known: there are endpoint, access_key_id and access_key_secret",
        "string_type": "must be a text in quotes",
        "string_too_short": "is empty",
    }
    return SettingsError(key, str(path), told.get(first["type"], f"is no table: {_HOW.format(name)}"))
