"""A backup of the database, and a service that begins with one: for `stillframe db backup` and `db restore`."""

from __future__ import annotations

from pathlib import Path

from stillframe.accounts.shared_keyring import shared_keyring
from stillframe.database import migrations
from stillframe.database.dump import dump, load
from stillframe.database.migrations import history
from stillframe.errors import DatabaseError, KeyringError
from stillframe.keyring import FILE_NAME
from stillframe.server.operator import opened
from stillframe.settings import Settings


def keyring_path(settings: Settings) -> Path:
    """Where the keyring lies, which a backup needs beside it."""
    return settings.keyring_file or settings.data_dir / FILE_NAME


def back_up(settings: Settings, file: Path) -> None:
    """Write the database into a file, while it is worked with. Raises DatabaseError."""
    with opened(settings) as database:
        dump(database.engine.url, file, is_private=settings.database_url is None)


def restore(settings: Settings, file: Path) -> None:
    """Put a backup into an empty database, made if it is the private one, and bring it to our revision.

    The keyring must be in its place before: without it no secret can be read. Raises DatabaseError, KeyringError.
    """
    keyring = keyring_path(settings)
    if not keyring.exists():
        raise KeyringError(f"{keyring}: is not there: put the keyring there first that belongs to the backup")
    with opened(settings, may_make_one=True) as database:
        if migrations.current(database.engine) is not None:
            raise DatabaseError(
                "the database has tables already: restore into an empty one, or into a new folder with --data-dir"
            )
        load(database.engine.url, file, is_private=settings.database_url is None)
        history.upgrade(database.engine)
        shared_keyring(database, settings.data_dir, settings.keyring_file)
