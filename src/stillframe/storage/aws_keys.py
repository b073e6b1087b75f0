"""Amazon's keys: where its own tools look for them, but for the addresses where its machines have some.

find(None)       # AWS_ACCESS_KEY_ID and so on; a pod's AWS_WEB_IDENTITY_TOKEN_FILE; else the profile AWS_PROFILE
find("films")    # the profile `films` of ~/.aws/credentials and ~/.aws/config, with the role that it says
"""

from __future__ import annotations

import configparser
import json
import os
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from stillframe.errors import os_reason
from stillframe.storage.keys import Keys, Lender, NoKeys
from stillframe.storage.sts import AwsRole, AwsWebIdentity

_PROGRAM_S = 60.0
#: roles of roles, before it is taken for a circle
_MOST_ROLES = 5


def find(profile: str | None) -> Keys | Lender:
    """The keys of a profile, or of the environment. Raises NoKeys."""
    environment = os.environ
    if profile is not None:
        return _of_profile(profile, _sections(), _MOST_ROLES)
    if keys := _of_environment():
        return keys
    token_file, role = environment.get("AWS_WEB_IDENTITY_TOKEN_FILE"), environment.get("AWS_ROLE_ARN")
    if token_file and role:
        return AwsWebIdentity(role, token_file, environment.get("AWS_ROLE_SESSION_NAME"), _region({}))
    named = environment.get("AWS_PROFILE") or "default"
    sections = _sections()
    if named not in sections:
        raise NoKeys(
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or name a profile of "
            "~/.aws/credentials in the bucket's place (profile=NAME)"
        )
    return _of_profile(named, sections, _MOST_ROLES)


@dataclass(frozen=True, slots=True)
class AwsProgram:
    """A program that prints keys (`credential_process`)."""

    command: str

    def lend(self) -> Keys:
        try:
            run = subprocess.run(
                shlex.split(self.command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=_PROGRAM_S,
                check=True,
            )
            told = json.loads(run.stdout)
            expires = told.get("Expiration")
            expires_s = None if expires is None else datetime.fromisoformat(expires).timestamp()
            return Keys(told["AccessKeyId"], told["SecretAccessKey"], told.get("SessionToken"), expires_s)
        except OSError as error:
            raise NoKeys(f"credential_process cannot be run: {os_reason(error)}") from None
        except subprocess.SubprocessError as error:
            # its words would repeat the command, and whatever is in it
            raise NoKeys(f"credential_process has failed: {type(error).__name__}", transient=True) from None
        except (KeyError, TypeError, ValueError, AttributeError):
            raise NoKeys("credential_process does not print keys as JSON") from None


def _of_environment() -> Keys | None:
    key_id, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    return Keys(key_id, secret, os.environ.get("AWS_SESSION_TOKEN") or None) if key_id and secret else None


def _of_profile(name: str, sections: Mapping[str, Mapping[str, str]], roles_left: int) -> Keys | Lender:
    section = sections.get(name)
    if section is None:
        raise NoKeys(f"{_file('credentials')}: there is no section [{name}]")
    if role := section.get("role_arn"):
        return _role(name, role, sections, roles_left)
    key_id, secret = section.get("aws_access_key_id"), section.get("aws_secret_access_key")
    if key_id and secret:
        return Keys(key_id, secret, section.get("aws_session_token"))
    if command := section.get("credential_process"):
        return AwsProgram(command)
    raise NoKeys(
        f"{_file('credentials')}: the section [{name}] has neither aws_access_key_id and aws_secret_access_key, "
        "nor a role_arn, nor a credential_process"
    )


def _role(name: str, role: str, sections: Mapping[str, Mapping[str, str]], roles_left: int) -> Keys | Lender:
    section = sections[name]
    session, region = section.get("role_session_name"), _region(section)
    if token_file := section.get("web_identity_token_file"):
        return AwsWebIdentity(role, token_file, session, region)
    lifetime = section.get("duration_seconds", "3600")
    if not lifetime.isdecimal():
        raise NoKeys(f"the profile {name} has a duration_seconds that is no number: {lifetime}")
    source_name, source = section.get("source_profile"), None
    if source_name == name:
        # a role of its own keys
        source = _of_profile(name, {name: {**section, "role_arn": ""}}, roles_left)
    elif source_name is not None:
        if not roles_left:
            raise NoKeys(f"the profile {name} has a source_profile that leads in a circle")
        source = _of_profile(source_name, sections, roles_left - 1)
    elif section.get("credential_source") == "Environment":
        source = _of_environment()
    if source is None:
        raise NoKeys(f"the profile {name} has a role_arn, but no source_profile that has keys for it")
    return AwsRole(source, role, session, section.get("external_id"), int(lifetime), region)


def _sections() -> dict[str, dict[str, str]]:
    """The profiles of both files; what the one for keys says goes before."""
    found: dict[str, dict[str, str]] = {}
    for kind in ("config", "credentials"):
        for title, section in _read(_file(kind)).items():
            name = title.removeprefix("profile ").strip() if kind == "config" else title
            found[name] = found.get(name, {}) | dict(section)
    return found


def _file(kind: str) -> Path:
    named = os.environ.get("AWS_CONFIG_FILE" if kind == "config" else "AWS_SHARED_CREDENTIALS_FILE")
    return Path(named or f"~/.aws/{kind}").expanduser()


def _read(file: Path) -> configparser.ConfigParser:
    try:
        return _parsed(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return _parsed("")
    except OSError as error:
        raise NoKeys(f"{file}: {os_reason(error)}") from None
    except (configparser.Error, UnicodeError):
        # its message shows the line, which may be a secret's
        raise NoKeys(f"{file}: it cannot be read as a file of profiles") from None


@lru_cache(8)
def _parsed(text: str) -> configparser.ConfigParser:
    """Once for many requests: a file says the same most of the time."""
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    parser.read_string(text)
    return parser


def _region(section: Mapping[str, str]) -> str:
    environment = os.environ
    named = section.get("region") or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    return named or "us-east-1"
