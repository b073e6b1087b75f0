"""Every error that Stillframe raises on purpose.

StillframeError
├── ConfigError      a parameter has a value that is not allowed
│   └── NotSupported a value that is right in itself, but not supported (yet, or together with another)
├── AuthenticationError  the caller did not prove who it is
├── NotFound         what a parameter names does not exist, or belongs to somebody else
├── IdempotentParameterMismatch  a ClientToken was used before, for something else
├── AlreadyRegistered  there is a media asset of this object
├── AlreadyThere     there is an object of this key, which was not to be replaced
├── QuotaExceeded    there are as many of something as there may be
├── Throttled        too many requests of this caller, for now
├── Unavailable      a part of the service is away for a moment
├── RequestFailed    a server that we have called refused the request, or could not be reached
├── SourceError      the input cannot be read (missing, no permission, changed while being read)
│   └── TooMuchRead  more of it would have to be read than MaxReadBytes allows
├── MediaError       the input was read, but no picture can be made of it
│   └── PastTheEnd   the one moment that was asked for lies behind the end of the video
├── SinkError        an output cannot be written (no folder, no permission, disk full)
├── SettingsError    a setting is unknown or has a value that is not allowed
├── KeyringError     the key file cannot be used, or a secret was encrypted with another one
├── DatabaseError    the database cannot be started, reached or brought up to date
│   └── DataFolderInUse   another server works in the data folder
└── SandboxError     the decoding child
    ├── SandboxUnavailable   it cannot be locked in here (what is missing)
    └── ChildKilled          it was killed, or died, before its work was done (why)

Errors carry data; the command and the service turn them into text for people and for the wire.
"""

from __future__ import annotations

import errno
from typing import Literal


class StillframeError(Exception):
    """Something that a user can understand and mend."""

    #: the code that IMS users know (`ims_api`, section errors)
    code: str = "InternalError"


class ConfigError(StillframeError, ValueError):
    """A parameter has a value that is not allowed.

    `path` is the parameter as users write it in JSON (`SpriteSnapshotConfig.Columns`), `value` what was
    given, `allowed` says in words what would have been right.
    """

    code = "InvalidParameter"

    def __init__(self, path: str, value: object, allowed: str) -> None:
        super().__init__(path, value, allowed)
        self.path = path
        self.value = value
        self.allowed = allowed

    def __str__(self) -> str:
        return f"{self.path} is {_shown(self.value)}, but must be {self.allowed}"


class NotSupported(ConfigError):
    """A value that is right in itself, but is not supported."""

    code = "InvalidParameter.NotSupport"


class AuthenticationError(StillframeError):
    """The caller did not prove who it is.

    `code` is the gateway's (`ims_api`, section errors); `facts` are what its message speaks of.
    """

    def __init__(self, code: str, **facts: str) -> None:
        super().__init__(code, facts)
        self.code = code
        self.facts = facts

    def __str__(self) -> str:
        return f"{self.code}: {', '.join(f'{name} {_shown(value)}' for name, value in self.facts.items())}"


class NotFound(StillframeError):
    """What a parameter names does not exist, or belongs to somebody else.

    `kind` is the word that users know (`Job`, `Pipeline`, `Template`, `Bucket`), `name` what they wrote.
    """

    code = "ResourceNotFound"

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(kind, name)
        self.kind = kind
        self.name = name

    def __str__(self) -> str:
        return f"there is no {self.kind} {_shown(self.name)}"


class IdempotentParameterMismatch(StillframeError):
    """A ClientToken was used before, with other parameters."""

    code = "IdempotentParameterMismatch"

    def __init__(self, client_token: str) -> None:
        super().__init__(client_token)
        self.client_token = client_token

    def __str__(self) -> str:
        return f"the ClientToken {_shown(self.client_token)} was used before, with other parameters"


class AlreadyRegistered(StillframeError):
    """There is a media asset of this object, with the id `media_id`; `input_url` is what the caller wrote."""

    code = "MediaAlreadyExist"

    def __init__(self, input_url: str, media_id: str) -> None:
        super().__init__(input_url, media_id)
        self.input_url = input_url
        self.media_id = media_id

    def __str__(self) -> str:
        return f"{_shown(self.input_url)} is registered already, as the media asset {self.media_id}"


class AlreadyThere(StillframeError):
    """There is an object of this key, of so many bytes, which was not to be replaced."""

    code = "OperationDenied"

    def __init__(self, address: str, size: int) -> None:
        super().__init__(address, size)
        self.address = address
        self.size = size

    def __str__(self) -> str:
        return f"{self.address} is there already, with {self.size:,} bytes"


class QuotaExceeded(StillframeError):
    """There are as many of something as there may be. `kind` is the word that users know (`Pipeline`)."""

    code = "PermissionDenied.ResourceQuotaExceed"

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail

    def __str__(self) -> str:
        return f"the quota of the {self.kind} is used up: {self.detail}"


class Throttled(StillframeError):
    """Too many requests of this caller; `retry_after_ms` says when the next one may come."""

    code = "Throttling.User"

    def __init__(self, retry_after_ms: int) -> None:
        super().__init__(retry_after_ms)
        self.retry_after_ms = retry_after_ms

    def __str__(self) -> str:
        return f"too many requests; the next one may come in {self.retry_after_ms} ms"


class Unavailable(StillframeError):
    """A part of the service (the database, most often) is away for a moment; `part` names it."""

    code = "ServiceUnavailable"

    def __init__(self, part: str) -> None:
        super().__init__(part)
        self.part = part

    def __str__(self) -> str:
        return f"the {self.part} cannot be reached at the moment"


