"""Keys for stores: what requests are signed with, and what is lent for a while, renewed before it expires.

at_hand(Keys("LTAI…", "secret"))    # themselves
at_hand(AlibabaRole(...))    # what a security token service has lent: fetched once, and again before its end
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

#: how long before their end keys are renewed; of those that live shortly, at a third of their life
_EARLY_S = 300.0
#: keys that are as new as this are not fetched anew, or whatever a store forbids would cost a request to their lender
NEW_S = 20.0
#: until a service that could not be reached is asked again while what it has lent is good still
_PAUSE_S = 20.0


@dataclass(frozen=True, slots=True)
class Keys:
    """What requests are signed with; `expires_s` is Unix time, and None for what lasts."""

    access_key_id: str
    secret: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires_s: float | None = None


class NoKeys(Exception):
    """There are no keys, and why; `transient` where there may be some a little later."""

    def __init__(self, told: str, *, transient: bool = False) -> None:
        super().__init__(told)
        self.transient = transient


class Lender(Protocol):
    """Who lends keys for a while: a security token service, or a program. Equal ones lend the same."""

    def __hash__(self) -> int: ...

    def lend(self) -> Keys:
        """Ask for keys. Raises NoKeys."""


def at_hand(source: Keys | Lender) -> Keys:
    """The keys of a source that may have to lend them. Raises NoKeys."""
    return source if isinstance(source, Keys) else LENT.keys(source)


class LentKeys:
    """What lenders have lent: fetched once for everybody, and again before it expires."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._lent: dict[Lender, _Lent] = {}

    def keys(self, lender: Lender) -> Keys:
        """Keys that are good for a while yet. Raises NoKeys."""
        with self._lock:
            lent = self._lent.setdefault(lender, _Lent())
        keys, now_s = lent.keys, self._clock()
        if keys is not None and now_s < lent.renew_at_s:
            return keys
        is_good = not lent.is_refused and _lasts(keys, now_s)
        # whoever has good keys does not wait for those who fetch the next ones
        if not lent.fetching.acquire(blocking=not is_good):
            assert keys is not None
            return keys
        try:
            return self._fetched(lender, lent)
        finally:
            lent.fetching.release()

    def forget(self, keys: Keys) -> None:
        """Fetch anew where these were lent, if that was not just now.

        Until that is done they are used on: what a store forbids looks like keys that it does not take.
        """
        old_s = self._clock() - NEW_S
        with self._lock:
            for lent in self._lent.values():
                if lent.keys == keys and lent.fetched_s <= old_s:
                    lent.is_refused, lent.renew_at_s = True, 0.0

    def missed(self, keys: Keys) -> NoKeys | None:
        """Why there are no others yet, where these were lent and could not be fetched anew."""
        with self._lock:
            return next((lent.missed for lent in self._lent.values() if lent.keys == keys), None)

    def _fetched(self, lender: Lender, lent: _Lent) -> Keys:
        keys, now_s = lent.keys, self._clock()
        if keys is not None and now_s < lent.renew_at_s:
            # another one was quicker
            return keys
        try:
            lent.keys = fresh = lender.lend()
            lent.fetched_s, lent.missed = now_s, None
        except NoKeys as error:
            lent.missed = error
            if keys is None or not _lasts(keys, now_s):
                raise
            lent.renew_at_s = min(now_s + _PAUSE_S, keys.expires_s or float("inf"))
            return keys
        finally:
            lent.is_refused = False
        if fresh.expires_s is None:
            lent.renew_at_s = float("inf")
        else:
            lent.renew_at_s = fresh.expires_s - min(_EARLY_S, (fresh.expires_s - now_s) / 3)
        return fresh


class _Lent:
    """What one lender has lent."""

    __slots__ = ("fetched_s", "fetching", "is_refused", "keys", "missed", "renew_at_s")

    def __init__(self) -> None:
        self.fetching = threading.Lock()
        self.keys: Keys | None = None
        self.is_refused = False
        self.missed: NoKeys | None = None
        self.fetched_s = self.renew_at_s = 0.0


def _lasts(keys: Keys | None, now_s: float) -> bool:
    return keys is not None and (keys.expires_s is None or now_s < keys.expires_s)


#: of this process
LENT = LentKeys()
