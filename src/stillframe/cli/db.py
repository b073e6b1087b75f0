"""`stillframe db`: the revision of the database, and its backup."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from stillframe.cli.messages import print_error, say
from stillframe.cli.settings import ConfigFile, DataDir, group, load

app = group("Bring the database up to date, back it up, or restore it.")


@app.command(epilog="Example:\n\nstillframe db upgrade")
def upgrade(data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Bring the database to the revision that this Stillframe needs. `serve` does the same when it starts."""
    from stillframe.database import migrations
    from stillframe.database.migrations import history
    from stillframe.server.operator import opened

    with opened(load(config, data_dir=data_dir)) as database:
        before = migrations.current(database.engine)
        history.upgrade(database.engine, on_wait=print_error)
        after = migrations.current(database.engine)
    if before == after:
        say(f"the database was at revision {after} already")
    else:
        say(f"the database is at revision {after} now; it was at {before or 'none'}")


@app.command(epilog="Example:\n\nstillframe db check")
def check(data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Tell whether the database is at the revision that this Stillframe needs; exit code 1 when it is not."""
    from stillframe.database import migrations
    from stillframe.server.operator import opened

    with opened(load(config, data_dir=data_dir)) as database:
        migrations.check(database.engine)
    say(f"the database is at revision {migrations.newest()}, as this Stillframe needs")


@app.command(epilog="Example:\n\nstillframe db backup /backups/stillframe.dump")
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.", show_default=False)],
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Write the database, as it is at one moment, into a file. Servers and workers may go on meanwhile."""
    from stillframe.server.backup import back_up, keyring_path

    settings = load(config, data_dir=data_dir)
    with _sigterm_as_ctrl_c():
        back_up(settings, file)
    say(f"{file} has the database, {file.stat().st_size:,} bytes")
    say(f"it is of use with its keyring alone: keep a copy of {keyring_path(settings)}, in another place")


@app.command(
    epilog="Example:\n\nstillframe db restore /backups/stillframe.dump --data-dir /var/lib/stillframe"
)
def restore(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `backup` has written.", show_default=False)
    ],
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Put a backup into an empty database, or a new data folder, which has nothing but its keyring."""
    from stillframe.database import migrations
    from stillframe.server.backup import restore as put_back

    with _sigterm_as_ctrl_c():
        put_back(load(config, data_dir=data_dir), file)
    say(f"the database is restored, at revision {migrations.newest()}")


@contextlib.contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """So that a command that is told to end ends its programs first, and leaves no half of a file."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
