"""Removes what killed writers have left in the buckets: when the server starts, and every few hours."""

from __future__ import annotations

import threading

import structlog

from stillframe.catalog.buckets import Buckets

#: a file that is being written bears the lock of its writer; this is for disks where others do not see that
LEFT_AFTER_S = 3600.0
_EVERY_S = 6 * 3600.0
#: looking through a large bucket takes long, and nobody waits for it
_STOP_S = 1.0
log = structlog.get_logger(__name__)


class Cleaner:
    """Cleans all buckets, one after another, on a thread of its own."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stillframe-cleaner", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End soon."""
        self._stopping.set()
        self._thread.join(_STOP_S)

    def _run(self) -> None:
        while True:
            try:
                buckets = self._buckets.all()
            except Exception as error:
                log.warning("the buckets could not be cleaned", error=str(error))
                buckets = []
            for bucket in buckets:
                if self._stopping.is_set():
                    return
                try:
                    removed = bucket.open().clean_leftovers(older_than_s=LEFT_AFTER_S)
                except Exception as error:
                    # its folder is away, most often: that is for `doctor` to say
                    log.warning("a bucket could not be cleaned", bucket=bucket.name, error=str(error))
                    continue
                if removed:
                    log.info("removed what killed writers had left", bucket=bucket.name, files=removed)
            if self._stopping.wait(_EVERY_S):
                return
