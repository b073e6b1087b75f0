"""A backup of the database, and a service that begins with one: for `stillframe db backup` and `db restore`."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text

from stillframe.accounts.shared_keyring import shared_keyring
from stillframe.database import migrations
from stillframe.database.dump import demand_no_folder, dump, load, place_of, rows_in
from stillframe.database.engine import Database
from stillframe.database.migrations import history
from stillframe.errors import DatabaseError, KeyringError
from stillframe.keyring import FILE_NAME, Keyring
from stillframe.server.operator import opened
from stillframe.settings import Settings

#: what is not PostgreSQL's own, nor an extension's
_ANY_TABLE = text(
    """
    SELECT format('%I.%I', n.nspname, c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
      AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
      AND NOT EXISTS (
          SELECT FROM pg_depend d
          WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
      )
    ORDER BY 1 LIMIT 1
    """
)


def keyring_path(settings: Settings) -> Path:
    """Where the keyring lies, which a backup needs beside it."""
    return settings.keyring_file or settings.data_dir / FILE_NAME


def back_up(settings: Settings, file: Path) -> None:
    """Write the database into a file, while it is worked with. Raises DatabaseError."""
    demand_no_folder(file)
    with opened(settings) as database:
        dump(place_of(database.engine, is_private=settings.database_url is None), file)


def restore(settings: Settings, file: Path) -> None:
    """Put a backup into an empty database, made if it is the private one, and bring it to our revision.

    The keyring must be in its place before: without it no secret can be read. Raises DatabaseError, KeyringError:
    then nothing was put there.
    """
    is_private = settings.database_url is None
    keyring = keyring_path(settings)
    if not keyring.exists():
        raise KeyringError(f"{keyring}: is not there: put the keyring there first that belongs to the backup")
    _demand_ours(file, keyring, is_private=is_private)
    with opened(settings, may_make_one=True) as database:
        place = place_of(database.engine, is_private=is_private)
        _demand_empty(database)
        load(place, file)
        history.upgrade(database.engine)
        shared_keyring(database, settings.data_dir, settings.keyring_file)


def _demand_ours(file: Path, keyring_file: Path, *, is_private: bool) -> None:
    """Raises DatabaseError for what is no backup of ours, or a newer release's; KeyringError for another's."""
    keyring = Keyring.open(keyring_file)
    tables = ("alembic_version", "keyring_proof", "access_keys")
    versions, proofs, keys = rows_in(file, tables, is_private=is_private).values()
    if not versions:
        raise DatabaseError(f"{file}: is no backup of Stillframe")
    revision = versions[0]["version_num"]
    if not migrations.is_known(revision):
        raise DatabaseError(
            f"{file}: is at revision {revision}, which this Stillframe does not know: a newer one has made it. "
            "Restore it with that one"
        )
    # of a database from before there were proofs
    secrets = [row["encrypted"] for row in proofs] or [row["secret_encrypted"] for row in keys]
    if not secrets:
        raise DatabaseError(
            f"{file}: is of a database on which no server has been started, and has no account"
        )
    try:
        keyring.decrypt(secrets[0])
    except KeyringError as error:
        raise KeyringError(f"{keyring_file}: is not the keyring that belongs to {file}") from error


def _demand_empty(database: Database) -> None:
    with migrations.connected(database.engine) as connection:
        found = connection.scalar(_ANY_TABLE)
    if found is not None:
        raise DatabaseError(
            f"the database has tables already, such as {found}: restore into an empty one, or into a new folder with "
            "--data-dir"
        )
