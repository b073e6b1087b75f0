"""A bucket's check that ends, whatever hangs: a disk that is away holds whoever asks it, for as long as it likes."""

from __future__ import annotations

import threading

from stillframe.errors import SinkError
from stillframe.storage.bucket import Bucket

#: a store that does not answer is asked several times
LONGEST_CHECK_S = 60.0


def check_in_time(bucket: Bucket, name: str) -> None:
    """As `bucket.check`; raises SinkError for one that takes too long, too, which is left behind then."""
    failures: list[BaseException] = []

    def check() -> None:
        try:
            bucket.check()
        except BaseException as error:
            failures.append(error)

    checking = threading.Thread(target=check, name="stillframe-check", daemon=True)
    checking.start()
    checking.join(LONGEST_CHECK_S)
    if checking.is_alive():
        message = f"its place has not answered within {LONGEST_CHECK_S:.0f} s"
        raise SinkError(name, message, transient=True)
    if failures:
        raise failures[0]
