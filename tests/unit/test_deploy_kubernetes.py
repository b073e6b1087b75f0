"""deploy/kubernetes: each manifest is one that Kubernetes takes, locked down, and each name in it leads somewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from told import DEPLOY

#: the oldest that its makers still look after, or so, and the newest that is known
VERSIONS = ("1.31", kubernetes_validate.latest_version())
TEXT = {"type": "string", "minLength": 1}
NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}
COUNT = {"type": "integer", "minimum": 0}
#: what we use of https://keda.sh/docs/latest/reference/scaledobject-spec/, and nothing else
SCALED_OBJECT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "keda.sh/v1alpha1"},
        "kind": {"const": "ScaledObject"},
        "metadata": {"type": "object", "required": ["name"], "properties": {"name": NAME}},
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "required": ["scaleTargetRef", "triggers"],
            "properties": {
                "scaleTargetRef": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["name"],
                    "properties": {"name": NAME, "kind": TEXT, "apiVersion": TEXT},
                },
                "minReplicaCount": COUNT,
                "maxReplicaCount": COUNT,
                "pollingInterval": COUNT,
                "cooldownPeriod": COUNT,
                "advanced": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "horizontalPodAutoscalerConfig": {
                            "type": "object",
                            "additionalProperties": False,
                            # as a HorizontalPodAutoscaler has it: checked as one
                            "properties": {"behavior": {"type": "object"}},
                        }
                    },
                },
                "triggers": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["type", "metadata"],
                        "properties": {
                            "type": {"const": "prometheus"},
                            "metadata": {
                                "type": "object",
                                "additionalProperties": False,
                                "required": ["serverAddress", "query", "threshold"],
                                # a number in YAML is refused by KEDA
                                "properties": {
                                    "serverAddress": {"type": "string", "pattern": "^https?://"},
                                    "query": TEXT,
                                    "threshold": {"type": "string", "pattern": "^[0-9.]+$"},
                                    "activationThreshold": {"type": "string", "pattern": "^[0-9.]+$"},
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}


def documents() -> Iterator[dict[str, Any]]:
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


ALL = {f"{found['kind']} {found['metadata']['name']}": found for found in documents()}
PODS = {name: found["spec"]["template"] for name, found in ALL.items() if "template" in found["spec"]}


def labels(template: dict[str, Any]) -> set[tuple[str, str]]:
    return {*template["metadata"]["labels"].items()}


def test_there_is_what_there_must_be() -> None:
    assert {"Job stillframe-migration", "Deployment stillframe-api", "Deployment stillframe-worker"} == {
        *PODS
    }
    assert {
        "Service stillframe-api",
        "PodDisruptionBudget stillframe-api",
        "PodDisruptionBudget stillframe-worker",
        "ScaledObject stillframe-worker",
        "NetworkPolicy stillframe-worker",
    } <= {*ALL}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ALL)
def test_kubernetes_takes_it(name: str, version: str) -> None:
    found = ALL[name]
    if found["kind"] == "ScaledObject":
        jsonschema.validate(found, SCALED_OBJECT)
        found = as_autoscaler(found)
    kubernetes_validate.validate(found, version, strict=True)


def as_autoscaler(scaled: dict[str, Any]) -> dict[str, Any]:
    """The HorizontalPodAutoscaler that KEDA makes of it."""
    spec = scaled["spec"]
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": scaled["metadata"],
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", **spec["scaleTargetRef"]},
            "maxReplicas": spec["maxReplicaCount"],
            **spec["advanced"]["horizontalPodAutoscalerConfig"],
        },
    }


def test_a_wrong_field_is_noticed() -> None:
    found = ALL["Deployment stillframe-api"]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(
            {**found, "spec": {**found["spec"], "replica": 2}}, VERSIONS[0], strict=True
        )


@pytest.mark.parametrize("name", PODS)
def test_pods_are_locked_down(name: str) -> None:
    pod = PODS[name]["spec"]
    assert pod["automountServiceAccountToken"] is False
    # the variables of a Service look like settings, and no process would start
    assert pod["enableServiceLinks"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("name", [name for name in PODS if name.startswith("Deployment")])
def test_they_are_asked_how_they_are_where_they_listen(name: str) -> None:
    (container,) = PODS[name]["spec"]["containers"]
    port = str(container["ports"][0]["containerPort"])
    assert container["args"][container["args"].index("--port") + 1] == port
    assert PODS[name]["metadata"]["annotations"]["prometheus.io/port"] == port
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    drain_s = float(
        {each["name"]: each.get("value") for each in container["env"]}.get("STILLFRAME_DRAIN_SECONDS", "20")
    )
    assert PODS[name]["spec"]["terminationGracePeriodSeconds"] > drain_s + 20


@pytest.mark.parametrize("name", PODS)
def test_secrets_are_files_that_the_group_may_read(name: str) -> None:
    pod = PODS[name]["spec"]
    (container,) = pod["containers"]
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    volumes = {each["name"]: each for each in pod["volumes"]}
    assert mounts.keys() == volumes.keys()
    assert volumes["secrets"]["secret"]["defaultMode"] == 0o440
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]
    for each in container["env"]:
        assert "postgresql://" not in each["value"]
        if each["name"] in ("STILLFRAME_CONFIG", "STILLFRAME_KEYRING_FILE"):
            assert each["value"].startswith(mounts["secrets"] + "/")


def test_every_selector_selects_something() -> None:
    everybody = [labels(template) for template in PODS.values()]
    for name, found in ALL.items():
        spec = found["spec"]
        selector = spec.get("podSelector") or spec.get("selector")
        if selector is None:
            continue
        wanted = {*selector.get("matchLabels", selector).items()}
        assert any(wanted <= each for each in everybody), name
        if "template" in spec:
            assert wanted <= labels(spec["template"])
    target = ALL["ScaledObject stillframe-worker"]["spec"]["scaleTargetRef"]["name"]
    assert f"Deployment {target}" in PODS


def test_all_run_the_same_image() -> None:
    assert len({each["image"] for pod in PODS.values() for each in pod["spec"]["containers"]}) == 1
