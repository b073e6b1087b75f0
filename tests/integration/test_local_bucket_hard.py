"""A local bucket under attack and in bad luck: links that appear meanwhile, kills, full disks, missing permissions."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stillframe.errors import SinkError, SourceError
from stillframe.storage import beneath
from stillframe.storage.local import LocalBucket
from stillframe.storage.local_keys import is_temporary

SECRET = b"not for everybody"
LEFTOVER = ".stillframe-0123456789abcdef.part"
DEADLINE_S = 60.0
LIBC = ctypes.CDLL(None, use_errno=True)
#: a small disk on ./disk in a mount namespace of its own
SMALL_DISK = (
    *("unshare", "--map-root-user", "--mount"),
    *("sh", "-c", 'mount -t tmpfs -o size=$0 none disk || exit 99; exec "$@"'),
)


def until(condition: Callable[[], bool], work: Callable[[], object]) -> None:
    """Work on until something is so, within what any machine needs."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"not so after {DEADLINE_S} s"
        work()


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Do something again and again in another thread, with as many switches between threads as can be had."""
    stop, failures = threading.Event(), []

    def run() -> None:
        try:
            while not stop.is_set():
                work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval_s)
    assert failures == []


def exchange(one: Path, other: Path) -> None:
    """Let two names change places in one step; skip where the system cannot."""
    AT_FDCWD, RENAME_EXCHANGE = -100, 2  # noqa: N806 - the system's names
    if not hasattr(LIBC, "renameat2"):
        pytest.skip("two names cannot change places here")
    if LIBC.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) != 0:
        pytest.skip(f"two names cannot change places here: {os.strerror(ctypes.get_errno())}")


@pytest.fixture(params=["openat2", "part by part"])
def attacked(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalBucket]:
    """A bucket whose folder `a/b` is a link to a folder outside every other moment."""
    if request.param == "openat2" and not beneath.has_openat2():
        pytest.skip("no openat2 here")
    monkeypatch.setattr(beneath, "has_openat2", lambda: request.param == "openat2")
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("x.jpg", "only-outside.jpg", LEFTOVER):
        (outside / name).write_bytes(SECRET)
    bucket = LocalBucket(tmp_path / "bucket")
    folder, link = bucket.root / "a" / "b", bucket.root / "a" / "link"
    folder.mkdir(parents=True)
    (folder / "x.jpg").write_bytes(b"inside")
    link.symlink_to(outside)
    exchange(folder, link)
    assert folder.is_symlink()

    with meanwhile(lambda: exchange(folder, link)):
        yield bucket
    before = dict.fromkeys(("x.jpg", "only-outside.jpg", LEFTOVER), SECRET)
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == before


def _tried(seen: Counter[str], work: Callable[[], object]) -> None:
    try:
        work()
        seen["done"] += 1
    except (SourceError, SinkError):
        seen["refused"] += 1


def _enough(seen: Counter[str]) -> bool:
    return sum(seen.values()) >= 1500 and seen["done"] >= 20 and seen["refused"] >= 20


def test_a_link_that_appears_while_reading(attacked: LocalBucket) -> None:
    seen: Counter[str] = Counter()

    def read() -> None:
        assert attacked.read("a/b/x.jpg") == b"inside"

    until(lambda: _enough(seen), lambda: _tried(seen, read))


def test_a_link_that_appears_while_writing(attacked: LocalBucket) -> None:
    seen: Counter[str] = Counter()
    until(lambda: _enough(seen), lambda: _tried(seen, lambda: attacked.write("a/b/x.jpg", b"inside")))


def test_a_link_that_appears_while_deleting(attacked: LocalBucket) -> None:
    seen: Counter[str] = Counter()
    until(lambda: _enough(seen), lambda: _tried(seen, lambda: attacked.delete("a/b/x.jpg")))


def test_a_link_that_appears_while_listing(attacked: LocalBucket) -> None:
    seen: Counter[str] = Counter()

    def walk() -> None:
        found = [facts.key for facts in attacked.list("a/b/")]
        assert found in ([], ["a/b/x.jpg"])
        assert attacked.clean_leftovers("a") == 0
        seen["done" if found else "refused"] += 1

    until(lambda: _enough(seen), walk)


def test_a_file_that_becomes_a_link(tmp_path: Path) -> None:
    bucket = LocalBucket(tmp_path / "bucket")
    bucket.root.mkdir()
    (tmp_path / "secret").write_bytes(SECRET)
    file, other = bucket.root / "x", bucket.root / "other"

    def swap() -> None:
        other.symlink_to(tmp_path / "secret")
        other.rename(file)
        other.write_bytes(b"inside")
        other.rename(file)

    seen: Counter[str] = Counter()

    def read() -> None:
        assert bucket.read("x") == b"inside"

    with meanwhile(swap):
        until(lambda: _enough(seen), lambda: _tried(seen, read))
        for _ in range(200):
            bucket.write("x", b"inside")
    assert (tmp_path / "secret").read_bytes() == SECRET


def test_one_of_two_writers_wins_whole(tmp_path: Path) -> None:
    bucket = LocalBucket(tmp_path)
    contents = [bytes([number]) * 300_000 for number in range(4)]
    enough = threading.Event()

    def write(data: bytes) -> None:
        while not enough.is_set():
            bucket.write("a/x", data)

    writers = [threading.Thread(target=write, args=(data,)) for data in contents]
    bucket.write("a/x", contents[0])
    for writer in writers:
        writer.start()
    try:
        seen = set[bytes]()

        def look() -> None:
            seen.add(bucket.read("a/x"))
            assert [facts.size for facts in bucket.list()] == [300_000]

        until(lambda: len(seen) == len(contents), look)
    finally:
        enough.set()
        for writer in writers:
            writer.join()
    assert seen == {*contents}
    assert bucket.read("a/x") in contents
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["x"]


def test_cleaning_harms_no_writer(tmp_path: Path) -> None:
    """A file is not locked yet in the moment in which it is made; a writer whose file goes then makes another one."""
    bucket = LocalBucket(tmp_path)
    with meanwhile(bucket.clean_leftovers):
        for number in range(100):
            written = bucket.write(f"a/{number}", b"data" * 1000)
            assert bucket.verify(f"a/{number}", written)
    assert len(list(bucket.list("a/"))) == 100


#: forks a writer for each line it reads, tells its process id, and waits for its end
WRITERS = """
import itertools, os, sys
from stillframe.storage.local import LocalBucket
bucket, forker = LocalBucket(sys.argv[1]), os.getpid()
for line in sys.stdin:
    writer = os.fork()
    if writer == 0:
        for number in itertools.count():
            if os.getppid() != forker:
                os._exit(1)
            bucket.write(f"a/{number % 3}", bytes([number % 256]) * 1_000_000)
    print(writer, flush=True)
    os.waitpid(writer, 0)
    print("over", flush=True)
