"""Names that people give to accounts, users and policies; ids and secrets that nobody can guess."""

from __future__ import annotations

import re
import secrets
import string

from stillframe.errors import ConfigError

_LETTERS = string.ascii_letters + string.digits
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: without a dot or a slash, so that a name is never taken for a file's
_POLICY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,127}")


def demand_name(kind: str, name: str) -> None:
    """Raise ConfigError unless it can be the name of an account, a user or a role."""
    if not _NAME.fullmatch(name):
        raise ConfigError(kind, name, "1 to 64 letters, digits, dots, hyphens and underscores")


def is_policy_name(text: str) -> bool:
    """Whether it can be the name of a policy."""
    return _POLICY_NAME.fullmatch(text) is not None


def demand_policy_name(name: str) -> None:
    """Raise ConfigError unless it can be the name of a policy."""
    if not is_policy_name(name):
        raise ConfigError("Policy", name, "1 to 128 letters, digits and hyphens")


def new_number(digits: int) -> str:
    """A number of so many digits, as the ids of accounts and users are."""
    lowest = 10 ** (digits - 1)
    return str(lowest + secrets.randbelow(9 * lowest))


def random_letters(length: int) -> str:
    """Letters and digits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))
