"""A web site of nginx with a film on it, over http and over https with a certificate that it made for itself.

The folders of its addresses are kinds of servers: what each of them does is what `KINDS` says.
"""

from __future__ import annotations

import datetime
import ipaddress
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from nginx import listeners, nginx

#: by the address's first part; {http} and {https} are the site's own addresses
KINDS = {
    "usual": "",
    "no-ranges": "max_ranges 0;",
    "dated": "etag off;",
    "undated": 'etag off; add_header Last-Modified "";',
    "packed": "add_header Content-Encoding gzip;",
    "one-time": "keepalive_timeout 0;",
    "locked": 'auth_basic "films"; auth_basic_user_file {folder}/users;',
}
REDIRECTS = {
    "moved": "/usual/movie.mp4",
    "up": "{https}/usual/movie.mp4",
    "down": "{http}/usual/movie.mp4",
    "loop": "/loop/movie.mp4",
    "lost": "/usual/none.mp4",
}


@dataclass(frozen=True, slots=True)
class WebSite:
    """A running site. Whoever trusts `authorities` trusts its certificate."""

    folder: Path
    http_port: int
    https_port: int

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def https(self) -> str:
        return f"https://127.0.0.1:{self.https_port}"

    @property
    def authorities(self) -> str:
        return str(self.folder / "certificate.pem")

    @property
    def film(self) -> Path:
        return self.folder / "www" / "movie.mp4"

    def asked_until(self, number: int) -> list[dict[str, str]]:
        """What was asked when there are so many questions. nginx writes of each after its answer was given."""
        deadline = time.monotonic() + 60
        while len(asked := self.asked()) < number:
            assert time.monotonic() < deadline, f"{len(asked)} of {number} questions"
            time.sleep(0.01)
        return asked

    def asked(self) -> list[dict[str, str]]:
        """What was asked until now: the connection, status, Range and bytes of each question."""
        lines = (self.folder / "access.log").read_text().splitlines()
        return [
            dict(zip(("connection", "status", "range", "bytes"), line.split("|"), strict=True))
            for line in lines
        ]


@contextmanager
def web_site(folder: Path) -> Iterator[WebSite]:
    """A site in a folder; whatever lies in its `www` is on it."""
    (folder / "www").mkdir()
    (folder / "users").write_text("me:{PLAIN}secret\n")
    _make_certificate(folder)
    with listeners(2) as sockets:
        site = WebSite(folder, *(listener.getsockname()[1] for listener in sockets))
        words = {"folder": folder, "http": site.http, "https": site.https}
        kinds = "\n".join(
            f"location /{kind}/ {{ alias {folder}/www/; {how.format(**words)} }}"
            for kind, how in KINDS.items()
        )
        kinds += "\n".join(
            f"location /{kind}/ {{ return 302 {to.format(**words)}; }}" for kind, to in REDIRECTS.items()
        )
        http = f"""
            log_format asked "$connection|$status|$http_range|$body_bytes_sent";
            access_log {folder}/access.log asked;
            types {{ video/mp4 mp4; }}
            server {{ listen 127.0.0.1:{site.http_port}; {kinds} }}
            server {{
                listen 127.0.0.1:{site.https_port} ssl http2;
                ssl_certificate {folder}/certificate.pem;
                ssl_certificate_key {folder}/key.pem;
                {kinds}
            }}
        """
        with nginx(folder, http, sockets):
            yield site


def _make_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a web site of the tests")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        # newer Pythons want it
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .sign(key, SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(secret)
