"""OpenDAL for a place, with the keys of the moment, time limits and new tries.

store = Store(place)
store.ask(lambda operator: operator.stat("movie.mp4"))

Keys that the store refuses are looked for anew, once: they may have been changed, or their time may have been up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import opendal
from opendal import layers

from stillframe.storage.find_keys import keys_for, other_keys
from stillframe.storage.keys import Keys
from stillframe.storage.places import StorePlace
from stillframe.storage.store_faults import may_be_the_keys

Result = TypeVar("Result")

FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0
_TRIES = 4
_LOOK_S, _TRANSFER_S = 15.0, 60.0


class Store:
    """What a place's store is asked by."""

    def __init__(self, place: StorePlace) -> None:
        self.place = place

    def ask(self, work: Callable[[opendal.Operator], Result]) -> Result:
        """Do something with the store. Raises what is in `store_faults.FAULTS`."""
        keys = keys_for(self.place)
        try:
            return work(_operator(self.place, keys))
        except Exception as error:
            other = other_keys(self.place, refused=keys) if may_be_the_keys(error) else None
            if other is None:
                raise
        return work(_operator(self.place, other))

    def signer(self, seconds: float) -> opendal.Operator | None:
        """For links that are to be good for so long; None where the keys of now end sooner. Raises NoKeys."""
        keys = keys_for(self.place)
        if keys.expires_s is not None and keys.expires_s < time.time() + seconds:
            return None
        return _operator(self.place, keys)

    def operator(self) -> opendal.Operator:
        """OpenDAL with the keys of now, for what asks the store nothing. Raises NoKeys."""
        return _operator(self.place, keys_for(self.place))


@lru_cache(64)
def _operator(place: StorePlace, keys: Keys) -> opendal.Operator:
    """One for each place in this process: it is safe to share, and keeps connections."""
    service, options = place.opendal()
    store = opendal.Operator(service, **options, **_KEYS[service](keys))
    limited = store.layer(layers.TimeoutLayer(timeout=_LOOK_S, io_timeout=_TRANSFER_S))
    return limited.layer(
        layers.RetryLayer(
            max_times=_TRIES, factor=2.0, jitter=True, min_delay=FIRST_PAUSE_S, max_delay=_LONGEST_PAUSE_S
        )
    )


def _s3_keys(keys: Keys) -> dict[str, str]:
    given = {"access_key_id": keys.access_key_id, "secret_access_key": keys.secret}
    if keys.session_token is not None:
        given["session_token"] = keys.session_token
    # it looks nowhere else then
    return {**given, "disable_config_load": "true"}


def _oss_keys(keys: Keys) -> dict[str, str]:
    given = {"access_key_id": keys.access_key_id, "access_key_secret": keys.secret}
    return given if keys.session_token is None else {**given, "security_token": keys.session_token}


_KEYS = {"s3": _s3_keys, "oss": _oss_keys}
