"""OpenDAL for a place, with the keys of the moment, time limits and new tries.

store = Store(place)
store.ask(lambda operator: operator.stat("movie.mp4"))

Keys that the store refuses are looked for anew, once: they may have been changed, or their time may have been up.
OpenDAL's own time limits are for each step, and a store that sends a byte now and then would never pass them. So all is
done on a loop of this process, where it can be ended, and who asks waits for it: in a way that Ctrl-C ends, too.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
import time
from collections.abc import Awaitable, Callable
from contextvars import Context
from functools import cache, lru_cache
from typing import TypeVar, TypeVarTuple

import opendal
from opendal import layers

from stillframe.storage.find_keys import keys_for, other_keys
from stillframe.storage.keys import Keys
from stillframe.storage.places import StorePlace
from stillframe.storage.store_faults import TookTooLong, may_be_the_keys

Result = TypeVar("Result")
_Values = TypeVarTuple("_Values")

FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0
_TRIES = 4
#: for a step: an answer to a question, and the next bytes of one
_LOOK_S, _TRANSFER_S = 15.0, 15.0
#: of what is larger, a step may be all of a part that is sent
_LARGE_BYTES, _LARGE_TRANSFER_S = 2 << 20, 150.0
#: for all of it, new tries included, and so much more for what is to be sent
_LONGEST_S, _SLOWEST_BYTES_PER_S = 40.0, 128 << 10

#: at the end of the process, for what takes microseconds
_LEAVE_S = 1.0


class Store:
    """What a place's store is asked by."""

    def __init__(self, place: StorePlace) -> None:
        self.place = place

    def ask(self, work: Callable[[opendal.AsyncOperator], Awaitable[Result]], size: int = 0) -> Result:
        """Do something with the store that moves so many bytes. Raises what is in `store_faults.FAULTS`."""
        limit_s = _LONGEST_S + size / _SLOWEST_BYTES_PER_S
        step_s = _TRANSFER_S if size <= _LARGE_BYTES else _LARGE_TRANSFER_S
        keys = keys_for(self.place)
        try:
            return _done(work, _operator(self.place, keys, step_s), limit_s)
        except Exception as error:
            other = other_keys(self.place, refused=keys) if may_be_the_keys(error) else None
            if other is None:
                raise
        return _done(work, _operator(self.place, other, step_s), limit_s)

    def go_on(self, work: Callable[[], Awaitable[Result]], size: int) -> Result:
        """Do more of something that was begun with `ask`, once: it may not be done twice. Raises as `ask` does."""
        return _within(work, _LONGEST_S + size / _SLOWEST_BYTES_PER_S)

    def lasting_keys(self, seconds: float) -> Keys | None:
        """The keys of now, if they are good for so long. Raises NoKeys."""
        keys = keys_for(self.place)
        return None if keys.expires_s is not None and keys.expires_s < time.time() + seconds else keys

    def sign(self, work: Callable[[opendal.AsyncOperator], Awaitable[Result]], keys: Keys) -> Result:
        """Do something with these keys that asks the store nothing."""
        return _done(work, _operator(self.place, keys), _LONGEST_S)

    def operator(self) -> opendal.Operator:
        """OpenDAL with the keys of now, to be asked directly. Raises NoKeys."""
        return _operator(self.place, keys_for(self.place)).to_operator()


def _done(
    work: Callable[[opendal.AsyncOperator], Awaitable[Result]],
    operator: opendal.AsyncOperator,
    limit_s: float,
) -> Result:
    return _within(lambda: work(operator), limit_s)


def _within(work: Callable[[], Awaitable[Result]], limit_s: float) -> Result:
    async def within_limit() -> Result:
        async with asyncio.timeout(limit_s):
            return await work()

    doing = asyncio.run_coroutine_threadsafe(within_limit(), _loop())
    try:
        return doing.result()
    except TimeoutError:
        raise TookTooLong(limit_s) from None
    except BaseException:
        doing.cancel()
        raise


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = _Loop()
    threading.Thread(target=loop.run_forever, name="stillframe-stores", daemon=True).start()
    atexit.register(loop.let_others_out)
    return loop


class _Loop(asyncio.SelectorEventLoop):
    """A loop that knows of the threads in it that are not Python's.

    OpenDAL's hand a result over here, and may still be on their way out when whoever waited for it has ended the
    program: a thread that comes back to an interpreter which is being taken apart aborts the process.
    """

    def __init__(self) -> None:
        super().__init__()
        self._inside = 0
        self._changed = threading.Condition()

    def call_soon_threadsafe(
        self, callback: Callable[[*_Values], object], *args: *_Values, context: Context | None = None
    ) -> asyncio.Handle:
        with self._changed:
            self._inside += 1
        try:
            return super().call_soon_threadsafe(callback, *args, context=context)
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def let_others_out(self) -> None:
        """Wait until nobody is inside."""
        with self._changed:
            self._changed.wait_for(lambda: not self._inside, _LEAVE_S)


@lru_cache(64)
def _operator(place: StorePlace, keys: Keys, step_s: float = _TRANSFER_S) -> opendal.AsyncOperator:
    """One for each place in this process: it is safe to share, and keeps connections."""
    service, options = place.opendal()
    store = opendal.AsyncOperator(service, **options, **_KEYS[service](keys))
    limited = store.layer(layers.TimeoutLayer(timeout=_LOOK_S, io_timeout=step_s))
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
