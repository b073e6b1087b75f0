"""The actions of the API, as the console is handed them: it does not know the API but by these words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from stillframe.accounts.signatures import Caller
from stillframe.service.permission import Circumstances


class Parameter(Protocol):
    """A parameter of an action, or a key of one that is an object: `name` is a path then, such as Input.Type.

    `default` and `example` are texts as they are sent. `is_config`: it holds keys of a snapshot config.
    """

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def is_required(self) -> bool: ...
    @property
    def default(self) -> str | None: ...
    @property
    def range(self) -> str: ...
    @property
    def pattern(self) -> str | None: ...
    @property
    def choices(self) -> Sequence[str]: ...
    @property
    def description(self) -> str: ...
    @property
    def example(self) -> str | None: ...
    @property
    def is_secret(self) -> bool: ...
    @property
    def is_config(self) -> bool: ...
    @property
    def is_in_ims(self) -> bool: ...
    @property
    def keys(self) -> Sequence[Parameter]: ...


class ApiAction(Protocol):
    """An action for people."""

    @property
    def name(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def access(self) -> Literal["read", "write"]: ...
    @property
    def is_in_ims(self) -> bool: ...
    @property
    def parameters(self) -> Sequence[Parameter]: ...


class ApiAnswer(Protocol):
    """What the API answers: a status and headers of HTTP, JSON, and how long it took."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...
    @property
    def request_id(self) -> str: ...
    @property
    def seconds(self) -> float: ...


class Answering(Protocol):
    """Calls an action for somebody, with their permissions and their limits. Errors are answers."""

    def __call__(
        self,
        name: str,
        parameters: Mapping[str, str],
        *,
        caller: Caller,
        circumstances: Circumstances,
        host: str,
    ) -> ApiAnswer: ...


def wrong_parameter(message: str) -> str | None:
    """The parameter that an error is about, as its message names it; of a key in an object, the object."""
    found = re.search(r'parameter "(\w+)', message)
    return found[1] if found else None


@dataclass(frozen=True, slots=True)
class ApiActions:
    """All actions in their groups, by the groups' titles, and the way to call one."""

    groups: Mapping[str, Sequence[ApiAction]]
    answer: Answering

    def find(self, name: str) -> ApiAction | None:
        """An action by its name."""
        return next((one for group in self.groups.values() for one in group if one.name == name), None)

    @property
    def secrets(self) -> frozenset[str]:
        """The names of parameters that hold a secret; answers that show one have it under the same name."""
        return frozenset(
            parameter.name
            for group in self.groups.values()
            for action in group
            for parameter in action.parameters
            if parameter.is_secret
        )
