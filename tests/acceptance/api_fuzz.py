"""Schemathesis against a real server: calls made of its generated parameters, mixed with those of a call that is right.

A parameter that is made up is refused almost always, so most calls keep some of what an action's example says, with
the ids of real things in it; what is generated comes in its place, beside it, or within its objects.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from zlib import crc32

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import (
    content_type_conformance,
    negative_data_rejection,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.failures import Failure, FailureGroup

from documented_errors import demand_documented
from ims_signer import Acs3, RpcV1
from populated import World, made_real, parameters_of
from stillframe.ims.registry import ACTIONS

#: nothing that is called takes so long, on any machine
DEADLINE_S = 30
#: how much of the example is kept: all of it is a call that is right, nothing one that is made up
SHARES = (1.0, 0.8, 0.6, 0.3, 0.0)
#: three of four as the document allows, by their places among Schemathesis's modes
MODES = (0, 0, 0, 1)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


class Signing(requests.auth.AuthBase):
    """Sends a request to where it really goes, and signs it: in turn by each signature, in the query or in a form."""

    def __init__(self, access_key_id: str, secret: str) -> None:
        self._signers = (Acs3(access_key_id, secret), RpcV1(access_key_id, secret))
        self._number = 0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        url = urlsplit(str(request.url))
        pairs = parse_qsl(url.query, keep_blank_values=True)
        self._number += 1
        place = "query" if self._number % 2 else "form"
        signed = self._signers[self._number // 2 % 2].sign(
            "POST", url.netloc, url.path.removeprefix("/"), **{place: pairs}
        )
        request.url = f"http://{url.netloc}{signed.target}"
        request.headers.update(signed.headers)
        request.prepare_body(signed.body, None)
        return request


class Fuzz:
    """Calls of every action. `answered` counts statuses by action, `flaws` says what no call should have been told."""

    def __init__(self, document: dict[str, Any], endpoint: str, signing: Signing, world: World) -> None:
        self._schema = schemathesis.openapi.from_dict(strict(document))
        self._endpoint = endpoint
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.auth = signing
        self._world = world
        self.answered: dict[str, Counter[int]] = {}
        self.flaws: list[str] = []

    def run(self, calls: int, number: int) -> None:
        """At least so many calls, and as many of each action as of the others. The same number gives the same calls."""
        self.answered.clear()
        while (missing := calls - sum(self.answered.values(), Counter()).total()) > 0:
            for action in ACTIONS:
                self._run(action, -(-missing // len(ACTIONS)), number)
            number += 1

    def _run(self, action: str, calls: int, number: int) -> None:
        operation = self._schema[f"/{action}"]["POST"]
        cases = [operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode]

        @seed(crc32(f"{action} {number}".encode()))
        @settings(
            max_examples=calls,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=[*HealthCheck],
        )
        @given(
            case=st.sampled_from(MODES).flatmap(cases.__getitem__),
            share=st.sampled_from(SHARES),
            # what Hypothesis draws itself tends to zero, and would keep the example
            random=st.integers(0, 2**32).map(Random),
        )
        def call(case: schemathesis.Case, share: float, random: Random) -> None:
            checks = CHECKS
            if share == 0:
                # what is empty counts as left out, which the document has no word for
                if all(value not in ("", [], {}, None) for value in case.query.values()):
                    checks = [*CHECKS, negative_data_rejection]
            else:
                self._mix(action, case, share, random)
            self._call(action, case, checks)

        call()

    def _mix(self, action: str, case: schemathesis.Case, share: float, random: Random) -> None:
        text = json.dumps(mixed(decoded(case.query), ACTIONS[action].example, share, random))
        text = made_real(text, action, parameters_of(action, self._world))
        case.query = {
            name: json.dumps(value) if isinstance(value, dict) else value
            for name, value in json.loads(text).items()
        }

    def _call(self, action: str, case: schemathesis.Case, checks: list[schemathesis.CheckFunction]) -> None:
        try:
            answer = case.call(base_url=self._endpoint, session=self._session, timeout=DEADLINE_S)
            self.answered.setdefault(action, Counter())[answer.status_code] += 1
            case.validate_response(answer, checks=checks)
            if answer.status_code != 200:
                demand_documented(action, answer.json()["Code"])
        except (FailureGroup, Failure, AssertionError, requests.RequestException) as flaw:
            self.flaws.append(f"{action} {case.query}: {flaw!r}")


def strict(document: dict[str, Any]) -> dict[str, Any]:
    """The document, without what the signing sees to, and such that an answer may have no field that is not in it."""
    answers = {
        name: {"additionalProperties": False, **model}
        for name, model in document["components"]["schemas"].items()
    }
    return {
        **{name: part for name, part in document.items() if name != "security"},
        "components": {"schemas": answers},
    }


def decoded(query: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with objects as objects: Schemathesis has made text of them."""
    return {name: _object(value) for name, value in query.items()}


def _object(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("{"):
        try:
            return json.loads(value)
        except ValueError:
            pass
    return value


def mixed(
    generated: Mapping[str, Any], example: Mapping[str, Any], share: float, random: Random
) -> dict[str, Any]:
    """The generated parameters, with about so much of the example in their place."""
    found = {name: value for name, value in generated.items() if name in example or random.random() >= share}
    for name, value in example.items():
        theirs = found.get(name)
        if isinstance(value, Mapping) and isinstance(theirs, Mapping):
            found[name] = mixed(theirs, value, share, random)
        elif random.random() < share:
            found[name] = value
    return found
