"""The end of a program that has used a store: OpenDAL's threads may be on their way out of Python then."""

from __future__ import annotations

import os
import subprocess
import sys

#: each of them lingers, and whoever does not wait for it takes the interpreter apart slowly
LATE = """
import sys
import threading
import time
from stillframe.storage import store
from stillframe.storage.places import open_bucket, parse_place

wake = store._Loop._write_to_self

def wake_and_linger(loop):
    wake(loop)
    if threading.current_thread() is not threading.main_thread():
        time.sleep(0.1)

class SlowlyRemoved:
    def __del__(self, sleep=time.sleep):
        sleep(0.3)

store._Loop._write_to_self = wake_and_linger
# among the first things that an interpreter lets go of
sys.modules["slow"] = SlowlyRemoved()
(link,) = open_bucket(parse_place("s3://films?endpoint=http://127.0.0.1:1"), "films").links(["a.jpg"], 60)
print(link)
"""


def test_a_program_that_ends_while_a_thread_is_on_its_way_out() -> None:
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    run = subprocess.run(
        [sys.executable, "-c", LATE],
        env={**os.environ, **keys},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout.startswith("http://127.0.0.1:1/films/a.jpg?")
    assert run.returncode == 0, run.stderr
