"""What OpenDAL says when it fails, as a line for whoever operates the bucket.

except FAULTS as error:
    raise fault(SourceError, "oss://films/movie.mp4", error) from error
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TypeVar

from opendal import exceptions

from stillframe.errors import SinkError, SourceError
from stillframe.storage.keys import NoKeys

_Error = TypeVar("_Error", SourceError, SinkError)


class TookTooLong(Exception):
    """The store has not done it in so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


FAULTS = (
    NoKeys,
    TookTooLong,
    exceptions.Error,
    exceptions.Unexpected,
    exceptions.Unsupported,
    exceptions.ConfigInvalid,
    exceptions.NotFound,
    exceptions.PermissionDenied,
    exceptions.IsADirectory,
    exceptions.NotADirectory,
    exceptions.AlreadyExists,
    exceptions.ConditionNotMatch,
    exceptions.RateLimited,
    exceptions.RangeNotSatisfied,
    exceptions.Conflict,
)


def fault(kind: type[_Error], name: str, error: Exception) -> _Error:
    """What OpenDAL says, in a line; what it has tried several times, and may pass, is `transient`."""
    if isinstance(error, NoKeys):
        return kind(name, f"there are no keys for the store: {error}", transient=error.transient)
    if isinstance(error, TookTooLong):
        return kind(name, f"the store has taken longer than {error.seconds:.0f} s for it", transient=True)
    words, status = _told(error)
    answers = f"the store answers {_with_name(status)}" if status and _FAULTY.fullmatch(status) else None
    # an answer to HEAD has no words, nor has that of a machine before the store
    told = words or answers or str(error).partition("\n")[0]
    reason = next((reason for code, reason in _REASONS if code.search(told)), None)
    if isinstance(error, exceptions.NotFound):
        return kind(name, f"{reason}: {told}" if reason else "does not exist")
    if isinstance(error, exceptions.ConfigInvalid):
        return kind(name, f"{reason or _UNUSABLE}: {told}")
    if isinstance(error, exceptions.PermissionDenied) and _ARCHIVED in told:
        return kind(name, f"the object lies in an archive, restore it first: {told}")
    if isinstance(error, exceptions.PermissionDenied):
        return kind(name, f"the store refuses the key, or what it may do: {reason or _NO_REASON}: {told}")
    permanent = reason is not None or (status is not None and _PERMANENT.fullmatch(status) is not None)
    if reason is not None:
        told = f"{reason}: {told}"
    elif answers and words:
        told = f"{answers}: {words}"
    return kind(name, told, transient=isinstance(error, _PASSING) and not permanent)


def is_wordless(error: Exception) -> bool:
    """Whether it is an answer to HEAD, a status without words, that may mean what GET would tell apart."""
    if isinstance(error, exceptions.NotFound):
        return True
    status = _told(error)[1] if isinstance(error, exceptions.Unexpected) else None
    return status is not None and _PERMANENT.fullmatch(status) is not None


def may_be_the_keys(error: Exception) -> bool:
    """Whether the store may have refused for keys that are old; Amazon says so with 400, and to HEAD without a word."""
    if isinstance(error, exceptions.PermissionDenied):
        return True
    return isinstance(error, exceptions.Unexpected) and _told(error)[1] in ("400", "401", "403")


def _told(error: Exception) -> tuple[str, str | None]:
    """What the store has said, or what has come of the request, in words if any; and the status of its answer."""
    text = str(error)
    # "Unexpected (persistent) at stat => send http request", and further below what that came of
    _, is_more, told = text.partition("\n")[0].rpartition(" => ")
    if matched := _CODE_AND_MESSAGE.search(told):
        told = ": ".join(filter(None, matched.groups()))
    elif not is_more:
        told = ""
    told = _PLAINLY.get(told, told)
    if cause := re.search(r"^Source:\n +(.+)", text, re.MULTILINE):
        told = ": ".join(filter(None, (told, cause[1])))
    if unreached := _UNREACHED.search(told):
        told = f"the store cannot be reached: {_NO_SUCH_HOST.sub('there is no server of its name: ', unreached[1])}"
    status = re.search(r"status: (\d{3})", text)
    return told, status[1] if status else None


def _with_name(status: str) -> str:
    """A status with what it is called."""
    try:
        return f"{status} {HTTPStatus(int(status)).phrase}"
    except ValueError:
        return status


#: of the words that OpenDAL repeats of an answer in XML
_CODE_AND_MESSAGE = re.compile(r'code: "((?:[^"\\]|\\.)*)", message: "((?:[^"\\]|\\.)*)"')
#: what OpenDAL says of answers that are no range of what was asked for
_PLAINLY = {
    "reader got too much data": "the store sends more than it was asked for, as one that does not know ranges does",
    "reader got too little data": "the store sends less than it was asked for",
}
_FAULTY = re.compile("[345]..")
_UNREACHED = re.compile(r"client error \(Connect\): (?:tcp connect error: )?(.+)")
_NO_SUCH_HOST = re.compile(r"^dns error: (?:.+: )?")
#: but for "request timeout", "conflict" and "too many requests"
_PERMANENT = re.compile("[34]..(?<!408)(?<!409)(?<!429)")
_PASSING = (exceptions.Unexpected, exceptions.Error, exceptions.RateLimited, exceptions.Conflict)
#: at Amazon and at Alibaba Cloud, with the status of what a key may not do
_ARCHIVED = "InvalidObjectState"
_UNUSABLE = "the bucket's place cannot be used"
_NO_REASON = "it may lack a right, be wrong, or have ended"
_REASONS = tuple(
    (re.compile(codes), reason)
    for codes, reason in {
        "NoSuchBucket": "the bucket does not exist",
        "SignatureDoesNotMatch": "the secret does not belong to the key",
        "InvalidAccessKeyId": "the store does not know the key",
        "RequestTimeTooSkewed": "this machine's clock and the store's differ too much, set it right",
        "SecurityTokenExpired|ExpiredToken": "the time of the temporary key is up",
        "InvalidSecurityToken|InvalidToken": "the token is not the temporary key's",
        "AuthorizationHeaderMalformed|PermanentRedirect|IllegalLocationConstraint|Invalid signing region"
        "|must be addressed using the specified endpoint": "the bucket lies in another region than its place says",
    }.items()
)