"""


def test_kills_in_the_middle_of_writes(tmp_path: Path) -> None:
    """Kill until three dozen have struck before the rename; what they have left is removed at times, too."""
    bucket = LocalBucket(tmp_path)
    seen: Counter[str] = Counter()
    command = [sys.executable, "-c", WRITERS, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as forker:
        commands, answers = forker.stdin, forker.stdout
        assert commands is not None
        assert answers is not None

        def kill_one() -> None:
            commands.write("go\n")
            writer = int(answers.readline())
            before = _being_written(tmp_path / "a")
            until(lambda: bool(_being_written(tmp_path / "a") - before), lambda: None)
            os.kill(writer, signal.SIGKILL)
            assert answers.readline() == "over\n"
            for facts in bucket.list():
                assert facts.size == 1_000_000
                data = bucket.read(facts.key)
                assert data == data[:1] * 1_000_000
            seen["kills"] += 1
            if seen["kills"] % 5 == 0:
                left = len(_being_written(tmp_path / "a"))
                assert bucket.clean_leftovers() == left
                assert not _being_written(tmp_path / "a")
                seen["left"] += left

        try:
            until(lambda: seen["left"] >= 36, kill_one)
        finally:
            forker.kill()
    assert {facts.key for facts in bucket.list()} <= {"a/0", "a/1", "a/2"}
    bucket.check()


def _being_written(folder: Path) -> set[str]:
    """The temporary files, of living and of killed writers."""
    if not folder.is_dir():
        return set()
    return {path.name for path in folder.iterdir() if is_temporary(os.fsencode(path.name))}


FILL = """
import json, os, sys
from stillframe.errors import SinkError
from stillframe.storage.local import LocalBucket
bucket = LocalBucket("disk", "local")
bucket.write("before", b"b" * 5000)
for number in range(1000):
    try:
        bucket.write(f"a/{number:03d}", b"x" * 9000)
        bucket.write("before", b"B" * 5000)
    except SinkError as error:
        told = {"error": str(error), "transient": error.transient}
        break
told["files"] = sorted(name for _, _, names in os.walk("disk") for name in names)
told["sizes"] = sorted({facts.size for facts in bucket.list()})
told["before"] = bucket.read("before")[:1].decode() * (len(bucket.read("before")) == 5000)
if sys.argv[1:]:
    bucket.delete("a/000")
    told["again"] = bucket.write("a/again", b"x" * 5000).size