class StillAtWork(StillframeError):
    """What was to be ended did not end in time; the same request, sent again, goes on with it. `what` names it."""

    code = "ServiceUnavailable"

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"{self.what} has not ended yet"


class RequestFailed(StillframeError):
    """A server that we have called refused the request, or could not be reached.

    `code` is the one that it answered, ServiceUnavailable when there was no answer. `transient`: the same may work
    a little later.
    """

    def __init__(self, code: str, message: str, *, transient: bool = False) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.transient = transient

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class SourceError(StillframeError, OSError):
    """The input cannot be read. `transient`: the same may work a little later (a disk or a network at fault)."""

    code = "ResourceNotFound"

    def __init__(self, source: str, message: str, *, transient: bool = False) -> None:
        super().__init__(source, message)
        self.source = source
        self.message = message
        self.transient = transient

    def __str__(self) -> str:
        return f"{self.source}: {self.message}"


class TooMuchRead(SourceError):
    """More of the input would have to be read than is allowed (MaxReadBytes, or the operator's `max_read_bytes`)."""

    code = "MaxReadBytesExceeded"

    def __init__(self, source: str, most_bytes: int, size: int) -> None:
        message = (
            f"more than {most_bytes:,} bytes (MaxReadBytes) of its {size:,} would have to be read: "
            "ask for fewer shots, or for keyframes (FrameType intra), or allow more"
        )
        super().__init__(source, message)
        self.args = (source, most_bytes, size)
        self.most_bytes = most_bytes
        self.size = size


class MediaError(StillframeError):
    """No picture can be made of the input.

    `reason` is a short word for programs: empty, not-video, playlist, audio-only, cover-only, encrypted,
    unknown-codec, zero-size, too-large, damaged, no-picture, past-the-end.
    """

    code = "InvalidParameter.ResourceContentBad"

    def __init__(self, source: str, reason: str, message: str) -> None:
        super().__init__(source, reason, message)
        self.source = source
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return f"{self.source}: {self.message}"


class PastTheEnd(MediaError):
    """The one moment that was asked for lies behind the end of the video."""

    code = "InvalidParameter"

    def __init__(self, source: str, message: str) -> None:
        super().__init__(source, "past-the-end", message)
        self.args = (source, message)


class SinkError(StillframeError, OSError):
    """An output cannot be written. `transient`: the same may work a little later (the disk was full)."""

    code = "OperationDenied"

    def __init__(self, output: str, message: str, *, transient: bool = False) -> None:
        super().__init__(output, message)
        self.output = output
        self.message = message
        self.transient = transient

    def __str__(self) -> str:
        return f"{self.output}: {self.message}"


class SettingsError(StillframeError, ValueError):
    """A setting is unknown or has a value that is not allowed.

    `setting` is its name as it was written (`port`, `STILLFRAME_PORT`), `origin` where it was written.
    """

    def __init__(self, setting: str, origin: str, message: str) -> None:
        super().__init__(setting, origin, message)
        self.setting = setting
        self.origin = origin
        self.message = message

    def __str__(self) -> str:
        return f"{self.setting} ({self.origin}): {self.message}"


class KeyringError(StillframeError):
    """The key file cannot be used, or a secret was encrypted with a key that it does not hold."""


class DatabaseError(StillframeError):
    """The database cannot be started, reached or brought up to date."""


class DataFolderInUse(DatabaseError):
    """Another server works in the data folder. `pid` and `url` are its, None where they are not known."""

    def __init__(self, folder: str, pid: int | None, url: str | None = None) -> None:
        super().__init__(folder, pid, url)
        self.folder = folder
        self.pid = pid
        self.url = url

    def __str__(self) -> str:
        holder = (
            f"process {self.pid}"
            if self.pid
            else f"the server at {self.url}"
            if self.url
            else "another process"
        )
        return (
            f"{self.folder} is in use by {holder}: stop that server, or choose another folder with --data-dir"
        )


class SandboxError(StillframeError):
    """The decoding child cannot be had, or did not do its work."""


class SandboxUnavailable(SandboxError):
    """The decoder cannot be locked in here, so nothing is decoded. `missing` says what is not there, in words."""

    def __init__(self, missing: tuple[str, ...]) -> None:
        super().__init__(missing)
        self.missing = missing

    def __str__(self) -> str:
        return f"the decoder cannot be locked in on this system: {'; '.join(self.missing)}"


KillReason = Literal["no-progress", "time", "memory", "protocol", "crash", "cancelled"]


class ChildKilled(SandboxError):
    """The decoding child was killed, or died by itself, before its work was done.

    `reason`: no-progress, time (the hard cap), memory (it needs more than it may have), protocol (what it said
    cannot be true), crash, cancelled (the caller wanted no more). `detail` is for people.
    """

    def __init__(self, reason: KillReason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason: KillReason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"the decoder was stopped ({self.reason}): {self.detail}"


def may_pass(error: OSError) -> bool:
    """Whether the same may work a little later: what is at fault is a disk or a network, or something is short."""
    return error.errno in _PASSING


def os_reason(error: OSError | ValueError) -> str:
    """What the system says, in words that go on after a file's name and a colon."""
    number = error.errno if isinstance(error, OSError) else None
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return _OS_REASONS.get(number or 0, text[:1].lower() + text[1:])


#: the disk is full or at fault, a server of files is away, or this process is short of something
_PASSING = frozenset(
    (
        *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EBUSY),
        *(errno.EAGAIN, errno.EINTR, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOLCK),
        *(errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ECONNREFUSED),
    )
)

_OS_REASONS = {
    errno.ENOENT: "no such file",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOSPC: "no space left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EISDIR: "is a folder",
}


def _shown(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
