"""`stillframe worker` that counts the statements which it sends: benchmarks/counting_worker.py FILE worker ...

The number stands in FILE, a tenth of a second late.
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psycopg

from stillframe.cli.main import main

_EVERY_S = 0.1


def run() -> None:
    """Count, and be the command."""
    file, *sys.argv[1:] = sys.argv[1:]
    count(Path(file))
    main()


def count(file: Path) -> None:
    """Tell in a file how many statements this process has sent until now."""
    numbers = itertools.count(1)
    sent = [0]

    def counting(execute: Any) -> Any:
        def counted(self: Any, *arguments: Any, **options: Any) -> Any:
            sent[0] = next(numbers)
            return execute(self, *arguments, **options)

        return counted

    for cursor in (psycopg.Cursor, psycopg.AsyncCursor):
        cursor.execute = counting(cursor.execute)  # type: ignore[attr-defined]
    threading.Thread(target=_tell, args=(file, sent), daemon=True).start()


def _tell(file: Path, sent: list[int]) -> None:
    while True:
        file.write_text(str(sent[0]))
        time.sleep(_EVERY_S)


if __name__ == "__main__":
    run()
