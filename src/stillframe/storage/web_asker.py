"""Asks a web server for a file until there is an answer, or none can be expected any more.

    asker = Asker(address)
    asker.ask({"Range": "bytes=0-65535"}, lambda answer: answer.read(65_536), most_bytes=65_536)

What may pass (5xx, 429, lost connections, answers that are cut off) is tried again with growing pauses; what will not
change is told at once.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TypeVar

from stillframe.errors import SourceError
from stillframe.storage.web_address import WebAddress
from stillframe.storage.web_client import Answer, NoAnswer, WebClient

Result = TypeVar("Result")

_TRIES = 5
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0
#: what a server may ask for by Retry-After; longer waits are for whoever calls
_LONGEST_ASKED_PAUSE_S = 30.0
#: for one answer: so long, and what its bytes take at this speed
_ANSWER_S, SLOWEST_BYTES_A_S = 60.0, 64 << 10
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "stillframe"}
#: 412 and 416 are answers to what was asked: `read` knows what they mean
_ANSWERS = frozenset((200, 206, 412, 416))
_PASSING = frozenset((408, 425, 429, 500, 502, 503, 504))
#: what a redirect's goal answers when it was the goal for a while only
_EXPIRED = frozenset((401, 403, 404, 410))


class Fault(Exception):
    """Why a try came to nothing. `transient`: the same may work a little later."""

    def __init__(self, message: str, *, transient: bool = False, pause_s: float | None = None) -> None:
        super().__init__(message)
        self.transient = transient
        #: what the server asks to wait
        self.pause_s = pause_s


class Asker:
    """Asks for the file at one address, wherever redirects lead. Safe to use from several threads at once."""

    def __init__(self, address: WebAddress) -> None:
        self.name = str(address)
        self._asked = address
        #: where redirects have led, until that is over
        self._found = address
        self._client = WebClient()
        self._closed = threading.Event()

    def ask(self, headers: Mapping[str, str], read: Callable[[Answer], Result], *, most_bytes: int) -> Result:
        """What `read` makes of the answer; it may raise Fault. Raises SourceError."""
        for tries in range(1, _TRIES + 1):
            try:
                return self._ask(headers, read, time.monotonic() + _ANSWER_S + most_bytes / SLOWEST_BYTES_A_S)
            except Fault as fault:
                told = SourceError(self.name, str(fault), transient=fault.transient)
                told.__cause__ = fault
                if not fault.transient or tries == _TRIES:
                    break
                usual_s = min(_FIRST_PAUSE_S * 2 ** (tries - 1), _LONGEST_PAUSE_S) * random.uniform(0.5, 1.5)
                if self._closed.wait(usual_s if fault.pause_s is None else fault.pause_s):
                    break
        raise told

    def close(self) -> None:
        """Try nothing again, and let go of all connections."""
        self._closed.set()
        self._client.close()

    def _ask(self, headers: Mapping[str, str], read: Callable[[Answer], Result], deadline: float) -> Result:
        began = self._found
        try:
            with self._client.get(began, {**_HEADERS, **headers}, deadline) as answer:
                if began is self._asked or answer.status not in _EXPIRED:
                    _demand_answer(answer)
                    result = read(answer)
                    self._found = answer.address
                    return result
        except NoAnswer as error:
            if began is not self._asked:
                # where it has led to is away: the next try is led anew, maybe elsewhere
                self._found = self._asked
            raise Fault(str(error), transient=error.transient or began is not self._asked) from error
        self._found = self._asked
        return self._ask(headers, read, deadline)


def _demand_answer(answer: Answer) -> None:
    """Refuse what is no answer to the question."""
    status = answer.status
    if status not in _ANSWERS:
        known = {one.value: f" {one.phrase}" for one in HTTPStatus}
        told = f"the server answers {status}{known.get(status, '')}{answer.by}"
        if status in (404, 410):
            told = f"does not exist: {told}"
        raise Fault(
            told, transient=status in _PASSING, pause_s=_asked_pause_s(answer.headers.get("Retry-After"))
        )
    packed = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if packed != "identity" and status in (200, 206):
        raise Fault(
            f"the server sends it packed, which was not asked for (Content-Encoding: {packed[:20]!r})"
        )


def _asked_pause_s(text: str | None) -> float | None:
    """What Retry-After says, in seconds or as a date; None when it says nothing that can be understood."""
    if text is None:
        return None
    if re.fullmatch(r"\d{1,9}", text.strip()):
        seconds = float(text)
    else:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), _LONGEST_ASKED_PAUSE_S)
