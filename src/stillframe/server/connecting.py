"""From a command to the API: which server, and with which key."""

from __future__ import annotations

import os
from collections.abc import Mapping

from stillframe.errors import NotFound, SettingsError
from stillframe.ims.client import Client
from stillframe.server.address import address_of
from stillframe.server.operator import operate
from stillframe.settings import Settings

ENDPOINT_VARIABLE = "STILLFRAME_ENDPOINT"
KEY_VARIABLES = ("STILLFRAME_ACCESS_KEY_ID", "STILLFRAME_ACCESS_KEY_SECRET")


def connect(settings: Settings, endpoint: str | None, environ: Mapping[str, str] = os.environ) -> Client:
    """A client with the endpoint and the key that are given, else with those of the data folder.

    Raises SettingsError when there is no server, NotFound when the data folder has no active key.
    """
    endpoint = endpoint or environ.get(ENDPOINT_VARIABLE) or address_of(settings.data_dir)
    if not endpoint:
        raise SettingsError(
            "endpoint",
            str(settings.data_dir),
            "no server runs on this data folder: run: stillframe serve; or name a server with --endpoint, "
            "or the server's folder with --data-dir",
        )
    return Client(endpoint, *_key(settings, environ))


def _key(settings: Settings, environ: Mapping[str, str]) -> tuple[str, str]:
    key_id, secret = (environ.get(variable) or None for variable in KEY_VARIABLES)
    if key_id and secret:
        return key_id, secret
    if key_id or secret:
        given, missing = KEY_VARIABLES if key_id else reversed(KEY_VARIABLES)
        raise SettingsError(given, "environment", f"is set, but {missing} is not")
    with operate(settings) as operator:
        for key in operator.keys.all():
            if key.active:
                return key.access_key_id, operator.keys.secret_of(key.access_key_id)
    raise NotFound("active AccessKey", str(settings.data_dir))
