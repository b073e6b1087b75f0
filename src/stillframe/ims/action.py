"""What an action is: its name, the models of what goes in and out, and the few lines that do it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_pascal

from stillframe.accounts.signatures import Caller
from stillframe.jobs.models import TriggerSource
from stillframe.service.errors import ApiError, shown
from stillframe.service.permission import Circumstances
from stillframe.service.use_cases import Services


class RequestModel(BaseModel):
    """The parameters of an action, or an object in one: PascalCase on the wire, nothing unknown."""

    model_config = ConfigDict(
        alias_generator=to_pascal, extra="forbid", frozen=True, hide_input_in_errors=True
    )


class AnswerObject(BaseModel):
    """An object in an answer: PascalCase on the wire; what is None does not appear."""

    model_config = ConfigDict(alias_generator=to_pascal, populate_by_name=True)


class Answer(AnswerObject):
    """The answer of an action. The endpoint sets its RequestId."""

    request_id: str = Field(
        default="", description="The id of this request, as it stands in the server's log."
    )


@dataclass(frozen=True, slots=True)
class Context:
    """What an action knows besides its parameters.

    `is_secure`: it came by https. `trigger_source`: by which face, which is kept with a job that is made.
    """

    caller: Caller
    request_id: str
    source_ip: str | None
    services: Services
    is_secure: bool
    arrived_at: datetime
    trigger_source: TriggerSource = "API"

    @property
    def circumstances(self) -> Circumstances:
        """What policies may ask of it."""
        return Circumstances(self.arrived_at, self.source_ip, self.is_secure)


@dataclass(frozen=True, slots=True)
class Action:
    """One action. `handler(context, request)` gets and returns instances of the two models.

    `errors` are codes of `error_table.ACTION_ERRORS` and when they are answered: those that the action finds itself.
    What follows from its parameters alone comes on top, in `all_errors`. `example` are parameters that show what it is
    for, as the SDK's users write them (an object, or its JSON as text) and without those that IMS does not have; ids in
    it stand for real ones. docs/actions/ is made of both.
    """

    name: str
    summary: str
    access: Literal["read", "write"]
    request: type[RequestModel]
    answer: type[Answer]
    handler: Callable[[Context, Any], Answer]
    errors: Mapping[str, str]
    example: Mapping[str, Any]
    is_in_ims: bool = True

    @property
    def permission(self) -> str:
        """The action as RAM policies spell it."""
        return f"ice:{self.name}"

    @property
    def all_errors(self) -> dict[str, str]:
        """Every code of its own that the action may answer, and when; those of `COMMON_ERRORS` may come, too."""
        found = {"InvalidParameter": _INVALID}
        if _demands(self.request):
            found["MissingParameter"] = _MISSING
        for code, when in self.errors.items():
            found[code] = f"{found[code]} {when}" if code in found else when
        return dict(sorted(found.items()))

    def parse(self, parameters: Mapping[str, str]) -> RequestModel:
        """The request's model. Raises ApiError for the first parameter that is missing, unknown or wrong.

        A known parameter without text (`Name=`) counts as absent.
        """
        known = {field.alias for field in self.request.model_fields.values()}
        given = {key: value for key, value in parameters.items() if value or key not in known}
        try:
            return self.request.model_validate(given)
        except ValidationError as error:
            raise _as_api_error(error, self.request) from None


#: stands for an id in examples
EXAMPLE_ID = "5a0c8f6b2f0e4d3a9b7c6d5e4f3a2b1c"

_INVALID = "A parameter that the action does not have, or a value that is not allowed; the message names it."
_MISSING = "A required parameter is left out."


def _demands(model: type[BaseModel]) -> bool:
    """Whether something must be given, in the parameters or in an object among them."""
    fields = model.model_fields.values()
    return any(field.is_required() or any(map(_demands, _models(field.annotation))) for field in fields)


def _as_api_error(error: ValidationError, model: type[BaseModel]) -> ApiError:
    # a misspelt name is both unknown and missing: the first says more
    first = min(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
    path = ".".join(str(part) for part in first["loc"])
    context = first.get("ctx", {})
    match first["type"]:
        case "missing":
            return ApiError("MissingParameter", path=path)
        case "extra_forbidden":
            allowed = f"left out: there is no such parameter{_hint(path, model)}"
        case "literal_error":
            allowed = f"one of {context['expected'].replace(' or ', ', ').replace(chr(39), '')}"
        case "not_allowed" | "secret_not_allowed":
            allowed = context["allowed"]
        case _:
            allowed = f"right ({first['msg']})"
    value = "(not shown)" if first["type"] == "secret_not_allowed" else first["input"]
    flaw = f"It is {shown(value)}, but must be {allowed}."
    return ApiError("InvalidParameter", path=path or "Parameters", flaw=flaw)


def _hint(wrong: str, model: type[BaseModel]) -> str:
    above, _, name = wrong.rpartition(".")
    # where two parameters have one name, the one that stands beside the wrong one
    paths = sorted(_paths(model), key=lambda path: path.rpartition(".")[0] == above)
    lower = {path.rpartition(".")[2].lower(): path for path in paths}
    close = difflib.get_close_matches(name[:64].lower(), lower, n=1)
    return f" (did you mean {lower[close[0]]}?)" if close else ""


def _paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for field in model.model_fields.values():
        path = f"{prefix}{field.alias}"
        yield path
        for inner in _models(field.annotation):
            yield from _paths(inner, f"{path}.")


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
