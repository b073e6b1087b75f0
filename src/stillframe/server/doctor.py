"""What is wrong with a service, and how to mend it: each part is looked at as the server uses it.

for finding in examine(settings):
    print(finding.state, finding.subject, finding.text, finding.remedy)
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import httpx
import psycopg
from sqlalchemy import URL, text
from sqlalchemy.exc import SQLAlchemyError

from stillframe.catalog.buckets import Buckets
from stillframe.database import migrations
from stillframe.database.dump import demand_new_enough
from stillframe.database.engine import Database
from stillframe.database.sessions import keeps_sessions
from stillframe.errors import StillframeError, os_reason
from stillframe.ims.client import open_http
from stillframe.ims.wire import VERSION
from stillframe.keyring import FILE_NAME, Keyring
from stillframe.sandbox.layers import Layers, available_layers
from stillframe.server.address import address_of
from stillframe.server.clock import is_kept_right
from stillframe.server.operator import opened
from stillframe.service.reencryption import Secrets, count
from stillframe.settings import Settings

#: with less, the private database may soon have no room for its log (its max_wal_size, twice)
LEAST_FREE_BYTES = 512 << 20
#: far less than what a signature's time may be off, and more than a slow answer explains
MOST_APART_S = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one subject. `note` is worth knowing, but no fault; `remedy` says what to do."""

    subject: str
    state: Literal["ok", "note", "wrong"]
    text: str
    remedy: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything. Nothing is changed, but for a small object that is written to each bucket and removed."""
    yield _disk(settings)
    try:
        with opened(settings) as database:
            yield from _database(database)
            yield from _keyring(settings, database)
            yield from _buckets(database)
    except (StillframeError, SQLAlchemyError) as error:
        yield Finding("database", "wrong", _one(error), "see the message; stillframe serve logs the same")
    yield from sandbox_findings(available_layers(), required=settings.sandbox == "required")
    yield from _address(settings)


def _disk(settings: Settings) -> Finding:
    folder = settings.data_dir.resolve()
    if not folder.is_dir():
        remedy = "run: stillframe serve, or name the server's folder with --data-dir"
        return Finding("data folder", "wrong", f"{folder} is not there", remedy)
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding("data folder", "wrong", f"{folder}: {os_reason(error)}", "mend the disk it lies on")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        remedy = "run this as the user whom the server runs as"
        return Finding("data folder", "wrong", f"{folder} may not be read and written by this user", remedy)
    if free < LEAST_FREE_BYTES:
        remedy = f"make room: at least {LEAST_FREE_BYTES >> 20} MiB, or move the folder with --data-dir"
        return Finding("data folder", "wrong", f"{folder}: only {free >> 20} MiB are free", remedy)
    return Finding("data folder", "ok", f"{folder}, {free >> 20} MiB are free")


def _database(database: Database) -> Iterator[Finding]:
    with database.transaction() as session:
        began = time.time()
        version, number, theirs = session.execute(
            text(
                "SELECT current_setting('server_version'), current_setting('server_version_num')::int, "
                "extract(epoch FROM clock_timestamp())"
            )
        ).one()
        ours = (began + time.time()) / 2
    yield version_finding(version, number)
    yield clock_finding(ours, float(theirs), is_kept_right())
    yield sessions_finding(database.engine.url)
    try:
        migrations.check(database.engine)
    except StillframeError as error:
        yield Finding("database revision", "wrong", _one(error), "run: stillframe db upgrade")
    else:
        yield Finding("database revision", "ok", f"{migrations.newest()}, as this Stillframe needs")


def version_finding(version: str, number: int) -> Finding:
    """Whether the database's PostgreSQL is one that we are made for."""
    try:
        demand_new_enough(number)
    except StillframeError as error:
        return Finding("database", "wrong", f"PostgreSQL {version} answers", _one(error))
    return Finding("database", "ok", f"PostgreSQL {version} answers")


def clock_finding(ours_s: float, theirs_s: float, kept_right: bool | None = None) -> Finding:
    """This machine's clock beside the database's, both in Unix time; and what its kernel says of it."""
    apart_s = abs(ours_s - theirs_s)
    if apart_s > MOST_APART_S:
        return Finding(
            "clock",
            "wrong",
            f"this machine's and the database's are {apart_s:.0f} s apart",
            "set both machines' clocks, best by NTP: signatures and links depend on them",
        )
    if kept_right is False:
        return Finding(
            "clock",
            "note",
            "the same as the database's; this machine's kernel says that nothing keeps it right",
            "let NTP set it (timedatectl shows): callers whose clocks are 15 minutes off are refused",
        )
    return Finding("clock", "ok", "the same as the database's" + (", and kept right" if kept_right else ""))


def sessions_finding(url: URL) -> Finding:
    """Whether a transaction pooler stands before the database: the queue and the driver need a session that stays."""
    try:
        kept = keeps_sessions(url)
    except psycopg.Error as error:
        remedy = "allow at least two more connections, or see the message"
        return Finding("database sessions", "wrong", _one(error), remedy)
    if kept:
        return Finding("database sessions", "ok", "a connection keeps its session")
    return Finding(
        "database sessions",
        "wrong",
        "a transaction pooler stands before the database: notifications do not arrive, so that jobs begin late, and "
        "prepared statements may get lost",
        "let database_url lead to PostgreSQL itself, or to a pooler in session mode (PgBouncer: pool_mode = session)",
    )


