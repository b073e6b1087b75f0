"""The keys of the service: what secrets are encrypted with at rest, and what tokens are signed with.

    keyring = Keyring.of(data_dir)
    stored = keyring.encrypt(access_key_secret)

The file (0600) has one Fernet key on each line, the newest first: it encrypts, all of them decrypt. Lines that
begin with `#` are comments. Losing the file is losing every access key's secret.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from stillframe.errors import KeyringError, os_reason

#: in the data folder
FILE_NAME: Final = "keyring"
_HEADING: Final = (
    "# Stillframe's keys, the newest first. Keep a copy in a safe place; never edit while serving.\n"
)
#: stands above the key that was added last, until it is promoted
_ADDED: Final = "# added, and not the first yet: stillframe keyring promote\n"
_HMAC_BYTES: Final = 32


class Keyring:
    """Encrypts with the newest key and decrypts with any. Shows nothing of itself in logs."""

    __slots__ = ("_fernet", "_first", "_keys")

    def __init__(self, keys: list[str]) -> None:
        try:
            self._first, *older = [Fernet(key) for key in keys]
        except ValueError:
            # whatever it is, it may be a secret: not even the cause is kept
            raise KeyringError(
                "the keyring has a line that is not a key (32 bytes in URL-safe base64)"
            ) from None
        self._fernet = MultiFernet([self._first, *older])
        self._keys = tuple(keys)

    @classmethod
    def of(cls, data_dir: Path, file: Path | None = None) -> Keyring:
        """A data folder's, as `open` has it, or what an operator has named: that is never made."""
        if file is not None and not file.exists():
            raise KeyringError(
                f"{file}: is not there: keyring_file names a copy of what the first server makes in its data folder"
            )
        return cls.open(file or data_dir / FILE_NAME)

    @classmethod
    def open(cls, path: Path) -> Keyring:
        """Read the key file; made with one new key when it is missing.

        Raises KeyringError when others than its owner may read it, it belongs to another user than this or root,
        or has no key.
        """
        with _naming(path):
            try:
                return cls(_keys_of(_read(path)))
            except FileNotFoundError:
                _create(path)
            return cls(_keys_of(_read(path)))

    @classmethod
    def add(cls, path: Path) -> Keyring:
        """Put a new key behind the others: it decrypts, and encrypts nothing yet. For the first step of a rotation."""
        with _naming(path):
            lines = _read(path)
            lines = [
                *(line for line in lines if line != _ADDED),
                _ADDED,
                f"{Fernet.generate_key().decode()}\n",
            ]
            _rewrite(path, lines)
            return cls(_keys_of(lines))

    @classmethod
    def promote(cls, path: Path) -> bool:
        """Put the key that was added in front of the others: it encrypts from the next start on, and all decrypt.

        False when it is there already. Raises KeyringError when there is one key alone.
        """
        with _naming(path):
            lines = _read(path)
            if len(_keys_of(lines)) == 1:
                raise KeyringError(f"{path}: has one key alone: run first: stillframe keyring add '{path}'")
            if _ADDED not in lines:
                return False
            place = lines.index(_ADDED)
            added = next(number for number in range(place, len(lines)) if _is_key(lines[number]))
            others = [line for number, line in enumerate(lines) if number not in (place, added)]
            first = next(number for number, line in enumerate(others) if _is_key(line))
            _rewrite(path, [*others[:first], lines[added], *others[first:]])
        return True

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"<Keyring of {len(self._keys)} keys>"

    def __reduce__(self) -> str:
        raise TypeError("a keyring is not to be pickled")

    def encrypt(self, secret: str) -> str:
        """The secret as ASCII text for the database."""
        return self._fernet.encrypt(secret.encode()).decode()

    def decrypt(self, stored: str) -> str:
        """The secret. Raises KeyringError when it was encrypted with a key that is not here, or was damaged."""
        try:
            return self._fernet.decrypt(stored.encode()).decode()
        except InvalidToken:
            raise KeyringError("a secret was encrypted with a key that the key file does not hold") from None

    def knows(self, stored: str) -> bool:
        """Whether one of the keys decrypts it."""
        return _opens(self._fernet, stored)

    def is_by_first(self, stored: str) -> bool:
        """Whether the first key alone decrypts it, so that it needs none of the others."""
        return _opens(self._first, stored)

    def encrypt_anew(self, stored: str) -> str:
        """The same secret, encrypted with the newest key: after a rotation, so that old keys can be removed."""
        try:
            return self._fernet.rotate(stored.encode()).decode()
        except InvalidToken:
            raise KeyringError("a secret was encrypted with a key that the key file does not hold") from None

    def hmac_key(self, purpose: str) -> bytes:
        """32 bytes for signing, independent for each purpose and of what encrypts (HKDF-SHA256, RFC 5869)."""
        return _derive(self._keys[0], purpose)

    def hmac_keys(self, purpose: str) -> tuple[bytes, ...]:
        """The keys to verify with: the newest first, then those of before a rotation."""
        return tuple(_derive(key, purpose) for key in self._keys)


