"""Write the next step of the database's history from the models: scripts/new_migration.py "what it does"."""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

from stillframe.database.embedded import EmbeddedPostgres
from stillframe.database.engine import make_engine
from stillframe.database.migrations import history

PACKAGE = Path(history.__file__).parents[2]


def main() -> None:
    """Compare the models of all rooms with an empty database that has been brought up to date."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for models in sorted(PACKAGE.glob("*/models.py")):
        importlib.import_module(f"stillframe.{models.parent.name}.models")
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder)) as postgres:
        engine = make_engine(postgres.url)
        history.upgrade(engine)
        print(history.write_revision(engine, sys.argv[1]))
        engine.dispose()


if __name__ == "__main__":
    main()
