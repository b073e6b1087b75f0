"""Amazon on loopback, as far as moto goes: S3, IAM and STS in one server, which checks its clients' keys and rights.

    role = moto.role("films", "s3:GetObject")
    place = moto.make_bucket("films")    # "s3://films?endpoint=http://127.0.0.1:41234"

It shows what Swift has not: users, roles and policies, storage classes, versions, hosts with a bucket's name. It looks
at signatures in headers (by botocore's way to calculate them), at tokens, at actions, and at a role's external id. It
does not look at regions, at clocks, at the end of a token, at links (signatures in URLs) and at what a pod's token
says: for these there are Swift and our own servers.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from stillframe.storage.keys import Keys
from stillframe.storage.sts import aws_signature

INSTALLER = Path(__file__).parents[1] / "scripts" / "install_sdks.py"
_START_S = 60
#: keys in one answer to a list, of which Amazon gives 1,000
PAGE = 3
EXTERNAL_ID = "an id/+"


@dataclass(frozen=True)
class MotoServer:
    """A running server. What is asked through it is not checked; what anybody else asks is."""

    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def make_bucket(self, name: str, **headers: str) -> str:
        """A new bucket; the place that an operator would name."""
        self.put(name, **headers)
        return f"s3://{name}?endpoint={self.endpoint}"

    def put(self, path: str, content: bytes | str = b"", **headers: str) -> None:
        """A bucket, an object, or something about one; `x_amz_storage_class` is a header."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        with self.unchecked():
            answer = httpx.put(f"{self.endpoint}/{path}", content=content, headers=told, trust_env=False)
            answer.raise_for_status()

    def user(self, name: str, *actions: str) -> Keys:
        """The keys of a new user who may do these."""
        self._iam("CreateUser", UserName=name)
        told = self._iam("CreateAccessKey", UserName=name)
        self._iam("PutUserPolicy", UserName=name, PolicyName="may", PolicyDocument=_allowed(actions))
        (key_id,) = re.findall("<AccessKeyId>(.+)</AccessKeyId>", told)
        (secret,) = re.findall("<SecretAccessKey>(.+)</SecretAccessKey>", told)
        return Keys(key_id, secret)

    def role(self, name: str, *actions: str) -> str:
        """The name of a new role that may do these, for whoever knows EXTERNAL_ID."""
        trust = _policy(
            Action="sts:AssumeRole",
            Principal={"AWS": "*"},
            Condition={"StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
        )
        self._iam("CreateRole", RoleName=name, AssumeRolePolicyDocument=trust)
        self._iam("PutRolePolicy", RoleName=name, PolicyName="may", PolicyDocument=_allowed(actions))
        return f"arn:aws:iam::123456789012:role/{name}"

    @contextmanager
    def unchecked(self) -> Iterator[None]:
        """Let everybody do everything meanwhile."""
        self._check_from(float("inf"))
        try:
            yield
        finally:
            self._check_from(0)

    def _check_from(self, requests: float) -> None:
        url = f"{self.endpoint}/moto-api/reset-auth"
        httpx.post(url, content=str(requests), trust_env=False).raise_for_status()

    def _iam(self, action: str, **form: str) -> str:
        body = urlencode({"Action": action, "Version": "2010-05-08", **form}).encode()
        # not checked, but moto sees from it which service is asked
        now = datetime.now(UTC)
        signed = aws_signature(self.endpoint, body, Keys("root", "root"), "us-east-1", now, "iam")
        with self.unchecked():
            answer = httpx.post(self.endpoint, content=body, headers=signed, trust_env=False)
        answer.raise_for_status()
        return answer.text


def _allowed(actions: tuple[str, ...]) -> str:
    return _policy(Action=[*actions], Resource="*")


def _policy(**statement: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotoServer]:
    """One for all tests of a process: it takes a second of a core to start."""
    packages = runpy.run_path(str(INSTALLER))["moto"]()
    if packages is None:
        reason = "no moto to test against: it was not installed (make moto)"
        if os.environ.get("CI_OBJECT_STORE") == "required":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    try:
        with running_moto(packages, tmp_path_factory.mktemp("moto") / "log") as running:
            yield running
    except NotStarted as error:
        pytest.fail(str(error), pytrace=False)


class NotStarted(Exception):
    """Moto did not start; the message has the last that it has said."""


@contextmanager
def running_moto(packages: Path, log: Path) -> Iterator[MotoServer]:
    """A server out of a folder of packages. Raises NotStarted."""
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=_environment(os.environ, packages),
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            is_ready, _, _ = select.select([process.stdout], [], [], _START_S)
            told = process.stdout.readline() if is_ready else b""
            if not told:
                raise NotStarted(f"moto did not start:\n{log.read_text(errors='replace')[-2000:]}")
            yield MotoServer(int(told))
        finally:
            process.terminate()


def _environment(environment: Mapping[str, str], packages: Path) -> dict[str, str]:
    """Without keys and proxies; and Python may keep what it compiles, which takes most of a start's time."""
    others = ("AWS_", "PYTHON", "MOTO_")
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith(others) and "proxy" not in name.lower()
    }
    return kept | {
        "PYTHONPATH": str(packages),
        "AWS_EC2_METADATA_DISABLED": "true",
        "INITIAL_NO_AUTH_ACTION_COUNT": "0",
        "MOTO_S3_DEFAULT_MAX_KEYS": str(PAGE),
    }


#: ends with the tests, however they end: then nobody holds the other end of its stdin
_SERVER = """
import sys
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