def _opens(fernet: Fernet | MultiFernet, stored: str) -> bool:
    try:
        fernet.decrypt(stored.encode())
    except InvalidToken:
        return False
    return True


def _derive(key: str, purpose: str) -> bytes:
    info = b"stillframe hmac " + purpose.encode()
    return HKDF(algorithm=hashes.SHA256(), length=_HMAC_BYTES, salt=None, info=info).derive(key.encode())


def _read(path: Path) -> list[str]:
    """The lines of a file that has a key, each with its end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise KeyringError(f"{path}: is not a file")
        _demand_secrecy(path, status)
        lines = [f"{line.strip()}\n" for line in stream]
    if not any(map(_is_key, lines)):
        raise KeyringError(f"{path}: has no key: restore it from a copy")
    return lines


def _is_key(line: str) -> bool:
    return bool(line.strip()) and not line.startswith("#")


def _keys_of(lines: list[str]) -> list[str]:
    return [line.strip() for line in lines if _is_key(line)]


def _demand_secrecy(path: Path, status: os.stat_result) -> None:
    """The rule of PostgreSQL for its TLS key: the owner alone, or root and a group that it has given it to.

    Kubernetes and systemd hand secrets to unprivileged processes in the second way.
    """
    mode = stat.S_IMODE(status.st_mode)
    is_roots = status.st_uid == 0
    if not is_roots and status.st_uid != os.geteuid():
        raise KeyringError(
            f"{path}: belongs to the user {status.st_uid}, but this process is of the user {os.geteuid()}"
        )
    # whoever asks: root's commands and the service of the group take the same file
    if mode & (0o037 if is_roots else 0o077):
        raise KeyringError(
            f"{path}: others may read or change it (its mode is {mode:04o}): run: "
            f"chmod {'640' if is_roots else '600'} '{path}'"
        )


def _create(path: Path) -> None:
    """Make the file in one step; when another process was faster, its file stands."""
    temporary = _write_beside(path, [_HEADING, f"{Fernet.generate_key().decode()}\n"])
    try:
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(temporary)
    finally:
        temporary.unlink()
    _sync_folder(path.parent)


def _rewrite(path: Path, lines: list[str]) -> None:
    """Other lines in the same file, in one step: its owner, group and mode stay, and links go on leading to it."""
    path = path.resolve(strict=True)
    status = path.stat()
    temporary = _write_beside(path, lines)
    try:
        os.chown(temporary, status.st_uid, status.st_gid)
        temporary.chmod(stat.S_IMODE(status.st_mode))
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _write_beside(path: Path, lines: list[str]) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.writelines(lines)
            stream.flush()
            os.fsync(descriptor)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        advice = ": it is made in the data folder, which must exist" if error.errno == errno.ENOENT else ""
        raise KeyringError(f"{path}: {os_reason(error)}{advice}") from error
