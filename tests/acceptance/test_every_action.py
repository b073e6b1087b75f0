"""Every action through the official SDKs: each documented field of its answer is there, with a value of its type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sdk_process import SdkProcess
from sqlalchemy import URL

from ims_answers import ANSWERS, EMPTY_FIELDS
from populated import CALLS, World, parameters_of, populate
from service_client import service
from stillframe.ims.registry import ACTIONS
from stillframe.testing import Clip

SDKS = ("ice6", "ice1", "core")


@pytest.fixture(scope="module")
def world(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory, film: Clip) -> Iterator[World]:
    with service(module_database_url, tmp_path_factory.mktemp("data"), slots=1) as running:
        yield populate(running, film.path)


@pytest.fixture(scope="module", params=SDKS)
def sdk(request: pytest.FixtureRequest, world: World) -> Iterator[SdkProcess]:
    key = world.service.assembly.keys.create(world.service.account_id)
    with SdkProcess(
        request.param,
        endpoint=f"127.0.0.1:{world.service.port}",
        access_key_id=key.access_key_id,
        access_key_secret=key.secret,
    ) as process:
        yield process


def test_every_action_has_its_call() -> None:
    assert {*CALLS} == {*ACTIONS}
    assert {*EMPTY_FIELDS} <= {*ACTIONS}
    assert all(reason for fields in EMPTY_FIELDS.values() for reason in fields.values())


def test_every_documented_field_has_a_value(sdk: SdkProcess, world: World) -> None:
    """Of a list, each item has them all."""
    flaws = {
        action: [*wrong(sdk.call(action, **parameters_of(action, world)), ANSWERS[action])]
        for action in ACTIONS
    }
    assert {action: found for action, found in flaws.items() if found} == {}


def wrong(value: Any, documented: Any, path: str = "") -> Iterator[str]:
    """Where a value is not as documented; what is not documented may be there besides."""
    match documented:
        case dict():
            for name, inner in documented.items():
                yield from wrong(value.get(name), inner, f"{path}.{name}" if path else name)
        case [item]:
            if not value:
                yield f"{path} is empty"
            for number, inner in enumerate(value or ()):
                yield from wrong(inner, item, f"{path}[{number}]")
        case _:
            if not TYPES[documented](value):
                yield f"{path} is {value!r}, and no {documented}"


TYPES = {
    "string": lambda value: isinstance(value, str) and value != "",
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
}


@pytest.mark.parametrize("sdk", ["ice6"], indirect=True)
def test_the_newest_sdk_documents_these_fields_and_no_others(sdk: SdkProcess) -> None:
    of_ims = [action.name for action in ACTIONS.values() if action.is_in_ims]
    documented = {action: sdk.documented(action) for action in of_ims}
    for action in of_ims:
        for path in EMPTY_FIELDS.get(action, ()):
            take_out(documented[action], path.split("."))
    assert documented == {action: ANSWERS[action] for action in of_ims}


def take_out(documented: Any, path: list[str]) -> None:
    inner = documented[0] if isinstance(documented, list) else documented
    if len(path) == 1:
        del inner[path[0]]
    else:
        take_out(inner[path[0]], path[1:])
