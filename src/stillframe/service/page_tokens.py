"""Where a page ends, as text that a caller brings back for the next one. It is good for its own account only."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

from stillframe.errors import ConfigError

#: what stands last on a page: when it was made, and its id
Place = tuple[datetime, str]


def token_of(account_id: str, place: Place) -> str:
    """The token for what comes behind a place."""
    made_at, id = place
    text = f"{account_id}/{made_at.timestamp():.6f}/{id}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def place_of(token: str, account_id: str, parameter: str) -> Place:
    """The place that a token stands for. Raises ConfigError for what is none, and for another account's."""
    try:
        owner, when, id = base64.urlsafe_b64decode(token.encode()).decode().split("/")
        place = datetime.fromtimestamp(float(when), UTC), bytes.fromhex(id).hex()
    except (ValueError, OverflowError, OSError):
        owner, place = "", (datetime.now(UTC), "")
    if owner != account_id:
        raise ConfigError(parameter, token, f"the {parameter} of an earlier answer")
    return place
