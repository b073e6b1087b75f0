"""A real S3 server on loopback: OpenStack Swift with its s3api, which checks signatures, ranges, conditions and parts.

It comes from Debian; where it is not installed the tests that need it are skipped and say so. With
`CI_OBJECT_STORE=required` they fail instead: a run in which nothing was proven is not to be green.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

PACKAGES = "swift-proxy swift-account swift-container swift-object memcached"
PROGRAMS = ("swift-proxy-server", "swift-object-server", "swift-ring-builder", "memcached")
#: whom Swift's s3api takes for AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
USER, SECRET = "test:tester", "testing"
KINDS = ("account", "container", "object")
_START_S = 60


@dataclass(frozen=True)
class ObjectStore:
    """A running store."""

    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def make_bucket(self, name: str) -> str:
        """A new bucket; the place that an operator would name."""
        self._ask("PUT", name)
        return f"s3://{name}?endpoint={self.endpoint}"

    def let_pages_read(self, name: str) -> None:
        """Pages of any site may see what they read in a bucket (CORS)."""
        self._ask("POST", name, {"X-Container-Meta-Access-Control-Allow-Origin": "*"})

    def _ask(self, method: str, name: str, headers: Mapping[str, str] | None = None) -> None:
        """By Swift's own API."""
        with httpx.Client(base_url=self.endpoint, trust_env=False) as client:
            told = client.get("/auth/v1.0", headers={"X-Auth-User": USER, "X-Auth-Key": SECRET})
            token = {"X-Auth-Token": told.headers["X-Auth-Token"]}
            client.request(
                method, f"/v1/AUTH_test/{name}", headers={**token, **(headers or {})}
            ).raise_for_status()


@pytest.fixture(scope="module")
def object_store(running_store: ObjectStore) -> Iterator[ObjectStore]:
    """The one of all tests, with its keys in the environment, where they stay no longer than they are needed."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ACCESS_KEY_ID", USER)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        yield running_store


@pytest.fixture(scope="session")
def running_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """One for all tests of a process: it takes ten seconds to start."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        reason = f"no S3 server to test against: {', '.join(missing)} (apt-get install {PACKAGES})"
        if os.environ.get("CI_OBJECT_STORE") == "required":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    with _swift(tmp_path_factory.mktemp("swift")) as store:
        yield store


@contextmanager
def _swift(folder: Path) -> Iterator[ObjectStore]:
    proxy, memcached, *others = _free_ports(2 + len(KINDS))
    ports = dict(zip(KINDS, others, strict=True))
    (folder / "node" / "d1").mkdir(parents=True)
    user = getpass.getuser()
    (folder / "swift.conf").write_text(_COMMON)
    rings: list[str] = []
    for kind, port in ports.items():
        conf = _STORAGE.format(folder=folder, port=port, user=user, kind=kind)
        (folder / f"{kind}.conf").write_text(conf)
        rings += [str(folder / f"{kind}.ring.gz"), str(port)]
    subprocess.run([*_swifts_python(), "-c", _RINGS, *rings], check=True, env=_without_python(os.environ))
    conf = _PROXY.format(folder=folder, port=proxy, user=user, memcached=memcached)
    (folder / "proxy.conf").write_text(conf)
    commands = [["memcached", "-u", user, "-l", "127.0.0.1", "-p", str(memcached)]]
    commands += [[f"swift-{kind}-server", str(folder / f"{kind}.conf")] for kind in (*KINDS, "proxy")]
    with ExitStack() as running:
        for command in commands:
            log = running.enter_context((folder / f"{command[0]}.log").open("wb"))
            process = subprocess.Popen(command, stdout=log, stderr=log, env=_without_python(os.environ))
            running.callback(process.wait)
            running.callback(process.terminate)
        # the proxy is up before those behind it, and blames them for a minute when it finds them away
        _wait_until_up([memcached, *others, proxy], folder)
        yield ObjectStore(proxy)


def _swifts_python() -> list[str]:
    """What runs Swift's own programs."""
    program = shutil.which("swift-ring-builder")
    assert program is not None
    with open(program, encoding="utf-8") as text:  # noqa: PTH123 - only its first line
        return text.readline().removeprefix("#!").split()


def _wait_until_up(ports: list[int], folder: Path) -> None:
    deadline, waited_for = time.monotonic() + _START_S, list(ports)
    while waited_for and time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", waited_for[0])):
                waited_for.pop(0)
        except OSError:
            time.sleep(0.1)
    if not waited_for:
        return
    logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in folder.glob("*.log"))
    pytest.fail(f"Swift did not start:\n{logs}", pytrace=False)


def _free_ports(number: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(closing(socket.socket())) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _without_python(environment: Mapping[str, str]) -> dict[str, str]:
    """Swift is the system's, and so is its Python."""
    return {name: value for name, value in environment.items() if not name.startswith(("PYTHON", "VIRTUAL_"))}


#: swift-ring-builder takes three calls for each of the rings, and nearly a second for each call
_RINGS = """
import sys
from swift.common.ring import RingBuilder
for name, port in zip(sys.argv[1::2], map(int, sys.argv[2::2])):
    builder = RingBuilder(4, 1, 1)
    place = dict(region=1, zone=1, ip="127.0.0.1", port=port, replication_ip="127.0.0.1", replication_port=port)
    builder.add_dev(dict(place, id=0, device="d1", weight=1.0, meta=""))
    builder.rebalance()
    builder.get_ring().save(name)
"""
_COMMON = """\
[swift-hash]
swift_hash_path_prefix = a
swift_hash_path_suffix = b
[storage-policy:0]
name = only
default = yes
"""
_STORAGE = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
devices = {folder}/node
mount_check = false
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""
_PROXY = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache s3api tempauth slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""
