"""From a command to the API: which server, and with which key."""

from __future__ import annotations

import os
from collections.abc import Mapping

from stillframe.database.data_folder import in_use
from stillframe.errors import SettingsError
from stillframe.ims.client import Client
from stillframe.server.address import address_of
from stillframe.server.profiles import PROFILE_VARIABLE, find_profile
from stillframe.settings import Settings

ENDPOINT_VARIABLE = "STILLFRAME_ENDPOINT"
KEY_VARIABLES = ("STILLFRAME_ACCESS_KEY_ID", "STILLFRAME_ACCESS_KEY_SECRET")
#: of a temporary key
TOKEN_VARIABLE = "STILLFRAME_SECURITY_TOKEN"


def connect(
    settings: Settings,
    endpoint: str | None,
    profile: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Client:
    """A client of the server that is meant, with the key for it.

    Each of the two is what comes first: the options (`endpoint`, then what `profile` holds), the variables of its
    own, the profile that STILLFRAME_PROFILE names, the data folder. Raises SettingsError when there is no server or
    something is wrong with the profile or the data folder has no active key.
    """
    chosen = find_profile(profile, "--profile", environ) if profile is not None else None
    key = None if chosen else _key_of_variables(environ)
    address = endpoint or (chosen.endpoint if chosen else None) or environ.get(ENDPOINT_VARIABLE)
    named = environ.get(PROFILE_VARIABLE)
    if chosen is None and named and not (address and key):
        chosen = find_profile(named, PROFILE_VARIABLE, environ)
        address = address or chosen.endpoint
    named_server = bool(address)
    address = address or address_of(settings.data_dir)
    if not address and in_use(settings.data_dir):
        raise SettingsError(
            "endpoint", str(settings.data_dir), "its server is starting or stopping; try again soon"
        )
    if not address:
        raise SettingsError(
            "endpoint",
            str(settings.data_dir),
            "no server runs on this data folder: run: stillframe serve; or name a server with --endpoint "
            "or --profile, or the server's folder with --data-dir",
        )
    if key is None and chosen is None and named_server and not settings.data_dir.is_dir():
        raise SettingsError(
            "endpoint",
            address,
            f"there is no key for it: set {' and '.join(KEY_VARIABLES)}, or give --profile",
        )
    if key is None:
        key = (chosen.access_key_id, chosen.access_key_secret, None) if chosen else _key_of_folder(settings)
    return Client(address, *key)


def _key_of_variables(environ: Mapping[str, str]) -> tuple[str, str, str | None] | None:
    key_id, secret = (environ.get(variable) or None for variable in KEY_VARIABLES)
    token = environ.get(TOKEN_VARIABLE) or None
    if key_id and secret:
        return key_id, secret, token
    if key_id or secret:
        given, missing = KEY_VARIABLES if key_id else reversed(KEY_VARIABLES)
        raise SettingsError(given, "environment", f"is set, but {missing} is not")
    if token:
        raise SettingsError(TOKEN_VARIABLE, "environment", f"is set, but {KEY_VARIABLES[0]} is not")
    return None


def _key_of_folder(settings: Settings) -> tuple[str, str, None]:
    # the database is loaded only where it is needed: that takes a while
    from stillframe.server.operator import operate

    with operate(settings) as operator:
        account_id = operator.account_id()
        for key in operator.keys.all():
            if key.active and key.account_id == account_id and key.user is None:
                return key.access_key_id, operator.keys.secret_of(key.access_key_id), None
    raise SettingsError(
        "data_dir", str(settings.data_dir), "there is no active key in it: run: stillframe key create"
    )
