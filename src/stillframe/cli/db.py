"""`stillframe db`: the revision of the database."""

from __future__ import annotations

from stillframe.cli.messages import say
from stillframe.cli.settings import ConfigFile, DataDir, group, load

app = group("Bring the database up to date, or check that it is.")


@app.command(epilog="Example:\n\nstillframe db upgrade")
def upgrade(data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Bring the database to the revision that this Stillframe needs. `serve` does the same when it starts."""
    from stillframe.database import migrations
    from stillframe.database.migrations import history
    from stillframe.server.operator import opened

    with opened(load(config, data_dir=data_dir)) as database:
        before = migrations.current(database.engine)
        history.upgrade(database.engine)
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
