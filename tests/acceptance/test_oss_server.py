"""The OSS server of the tests as clients of others see it: were it wrong, so were all that is tested against it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from hashlib import md5
from typing import Any

import httpx
import pytest
from sdk_process import HERE, INSTALL

from oss_server import KEY_ID, SECRET, OssServer

DATA = bytes(range(256)) * 64
ETAG = md5(DATA).hexdigest().upper()

VERSIONS = ["v1", "v4"]
#: the newer SDK sends the token of V1 under a name that no description of OSS's has
TEMPORARY = {"oss2": VERSIONS, "v2": ["v4"]}


rest = partial(pytest.param, marks=pytest.mark.full)


class Sdk:
    """An SDK in a process of its own."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name = name
        self._process = process

    def round(self, oss: OssServer, version: str, *keys: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        oss.make_bucket("films")
        self._process.stdin.write(json.dumps([version, oss.endpoint, "films", *keys]) + "\n")
        self._process.stdin.flush()
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        return told


@pytest.fixture(scope="module", params=TEMPORARY)
def sdk(request: pytest.FixtureRequest) -> Iterator[Sdk]:
    environment = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    with subprocess.Popen(
        [sys.executable, str(HERE / "drive_oss.py"), request.param],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=environment | {"PYTHONPATH": str(INSTALL("oss")), "PYTHONIOENCODING": "utf-8"},
    ) as process:
        yield Sdk(request.param, process)


@pytest.mark.parametrize("version", VERSIONS)
def test_all_that_a_client_of_others_does(oss: OssServer, sdk: Sdk, version: str) -> None:
    keys = [KEY_ID, SECRET]
    if version in TEMPORARY[sdk.name]:
        keys = ["STS.1", "for a while", "a token/+="]
        oss.add_keys(*keys, lifetime_s=600)
    told = sdk.round(oss, version, *keys)
    demand_a_link_for_one_object(oss, told.pop("signed"))
    assert told.pop("multipart_etag").endswith("-3")
    assert told == {
        "put": ETAG,
        "get": True,
        "range": bytes(range(10)).hex(),
        "head": [len(DATA), ETAG, "image/jpeg", "max-age=60"],
        "if_match": [412, "PreconditionFailed"],
        "multipart": True,
        "list": ["x/1", "x/2", "x/y/3"],
        "groups": ["x/1", "x/2", "x/y/"],
        "gone": [404, "NoSuchKey"],
    }


@pytest.mark.parametrize(
    ("ahead_s", "keys", "code"),
    [
        pytest.param(0, [KEY_ID, "wrong"], "SignatureDoesNotMatch", id="a wrong secret"),
        rest(0, ["LTAI-nobody", SECRET], "InvalidAccessKeyId", id="an unknown key"),
        # the newer SDK tries again, for seconds
        rest(1000, [KEY_ID, SECRET], "RequestTimeTooSkewed", id="a clock that is late"),
        rest(-1000, [KEY_ID, SECRET], "RequestTimeTooSkewed", id="a clock that is early"),
        rest(0, ["STS.2", "s", "old"], "SecurityTokenExpired", id="a token that has expired"),
        rest(0, ["STS.2", "s", "other"], "InvalidSecurityToken", id="another token"),
    ],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_who_is_refused(
    oss: OssServer, sdk: Sdk, version: str, ahead_s: float, keys: list[str], code: str
) -> None:
    if len(keys) == 3 and version not in TEMPORARY[sdk.name]:
        code = "InvalidSecurityToken"
    oss.add_keys("STS.2", "s", "old", lifetime_s=-1)
    oss.set_clock(ahead_s)
    try:
        told = sdk.round(oss, version, *keys)
    finally:
        oss.set_clock(0)
    assert told == {"refused": [403, code]}


def demand_a_link_for_one_object(oss: OssServer, link: str) -> None:
    """It reads that object, and for so long; it was not tampered with."""
    changed = [
        link.replace("c.jpg", "d.jpg"),
        re.sub(r"((?:oss-e|E)xpires=)(\d+)", lambda found: f"{found[1]}{int(found[2]) + 1}", link),
        link.replace("ignature=", "ignature=A"),
    ]
    with httpx.Client(trust_env=False) as http:
        linked = http.get(link)
        assert (linked.status_code, linked.content) == (200, DATA)
        for url in changed:
            assert url != link
            assert "SignatureDoesNotMatch" in http.get(url).text
        oss.set_clock(120)
        try:
            assert "Request has expired" in http.get(link).text
        finally:
            oss.set_clock(0)