def _keyring(settings: Settings, database: Database) -> Iterator[Finding]:
    path = settings.keyring_file or settings.data_dir / FILE_NAME
    if not path.exists():
        remedy = "restore it from a copy; without one: delete all keys and make new ones with stillframe key"
        yield Finding("keyring", "wrong", f"{path} is not there: no access key can be decrypted", remedy)
        return
    try:
        keyring = Keyring.open(path)
    except StillframeError as error:
        yield Finding("keyring", "wrong", _one(error), "see the message")
        return
    yield Finding("keyring", "ok", "can be read, and is closed to others")
    # else it is not known where secrets are
    if migrations.current(database.engine) == migrations.newest():
        yield secrets_finding(count(database, keyring))


def secrets_finding(secrets: Secrets) -> Finding:
    """Whether the keyring opens them, and whether its older keys could be removed."""
    if secrets.lost:
        remedy = "put the key back into the keyring that was removed, then run: stillframe keyring reencrypt"
        text_ = f"{secrets.lost} of {secrets.all} are encrypted with a key that the keyring does not hold"
        return Finding("secrets", "wrong", text_, remedy)
    if secrets.older:
        remedy = "before older keys are removed, run: stillframe keyring reencrypt"
        text_ = f"{secrets.older} of {secrets.all} need other keys of the keyring than the first"
        return Finding("secrets", "note", text_, remedy)
    return Finding("secrets", "ok", f"the keyring's first key opens all {secrets.all}")


def _buckets(database: Database) -> Iterator[Finding]:
    buckets = Buckets(database).all()
    if not buckets:
        remedy = "run: stillframe bucket add NAME --to fs:/folder"
        yield Finding("buckets", "note", "there are none, so no job can be submitted", remedy)
    for bucket in buckets:
        subject = f"bucket {bucket.name}"
        try:
            bucket.open().check()
        except StillframeError as error:
            what = f"make {bucket.place} readable and writable for the server's user"
            if not bucket.place.startswith("fs:"):
                what = "put its place or its keys right (docs/buckets.md)"
            remedy = f"{what}, or run: stillframe bucket remove {bucket.name}"
            yield Finding(subject, "wrong", _one(error), remedy)
        else:
            yield Finding(subject, "ok", f"{bucket.place} was written, read and cleaned up")


def sandbox_findings(layers: Layers, *, required: bool) -> Iterator[Finding]:
    """Each layer that the decoder is locked in by."""
    if not required:
        remedy = "set sandbox to required, unless every video is your own"
        yield Finding("sandbox", "note", "is off by setting: videos are decoded in the server itself", remedy)
    must: Literal["note", "wrong"] = "wrong" if required else "note"
    rows: tuple[tuple[str, object, Literal["note", "wrong"], str], ...] = (
        ("seccomp", layers.seccomp, must, "use Linux on x86-64 or ARM64 and allow seccomp filters"),
        ("limits", layers.rlimits, must, "allow setrlimit: memory, processor time and open files"),
        ("Landlock", layers.landlock, "note", "use Linux 5.13 or newer with Landlock for one barrier more"),
        (
            "network namespace",
            layers.network_namespace,
            "note",
            "allow unprivileged user namespaces for one barrier more",
        ),
        (
            "unprivileged user",
            layers.unprivileged,
            "note",
            "run the server as an ordinary user, or let root change its user",
        ),
    )
    for name, holds, otherwise, remedy in rows:
        if holds:
            yield Finding(f"sandbox: {name}", "ok", "holds")
        else:
            yield Finding(f"sandbox: {name}", otherwise, "cannot be put on here", remedy)


def _address(settings: Settings) -> Iterator[Finding]:
    running = address_of(settings.data_dir)
    if running is None:
        yield Finding("server", "note", "none runs on this data folder", "run: stillframe serve")
    else:
        yield answering("server", running)
    if settings.public_url is not None:
        yield answering("public_url", settings.public_url)


def answering(subject: str, url: str) -> Finding:
    """Whether the API answers at a URL, and gets the header Host as it was sent: clients have signed it."""
    parts = urlsplit(url)
    root = f"{parts.scheme}://{parts.netloc}"
    # refused for its missing signature, which is enough: the answer says which Host has arrived
    query = {"Action": "ListSnapshotJobs", "Version": VERSION}
    try:
        with open_http(root) as http:
            response = http.get(f"{root}/", params=query, headers={"host": parts.netloc}, timeout=10)
            answer = response.json()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        remedy = f"start the server, and let {parts.netloc} lead to it"
        return Finding(subject, "wrong", f"{url} cannot be reached: {error}", remedy)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or "HostId" not in answer:
        remedy = "let the proxy pass every request for / to Stillframe"
        text_ = f"{url} answers {response.status_code}, but not as the API does"
        return Finding(subject, "wrong", text_, remedy)
    if answer["HostId"] != parts.netloc:
        return Finding(
            subject,
            "wrong",
            f"Host is sent as {parts.netloc}, but arrives as {answer['HostId']}: every signature will be refused",
            "let the proxy keep it (nginx: proxy_set_header Host $http_host;  Apache: ProxyPreserveHost On), "
            "or send it as X-Forwarded-Host and be one of trusted_proxies",
        )
    return Finding(subject, "ok", f"the API answers at {url}, and Host arrives as it was sent")


def _one(error: Exception) -> str:
    return str(error).splitlines()[0]
