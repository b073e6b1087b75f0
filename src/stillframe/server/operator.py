"""What the commands of an operator work with: the data folder's database and keys, whether a server runs or not.

with operate(settings) as operator:
    operator.keys.create(operator.account_id())
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import URL

from stillframe.accounts.accounts import FIRST_ACCOUNT, Accounts
from stillframe.accounts.console_sessions import LoginLinks
from stillframe.accounts.keys import AccessKeys, NewKey
from stillframe.accounts.policy_store import Policies
from stillframe.accounts.shared_keyring import shared_keyring
from stillframe.accounts.sts import StsTokens
from stillframe.accounts.users import Users
from stillframe.catalog.buckets import Buckets
from stillframe.catalog.pipelines import Pipelines
from stillframe.database import migrations
from stillframe.database.embedded import borrow_or_start
from stillframe.database.engine import Database, make_engine, with_driver
from stillframe.errors import DatabaseError
from stillframe.keyring import Keyring
from stillframe.server.address import address_of
from stillframe.service.accounts import open_account
from stillframe.service.reencryption import Secrets, count, reencrypt
from stillframe.settings import Settings
from stillframe.telemetry import configure_logging

if TYPE_CHECKING:
    from stillframe.service.pipelines import PipelineControl


@dataclass(frozen=True, slots=True)
class Operator:
    """The rooms that an operator's commands speak to."""

    settings: Settings
    database: Database
    keyring: Keyring
    accounts: Accounts
    users: Users
    policies: Policies
    keys: AccessKeys
    sts: StsTokens
    buckets: Buckets
    pipelines: Pipelines
    login_links: LoginLinks

    def console_url(self) -> str:
        """How people reach the server: its public URL, else where it listens, else where it would."""
        settings = self.settings
        listens = address_of(settings.data_dir) or f"http://{settings.host}:{settings.port}"
        return settings.public_url or listens

    def pipeline_control(self) -> PipelineControl:
        """To pause and resume them. The queue is loaded only where it is needed: that takes a while."""
        from stillframe.jobs.queue import Queue
        from stillframe.service.pipelines import PipelineControl

        return PipelineControl(self.database, Queue())

    def account_id(self, name: str | None = None) -> str:
        """The account of a name or id, or the first. Raises NotFound, DatabaseError before the first start."""
        if name is not None:
            return self.accounts.named(name)
        found = self.accounts.find(FIRST_ACCOUNT)
        if found is None:
            raise DatabaseError("there is no account yet: run: stillframe serve")
        return found

    def open_account(self, name: str) -> tuple[str, NewKey]:
        """A new account with all that jobs need: its id, and a key that may do everything. Raises ConfigError."""
        with self.database.transaction() as session:
            return open_account(name, self.accounts, self.pipelines, self.keys, within=session)

    def reencrypt(self) -> int:
        """Encrypt all secrets with the keyring's first key; how many there are. Raises KeyringError."""
        return reencrypt(self.database, self.keyring)

    def secrets(self) -> Secrets:
        """How many secrets there are, and which keys they need."""
        return count(self.database, self.keyring)


@contextlib.contextmanager
def operate(settings: Settings) -> Iterator[Operator]:
    """The data folder as it is now. Raises DatabaseError unless its database is at our revision."""
    with opened(settings) as database:
        migrations.check(database.engine)
        keyring = (
            Keyring.of(settings.data_dir, settings.keyring_file)
            if settings.database_url is None
            else shared_keyring(database, settings.data_dir, settings.keyring_file)
        )
        yield Operator(
            settings=settings,
            database=database,
            keyring=keyring,
            accounts=Accounts(database),
            users=Users(database),
            policies=Policies(database),
            keys=AccessKeys(database, keyring),
            sts=StsTokens(database, keyring),
            buckets=Buckets(database),
            pipelines=Pipelines(database),
            login_links=LoginLinks(database),
        )


@contextlib.contextmanager
def opened(settings: Settings, *, may_make_one: bool = False) -> Iterator[Database]:
    """The database, at whatever revision it is. Raises DatabaseError when there is none, unless it may be made.

    The running server's is borrowed; without a server it is started, and stopped at the end.
    """
    configure_logging(level="error")
    with _address(settings, may_make_one) as url:
        database = Database(make_engine(url, application_name="stillframe command"))
        try:
            yield database
        finally:
            database.close()


@contextlib.contextmanager
def _address(settings: Settings, may_make_one: bool) -> Iterator[URL]:
    if settings.database_url is not None:
        yield with_driver(settings.database_url.get_secret_value())
        return
    # a slip of the pen in --data-dir makes no new folder
    if not may_make_one and not (settings.data_dir / "database").is_dir():
        raise DatabaseError(
            f"{settings.data_dir}: is no data folder: name the server's with --data-dir, "
            "or make a new one: stillframe serve"
        )
    with borrow_or_start(settings.data_dir) as url:
        yield url
