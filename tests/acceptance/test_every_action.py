"""Every action, through the official SDKs and by the examples of its page.

Each documented field of an answer is there, with a value of its type.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sdk_process import SdkProcess
from sqlalchemy import URL
from typer.main import get_command

from ims_answers import ANSWERS, EMPTY_FIELDS
from populated import CALLS, World, made_real, parameters_of, populate
from service_client import Service, service
from stillframe.cli.main import app_for
from stillframe.ims.registry import ACTIONS
from stillframe.testing import Clip

PAGES = Path(__file__).parents[2] / "docs" / "actions"
SDKS = ("ice6", "ice1", "core")


@pytest.fixture(scope="module")
def running(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(module_database_url, tmp_path_factory.mktemp("data"), slots=1) as started:
        yield started


@pytest.fixture(scope="module")
def world(running: Service, film: Clip) -> World:
    return populate(running.client, running.folder, film.path)


@pytest.fixture(scope="module")
def environment(running: Service) -> dict[str, str]:
    """Where the service is and a key for it, as the examples take them."""
    key = running.assembly.keys.create(running.account_id)
    return {
        "STILLFRAME_ENDPOINT": f"127.0.0.1:{running.port}",
        "STILLFRAME_ACCESS_KEY_ID": key.access_key_id,
        "STILLFRAME_ACCESS_KEY_SECRET": key.secret,
    }


@pytest.fixture(scope="module", params=SDKS)
def sdk(request: pytest.FixtureRequest, environment: dict[str, str]) -> Iterator[SdkProcess]:
    settings = {name.removeprefix("STILLFRAME_").lower(): value for name, value in environment.items()}
    with SdkProcess(request.param, **settings) as process:
        yield process


def test_every_action_has_its_call() -> None:
    assert {*CALLS} == {*ACTIONS}
    assert {*EMPTY_FIELDS} <= {*ACTIONS}
    assert all(reason for fields in EMPTY_FIELDS.values() for reason in fields.values())


def test_every_documented_field_has_a_value(sdk: SdkProcess, world: World) -> None:
    """Of a list, each item has them all. An older SDK drops what it does not know yet."""
    flaws = {
        action: [
            *wrong(
                sdk.call(action, **parameters_of(action, world)),
                known_to(sdk.documented(action), ANSWERS[action]),
            )
        ]
        for action in ACTIONS
    }
    assert {action: found for action, found in flaws.items() if found} == {}


def known_to(sdk: Any, documented: Any) -> Any:
    """What is documented and an SDK knows; all of it where the SDK gives answers as they are."""
    match documented:
        case dict() if sdk is not None:
            return {name: known_to(sdk[name], inner) for name, inner in documented.items() if name in sdk}
        case [item] if sdk is not None:
            return [known_to(sdk[0], item)]
        case _:
            return documented


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
    "object": lambda value: isinstance(value, dict),
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


@pytest.mark.parametrize("sdk", ["ice6"], indirect=True)
def test_the_programs_of_the_pages_run(sdk: SdkProcess, world: World, environment: dict[str, str]) -> None:
    for action in ACTIONS:
        (program,) = on_page(action, "python", world)
        answer = ast.literal_eval(sdk.printed(program, environment))
        # what was sent without a parameter that the SDK does not know would be answered all the same
        assert answer.keys() >= {"RequestId"}, action


def test_the_commands_of_the_pages_run(
    world: World,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    for name, value in {**environment, "STILLFRAME_DATA_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    command = get_command(app_for([]))
    for action in ACTIONS:
        line, _ = on_page(action, "sh", world)
        _, *arguments = shlex.split(line)
        capsys.readouterr()
        command(arguments, standalone_mode=False)
        # the service logs to the same place, in lines
        out = capsys.readouterr().out
        assert "RequestId" in json.JSONDecoder().raw_decode(out, out.index("{\n"))[0], action


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_curl_sends_what_the_command_has_signed(
    world: World, environment: dict[str, str], tmp_path: Path
) -> None:
    _, line = on_page("SubmitSnapshotJob", "sh", world)
    script = f'PATH="$PROGRAMS:$PATH"; {line}'
    programs = {
        "PROGRAMS": sysconfig.get_path("scripts"),
        "STILLFRAME_DATA_DIR": str(tmp_path),
        "NO_PROXY": "*",
    }
    sent = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, **environment, **programs},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(sent.stdout).keys() == {"RequestId", "JobId"}


def on_page(action: str, language: str, world: World) -> list[str]:
    """The examples of an action's page in a language, with real ids."""
    text = (PAGES / f"{action}.md").read_text(encoding="utf-8")
    text = made_real(text, action, parameters_of(action, world))
    return re.findall(f"```{language}\n(.*?)\n```", text, re.DOTALL)