print(json.dumps(told))
"""


def test_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    done = _on_a_small_disk(tmp_path, "128k", FILL, "again")
    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert told["error"].endswith(": no space left on the disk")
    assert told["error"].startswith("oss://local/")
    assert told["transient"]
    assert told["sizes"] == [5000, 9000]
    assert told["before"] in ("b", "B")
    assert all(len(name) == 3 or name == "before" for name in told["files"]), "nothing partial stays"
    assert len(told["files"]) > 3
    assert told["again"] == 5000


UPLOAD = """
import json, os
from stillframe.errors import SinkError
from stillframe.storage.local import LocalBucket
bucket = LocalBucket("disk", "local")
writer = bucket.open_writer("large.mp4")
told, free = {}, lambda: os.statvfs("disk").f_bavail * os.statvfs("disk").f_frsize
try:
    for _ in range(100):
        writer.add(bytes(1 << 20))
except SinkError as error:
    told["error"], told["left"] = str(error), free()
writer.abort()
bucket.write("picture.jpg", bytes(1 << 20))
print(json.dumps(told | {"files": os.listdir("disk")}))
"""


def test_an_upload_leaves_room_on_the_disk(tmp_path: Path) -> None:
    """The database may lie there, too, and ends when nothing is left."""
    (tmp_path / "disk").mkdir()
    done = _on_a_small_disk(tmp_path, "40m", UPLOAD)
    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert told["error"].endswith("large.mp4: no space left on the disk")
    # of 40 MiB 2 are kept, and pieces of 1 were written
    assert 1 << 20 <= told["left"] <= 2 << 20
    assert told["files"] == ["picture.jpg"]


def _on_a_small_disk(folder: Path, size: str, *code: str) -> subprocess.CompletedProcess[str]:
    """What Python says where `disk` is a disk; skips where none can be had."""
    try:
        done = subprocess.run(
            [*SMALL_DISK, size, sys.executable, "-c", *code],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        pytest.skip(f"no small disk: {error}")
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip(f"no small disk may be mounted here: {done.stderr.strip()}")
    return done


def test_a_limit_on_files(tmp_path: Path) -> None:
    """What can be tried everywhere: no file may be longer than 8,000 bytes."""
    (tmp_path / "disk").mkdir()
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))\n"
    done = subprocess.run(
        [sys.executable, "-c", limit + FILL],
        cwd=tmp_path,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)
    assert told["error"] == "oss://local/a/000: file too large"
    assert (told["files"], told["sizes"], told["before"]) == (["before"], [5000], "b")


ASK = """
import json, sys
from stillframe.errors import SinkError, SourceError
from stillframe.storage.local import LocalBucket
bucket, closed = LocalBucket("bucket", "local"), LocalBucket("bucket/closed", "local")
told = []
for ask in (
    lambda: bucket.read("x"),
    lambda: bucket.read("closed/x"),
    lambda: bucket.write("locked/x", b""),
    lambda: bucket.write("locked/new/x", b""),
    lambda: bucket.delete("locked/x"),
    lambda: list(bucket.list("closed/")),
    lambda: closed.check(),
):
    try:
        told.append(repr(ask()))
    except (SinkError, SourceError) as error:
        told.append([str(error), error.transient])
print(json.dumps(told))
"""


def test_what_may_not_be_read_or_written(tmp_path: Path, without_privileges: tuple[str, ...]) -> None:
    root = tmp_path / "bucket"
    for folder in (root, root / "locked", root / "closed"):
        folder.mkdir()
    for file in (root / "x", root / "locked" / "x"):
        file.write_bytes(b"data")
    (root / "x").chmod(0)
    (root / "locked").chmod(0o555)
    (root / "closed").chmod(0)
    done = subprocess.run(
        [*without_privileges, sys.executable, "-c", ASK],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    (root / "closed").chmod(0o755)
    if "data" in done.stdout:
        pytest.skip("the user who runs the tests may read everything")
    assert json.loads(done.stdout) == [
        ["oss://local/x: permission denied", False],
        ["oss://local/closed/x: permission denied", False],
        ["oss://local/locked/x: permission denied", False],
        ["oss://local/locked/new/x: permission denied", False],
        ["oss://local/locked/x: permission denied", False],
        ["oss://local/closed: permission denied", False],
        ["oss://local: the bucket's folder: permission denied", False],
    ]
    assert (root / "locked" / "x").read_bytes() == b"data"
