"""A server behind nginx (Debian's package): whose Host a signature is checked with, and who is said to have called."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from the_server import Server, serving

from nginx import listeners, nginx
from stillframe.errors import RequestFailed
from stillframe.ims.client import Client
from stillframe.server.doctor import answering
from told import GUIDES, blocks

#: what the proxy does with Host, by name
WAYS = {
    "keeps": "proxy_set_header Host $http_host;",
    "rewrites": "proxy_set_header Host $proxy_host;",
    "tells": "proxy_set_header X-Forwarded-Host $http_host;",
}
FORGED = {"X-Forwarded-For": "198.51.100.1, 203.0.113.77"}
SAYS_WHO = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"


@dataclass(frozen=True, slots=True)
class Proxied:
    """A server, and each way through nginx to it."""

    server: Server
    urls: dict[str, str]
    #: as the guide has it, with TLS
    guided: str
    #: who trusts the guided one
    tls: ssl.SSLContext


@pytest.fixture(scope="module", params=[True, False], ids=["trusted", "untrusted"])
def trusted(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory, trusted: bool) -> Iterator[Proxied]:
    folder = tmp_path_factory.mktemp("proxied")
    settings = folder / "settings.toml"
    settings.write_text('log_format = "json"\n' + ('trusted_proxies = "127.0.0.1"\n' if trusted else ""))
    with listeners(len(WAYS) + 1) as sockets, serving(folder / "data", "--config", str(settings)) as server:
        *plain, secure = (listener.getsockname()[1] for listener in sockets)
        ports = dict(zip(WAYS, plain, strict=True))
        with nginx(folder, proxies(server.url, ports) + guided(server.url, secure, folder), sockets):
            yield Proxied(
                server,
                {way: f"http://127.0.0.1:{port}" for way, port in ports.items()},
                f"https://127.0.0.1:{secure}",
                ssl.create_default_context(cafile=str(folder / "certificate.pem")),
            )


def guided(target: str, port: int, folder: Path) -> str:
    """The guide's lines, with this machine's address, port and certificate."""
    (told,) = blocks((GUIDES / "behind-nginx.md").read_text(encoding="utf-8"), "nginx")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "snapshots.example.com")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for theirs, ours in {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/snapshots.example.com.pem": str(folder / "certificate.pem"),
        "/etc/ssl/private/snapshots.example.com.key": str(folder / "key.pem"),
    }.items():
        assert told.count(theirs) == 1, theirs
        told = told.replace(theirs, ours)
    assert told.count("http://127.0.0.1:8080") == 2
    return told.replace("http://127.0.0.1:8080", target)


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


def test_the_guides_lines_lead_to_it_by_tls(proxied: Proxied, trusted: bool) -> None:
    # from an address that is no proxy's: what nginx adds is believed, and what the caller says himself is not
    transport = httpx.HTTPTransport(verify=proxied.tls, local_address="127.0.0.2")
    with (
        httpx.Client(transport=transport) as http,
        Client(proxied.guided, *proxied.server.key) as client,
    ):
        assert http.get(f"{proxied.guided}/readyz").status_code == 200
        assert http.get(f"{proxied.guided}/metrics").status_code == 404
        url, headers, body = client.signed("ListSnapshotJobs")
        answer = http.post(url, content=body, headers={**headers, **FORGED}).json()
    assert answer["Jobs"] == []
    assert f'"source_ip": "{"127.0.0.2" if trusted else "127.0.0.1"}"' in logged(proxied, answer)


def test_the_guides_lines_let_large_files_pass(proxied: Proxied, trusted: bool) -> None:
    # beyond the bounds of the API's bodies
    large = bytes(9 << 20)
    with httpx.Client(verify=proxied.tls, trust_env=False, base_url=proxied.guided) as http:
        origin = {"Origin": proxied.guided}
        key = dict(zip(("access_key_id", "access_key_secret"), proxied.server.key, strict=True))
        assert http.post("/console/login", data=key, headers=origin).status_code == 303
        page = http.get("/console/buckets/local").text
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)
        assert found is not None
        headers = origin | {"X-CSRF-Token": found[1]}
        address = f"/console/buckets/local/object?key=large-{trusted}.mp4"
        assert http.put(address, content=large, headers=headers).status_code == 201
        assert http.put("/console/nothing", content=large, headers=headers).status_code == 413
    assert (proxied.server.bucket / f"large-{trusted}.mp4").stat().st_size == len(large)


def test_the_log_says_who_called(proxied: Proxied, trusted: bool) -> None:
    with httpx.Client(trust_env=False) as http:
        answer = http.get(f"{proxied.urls['keeps']}/?Action=Nothing", headers=FORGED).json()
    # nginx adds 127.0.0.1, which is itself a proxy that is trusted: the one before it is believed
    assert f'"source_ip": "{"203.0.113.77" if trusted else "127.0.0.1"}"' in logged(proxied, answer)


def logged(proxied: Proxied, answer: Any) -> str:
    """The line of a request."""
    log = proxied.server.data_dir.with_name("data.log").read_text()
    return next(line for line in log.splitlines() if answer["RequestId"] in line)
