"""deploy/compose.yaml: what Compose takes, locked down, and each name in it leads somewhere."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
import yaml

from told import DEPLOY, ROOT

PATH = DEPLOY / "compose.yaml"
FOUND: dict[str, Any] = yaml.safe_load(PATH.read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = FOUND["services"]
OURS = [name for name in SERVICES if name != "postgres"]


def test_compose_takes_it() -> None:
    # the specification's own, as this package brings it
    schema = files("check_jsonschema.builtin_schemas.vendor") / "compose-spec.json"
    jsonschema.validate(FOUND, json.loads(schema.read_text(encoding="utf-8")))


def test_there_is_what_there_must_be() -> None:
    assert [*SERVICES] == ["postgres", "migration", "api", "worker"]
    assert SERVICES["migration"]["command"] == ["db", "upgrade"]
    assert "--no-worker" in SERVICES["api"]["command"]


@pytest.mark.parametrize("name", SERVICES)
def test_services_are_locked_down(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    if name in OURS:
        assert "cap_add" not in service


def test_they_wait_for_each_other_and_say_how_they_are() -> None:
    conditions = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in SERVICES.items()
    }
    assert conditions == {
        "postgres": {},
        "migration": {"postgres": "service_healthy"},
        "api": {"migration": "service_completed_successfully"},
        "worker": {"api": "service_healthy"},
    }
    for name in ("api", "worker"):
        command = SERVICES[name]["command"]
        port = command[command.index("--port") + 1]
        assert f"http://127.0.0.1:{port}/readyz" in SERVICES[name]["healthcheck"]["test"][-1]
    assert "pg_isready" in SERVICES["postgres"]["healthcheck"]["test"]


def test_secrets_are_files() -> None:
    for name, service in SERVICES.items():
        assert {*service["secrets"]} <= FOUND["secrets"].keys()
        for variable, value in service["environment"].items():
            assert "postgresql://" not in value
            if value.startswith("/run/secrets/"):
                assert value.removeprefix("/run/secrets/") in service["secrets"], (name, variable)
            assert not variable.endswith("PASSWORD")
    # never to be committed, and no part of the image
    assert all(each["file"].startswith("secrets/") for each in FOUND["secrets"].values())
    assert "/deploy/secrets/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_volumes_and_the_image_are_there() -> None:
    used = {each.partition(":")[0] for service in SERVICES.values() for each in service["volumes"]}
    assert used == {*FOUND["volumes"]}
    for name in OURS:
        build = SERVICES[name]["build"]
        assert ((PATH.parent / build["context"]).resolve() / build["dockerfile"]).samefile(
            DEPLOY / "Dockerfile"
        )
