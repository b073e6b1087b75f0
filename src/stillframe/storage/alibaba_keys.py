"""Alibaba Cloud's keys: where its own tools look for them, but for the addresses where its machines have some.

find(None)       # ALIBABA_CLOUD_ACCESS_KEY_ID and so on; a pod's OIDC token; else the profile that the CLI uses now
find("films")    # the profile `films` of the CLI's ~/.aliyun/config.json, or else of ~/.alibabacloud/credentials.ini
"""

from __future__ import annotations

import configparser
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stillframe.errors import os_reason
from stillframe.storage.keys import Keys, Lender, NoKeys
from stillframe.storage.sts import AlibabaOidc, AlibabaRole

#: roles of roles, before it is taken for a circle
_MOST_ROLES = 5


def find(profile: str | None) -> Keys | Lender:
    """The keys of a profile, or of the environment. Raises NoKeys."""
    if profile is not None:
        return _of_profile(profile)
    told = os.environ
    role, session = told.get("ALIBABA_CLOUD_ROLE_ARN"), told.get("ALIBABA_CLOUD_ROLE_SESSION_NAME")
    key_id, secret = told.get("ALIBABA_CLOUD_ACCESS_KEY_ID"), told.get("ALIBABA_CLOUD_ACCESS_KEY_SECRET")
    if key_id and secret:
        keys = Keys(key_id, secret, told.get("ALIBABA_CLOUD_SECURITY_TOKEN") or None)
        external_id = told.get("ALIBABA_CLOUD_EXTERNAL_ID")
        return AlibabaRole(keys, role, session, external_id) if role else keys
    provider = told.get("ALIBABA_CLOUD_OIDC_PROVIDER_ARN")
    token_file = told.get("ALIBABA_CLOUD_OIDC_TOKEN_FILE")
    if role and provider and token_file:
        return AlibabaOidc(role, provider, token_file, session)
    named = told.get("ALIBABA_CLOUD_PROFILE") or _cli().get("current")
    if not named:
        raise NoKeys(
            "set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET in the environment, or name "
            "a profile of ~/.aliyun/config.json in the bucket's place (profile=NAME)"
        )
    return _of_profile(named)


def _of_profile(name: str) -> Keys | Lender:
    cli = _cli()
    profiles = {each.get("name"): each for each in cli.get("profiles", []) if isinstance(each, dict)}
    if name in profiles:
        return _of_cli(name, profiles, _MOST_ROLES)
    file = _ini_file()
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        pass
    except OSError as error:
        raise NoKeys(f"{file}: {os_reason(error)}") from None
    except (configparser.Error, UnicodeError):
        # its message shows the line, which may be a secret's
        raise NoKeys(f"{file}: it cannot be read as a file of profiles") from None
    if name not in parser:
        raise NoKeys(f"there is no profile {name} in {_cli_file()}, and no section [{name}] in {file}")
    return _of_ini(name, parser[name], file)


def _of_cli(name: object, profiles: Mapping[Any, dict[str, Any]], roles_left: int) -> Keys | Lender:
    profile = profiles[name]
    mode, where = profile.get("mode"), f"{_cli_file()}: the profile {name}"
    role, session = profile.get("ram_role_arn"), profile.get("ram_session_name")
    if mode in ("AK", "StsToken", "RamRoleArn"):
        keys = _static(profile, "access_key_id", "access_key_secret", "sts_token", where)
        if mode != "RamRoleArn":
            return keys
        source: Keys | Lender = keys
    elif mode == "ChainableRamRoleArn":
        before = profile.get("source_profile")
        if before not in profiles or not roles_left:
            raise NoKeys(f"{where} has a source_profile that is not there, or leads in a circle")
        source = _of_cli(before, profiles, roles_left - 1)
    elif mode == "OIDC":
        provider, token_file = profile.get("oidc_provider_arn"), profile.get("oidc_token_file")
        if not (role and provider and token_file):
            raise NoKeys(f"{where} lacks ram_role_arn, oidc_provider_arn or oidc_token_file")
        return AlibabaOidc(role, provider, token_file, session, profile.get("sts_region") or None)
    else:
        raise NoKeys(
            f"{where} has the mode {mode}; AK, StsToken, RamRoleArn, ChainableRamRoleArn and OIDC are read here"
        )
    if not role:
        raise NoKeys(f"{where} lacks ram_role_arn")
    lifetime_s = profile.get("expired_seconds") or 3600
    if not isinstance(lifetime_s, int):
        raise NoKeys(f"{where} has an expired_seconds that is no number: {lifetime_s}")
    external_id, region = profile.get("external_id") or None, profile.get("sts_region") or None
    return AlibabaRole(source, role, session, external_id, lifetime_s, region)


def _of_ini(name: str, section: Mapping[str, str], file: Path) -> Keys | Lender:
    where = f"{file}: the section [{name}]"
    kind = section.get("type", "access_key")
    if kind == "oidc_role_arn":
        told = [section.get(key) for key in ("role_arn", "oidc_provider_arn", "oidc_token_file_path")]
        role, provider, token_file = told
        if not (role and provider and token_file):
            raise NoKeys(f"{where} lacks role_arn, oidc_provider_arn or oidc_token_file_path")
        return AlibabaOidc(role, provider, token_file, section.get("role_session_name"))
    if kind not in ("access_key", "sts", "ram_role_arn"):
        raise NoKeys(
            f"{where} has the type {kind}; access_key, sts, ram_role_arn and oidc_role_arn are read here"
        )
    keys = _static(section, "access_key_id", "access_key_secret", "security_token", where)
    if kind != "ram_role_arn":
        return keys
    if not section.get("role_arn"):
        raise NoKeys(f"{where} lacks role_arn")
    return AlibabaRole(
        keys, section["role_arn"], section.get("role_session_name"), section.get("external_id")
    )


def _static(told: Mapping[str, Any], key_id: str, secret: str, token: str, where: str) -> Keys:
    found = told.get(key_id), told.get(secret), told.get(token) or None
    if not (isinstance(found[0], str) and isinstance(found[1], str) and found[0] and found[1]):
        raise NoKeys(f"{where} lacks {key_id} or {secret}")
    return Keys(found[0], found[1], found[2])


def _cli() -> dict[str, Any]:
    file = _cli_file()
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise NoKeys(f"{file}: {os_reason(error)}") from None
    except ValueError:
        raise NoKeys(f"{file}: it cannot be read as JSON") from None
    return told if isinstance(told, dict) else {}


def _cli_file() -> Path:
    return Path("~/.aliyun/config.json").expanduser()


def _ini_file() -> Path:
    named = os.environ.get("ALIBABA_CLOUD_CREDENTIALS_FILE")
    return Path(named or "~/.alibabacloud/credentials.ini").expanduser()
