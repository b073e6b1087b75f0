"""A server behind nginx (Debian's package): whose Host a signature is checked with, and who is said to have called."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from the_server import Server, serving

from nginx import listeners, nginx
from stillframe.errors import RequestFailed
from stillframe.ims.client import Client
from stillframe.server.doctor import answering

#: what the proxy does with Host, by name
WAYS = {
    "keeps": "proxy_set_header Host $http_host;",
    "rewrites": "proxy_set_header Host $proxy_host;",
    "tells": "proxy_set_header X-Forwarded-Host $http_host;",
}
SAYS_WHO = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"


@dataclass(frozen=True, slots=True)
class Proxied:
    """A server, and each way through nginx to it."""

    server: Server
    urls: dict[str, str]


@pytest.fixture(scope="module", params=[True, False], ids=["trusted", "untrusted"])
def trusted(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory, trusted: bool) -> Iterator[Proxied]:
    folder = tmp_path_factory.mktemp("proxied")
    settings = folder / "settings.toml"
    settings.write_text('log_format = "json"\n' + ('trusted_proxies = "127.0.0.1"\n' if trusted else ""))
    with listeners(len(WAYS)) as sockets, serving(folder / "data", "--config", str(settings)) as server:
        ports = {way: listener.getsockname()[1] for way, listener in zip(WAYS, sockets, strict=True)}
        with nginx(folder, proxies(server.url, ports), sockets):
            yield Proxied(server, {way: f"http://127.0.0.1:{port}" for way, port in ports.items()})


def proxies(target: str, ports: dict[str, int]) -> str:
    """A server of nginx for each way."""
    return "access_log off;" + "\n".join(
        f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {target}; {WAYS[way]} {SAYS_WHO} }} }}"
        for way, port in ports.items()
    )


@pytest.mark.parametrize("way", WAYS)
def test_the_doctor_knows_whether_a_signature_holds(proxied: Proxied, way: str, trusted: bool) -> None:
    url = proxied.urls[way]
    found = answering("public_url", url)
    with Client(url, *proxied.server.key) as client:
        if way == "keeps" or (way == "tells" and trusted):
            assert client.call("ListSnapshotJobs")["Jobs"] == []
            assert found.state == "ok"
        else:
            with pytest.raises(RequestFailed, match="SignatureDoesNotMatch"):
                client.call("ListSnapshotJobs")
            assert found.state == "wrong"
            assert f"arrives as {proxied.server.url.removeprefix('http://')}" in found.text


def test_the_log_says_who_called(proxied: Proxied, trusted: bool) -> None:
    forged = {"X-Forwarded-For": "198.51.100.1, 203.0.113.77"}
    with httpx.Client(trust_env=False) as http:
        answer = http.get(f"{proxied.urls['keeps']}/?Action=Nothing", headers=forged).json()
    log = proxied.server.data_dir.with_name("data.log").read_text()
    line = next(line for line in log.splitlines() if answer["RequestId"] in line)
    # nginx adds 127.0.0.1, which is itself a proxy that is trusted: the one before it is believed
    assert f'"source_ip": "{"203.0.113.77" if trusted else "127.0.0.1"}"' in line
