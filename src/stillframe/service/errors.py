"""ApiError: what goes wrong, as the wire tells it; and how Stillframe's own errors become one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stillframe.errors import (
    AlreadyRegistered,
    AuthenticationError,
    ConfigError,
    NotFound,
    QuotaExceeded,
    StillAtWork,
    StillframeError,
    Throttled,
    Unavailable,
)
from stillframe.service.error_table import ACS3_MISMATCH, ERRORS

#: a message that quotes a request does not grow with it
LONGEST_MESSAGE = 16_384
_LONGEST_VALUE = 200


class ApiError(Exception):
    """An answer that is not the one hoped for: a code of the table, and the facts that its message speaks of.

    The fact `flaw` is a sentence of its own and is put behind the table's message. `details` are further
    keys of the answer (AccessDeniedDetail).
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        retry_after_ms: int | None = None,
        details: Mapping[str, Any] | None = None,
        **facts: str,
    ) -> None:
        super().__init__(code, message, facts)
        kind = ERRORS[code]
        self.code = code
        self.status = kind.status
        self.retry_after_ms = retry_after_ms
        self.details = details or {}
        self.remedy = kind.remedy
        text = _told(kind.message, facts) if message is None else message
        self.message = text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}…"

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    def body(self, request_id: str, host_id: str) -> dict[str, Any]:
        """The answer's object."""
        return {
            "RequestId": request_id,
            "HostId": host_id,
            "Code": self.code,
            "Message": self.message,
            "Recommend": self.remedy,
            **self.details,
        }


def as_api_error(error: Exception) -> ApiError | None:
    """The error as the wire tells it; None for one that nobody foresaw, whose text must not go out."""
    match error:
        case ApiError():
            return error
        case AuthenticationError():
            is_acs3 = "canonical_request" in error.facts
            pattern = ACS3_MISMATCH if is_acs3 else ERRORS[error.code].message
            return ApiError(error.code, _told(pattern, error.facts))
        case ConfigError():
            flaw = f"It is {shown(error.value)}, but must be {error.allowed}."
            return ApiError(error.code, path=error.path, flaw=flaw)
        case NotFound():
            return ApiError(
                error.code, kind=error.kind, flaw=f"There is no {error.kind} {shown(error.name)}."
            )
        case AlreadyRegistered():
            flaw = f"Its MediaId is {error.media_id}."
            return ApiError(error.code, input_url=shown(error.input_url), flaw=flaw)
        case QuotaExceeded():
            return ApiError(
                error.code, kind=error.kind, flaw=f"{error.detail[:1].upper()}{error.detail[1:]}."
            )
        case Throttled():
            return ApiError(error.code, retry_after_ms=error.retry_after_ms)
        case Unavailable():
            return ApiError(error.code, flaw=f"The {error.part} cannot be reached at the moment.")
        case StillAtWork():
            return ApiError(error.code, flaw=f"{error.what[:1].upper()}{error.what[1:]} has not ended yet.")
        case StillframeError() if error.code in ERRORS:
            return ApiError(error.code, str(error))
        case _:
            return None


def _told(pattern: str, facts: Mapping[str, str]) -> str:
    text = pattern.format(**facts)
    return f"{text} {facts['flaw']}" if "flaw" in facts else text


def shown(value: object) -> str:
    """A value as a message quotes it, shortened."""
    text = repr(value[: _LONGEST_VALUE + 1]) if isinstance(value, str | bytes) else repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
