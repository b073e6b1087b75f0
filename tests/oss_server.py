"""An OSS of one region on loopback, for tests: objects in memory, signatures and conditions checked as OSS does.

    with oss_server() as oss:
        oss.make_bucket("films")    # "oss://films?endpoint=http://127.0.0.1:41234&region=cn-shanghai"

It runs as a process of its own, because OpenDAL's list lets no other thread run. What it says is checked by clients of
others (`test_oss_server.py`): the two official SDKs, and OpenDAL.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest

import oss_process
from oss_process import CONTROL, KEY_ID, REGION, SECRET


@dataclass(frozen=True)
class OssServer:
    """A running server, as seen from the tests."""

    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def make_bucket(self, name: str, *, region: str = REGION) -> str:
        """A new bucket; the place that an operator would name."""
        self._control("bucket", name=name, region=region)
        return f"oss://{name}?endpoint={self.endpoint}&region={REGION}"

    def bind_domain(self, domain: str, bucket: str) -> None:
        """Let a domain stand for a bucket (CNAME)."""
        self._control("domain", domain=domain, bucket=bucket)

    def add_keys(
        self, key_id: str, secret: str, token: str | None = None, lifetime_s: float | None = None
    ) -> None:
        """Let keys in, for ever or for a while."""
        self._control("keys", key_id=key_id, secret=secret, token=token, lifetime_s=lifetime_s)

    def expire(self, key_id: str) -> None:
        """Let a token's life be over."""
        self._control("expire", key_id=key_id)

    def set_clock(self, ahead_s: float) -> None:
        """How far the server's clock is ahead."""
        self._control("clock", ahead_s=ahead_s)

    def hide_new_objects(self, requests: int) -> None:
        """Answer so many looks at objects after a write with 404, as a store does that is not consistent yet."""
        self._control("hide", requests=requests)

    def _control(self, what: str, **values: object) -> None:
        httpx.post(f"{self.endpoint}{CONTROL}{what}", json=values, trust_env=False).raise_for_status()


@contextmanager
def oss_server() -> Iterator[OssServer]:
    """Start one, and stop it at the end."""
    with subprocess.Popen(
        [sys.executable, oss_process.__file__], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield OssServer(int(process.stdout.readline()))
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def oss(running_oss: OssServer) -> Iterator[OssServer]:
    """The one of all tests of a process, with its keys in the environment, and with no others of its kind."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("ALIBABA_")]:
            patch.delenv(name)
        patch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", KEY_ID)
        patch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", SECRET)
        yield running_oss


@pytest.fixture(scope="session")
def running_oss() -> Iterator[OssServer]:
    """One for all tests of a process."""
    with oss_server() as running:
        yield running
