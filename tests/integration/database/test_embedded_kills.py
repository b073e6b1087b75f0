"""The private PostgreSQL when something is killed, and what an earlier one has left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest
from database_server import Place, address, as_user, environment, is_kept, is_quiet, until

from stillframe.database.cluster import find_programs
from stillframe.database.leftover import is_running, processes_in

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")


def test_kill_9_of_the_server_ends_everything_and_the_next_one_goes_on(place: Place) -> None:
    server = place.serve(place.prepare("data"))
    server.execute("CREATE TABLE later AS SELECT 2 AS number")
    server.kill("server_pid")
    # at once: the next one waits until the dead one's supervisor has let go
    again = place.serve(server.data_dir)
    assert again.told["event"] == "ready", again.told
    assert is_kept(again)
    assert again.execute("SELECT number FROM later") == [(2,)]
    assert not is_running(server.told["pid"])
    assert not is_running(server.told["supervisor_pid"])


def test_kill_9_of_the_supervisor_or_of_postgresql_brings_both_back(place: Place) -> None:
    server = place.serve(place.prepare("data"))
    for who in ("supervisor_pid", "pid", "pid"):
        before = dict(server.told)
        server.kill(who)
        assert server.next_event() == "restarted"
        assert is_kept(server)
        assert server.told["socket_folder"] == before["socket_folder"]
        assert not is_running(before["pid"])
        assert not is_running(before["supervisor_pid"])


def test_kill_9_of_postgresql_in_the_middle_of_a_long_statement(own_place: Place) -> None:
    server = own_place.serve(own_place.prepare("data"))
    ended = threading.Event()

    def work() -> None:
        with contextlib.suppress(psycopg.OperationalError):
            server.execute("SELECT count(*) FROM generate_series(1, 1000000000000)")
        ended.set()

    thread = threading.Thread(target=work)
    thread.start()
    active = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT count%' AND state = 'active'"
    until(lambda: server.execute(active), "it was busy")
    ((busy,),) = server.execute(active)

    server.kill("pid")
    assert server.next_event() == "restarted"
    assert is_kept(server)
    # it looks at nothing but its work, and would have gone on for hours
    assert not is_running(busy)
    thread.join(10)
    assert ended.is_set()


def test_kill_9_of_a_server_process_is_mended_by_postgresql_itself(own_place: Place) -> None:
    server = own_place.serve(own_place.prepare("data"))
    connection = psycopg.connect(address(server.told["socket_folder"]))
    os.kill(connection.info.backend_pid, signal.SIGKILL)

    def answers() -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            return is_kept(server)
        return False

    until(answers, "it had recovered")
    connection.close()
    assert is_running(server.told["pid"])


def test_kill_9_of_all_three_at_once(place: Place) -> None:
    server = place.serve(place.prepare("data"))
    for who in ("server_pid", "supervisor_pid", "pid"):
        server.kill(who)
    again = place.serve(server.data_dir)
    assert again.told["event"] == "ready", again.told
    assert is_kept(again)


def test_kill_9_of_the_supervisor_and_then_of_the_server_leaves_nothing(own_place: Place) -> None:
    server = own_place.serve(own_place.prepare("data"))
    for who in ("supervisor_pid", "server_pid"):
        server.kill(who)
    until(lambda: is_quiet(server), "all had ended")
    assert is_kept(own_place.serve(server.data_dir))


def test_signals_for_a_whole_group_of_processes_do_not_stop_the_supervisor(own_place: Place) -> None:
    server = own_place.serve(own_place.prepare("data"))
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(server.told["supervisor_pid"], sign)
    assert is_kept(server)
    assert os.getsid(server.told["supervisor_pid"]) != os.getsid(server.told["server_pid"])
    server.stop()
    assert is_quiet(server)


def test_a_pid_file_of_before_is_no_obstacle(own_place: Place) -> None:
    data_dir = own_place.prepare("data")
    pid_file = data_dir / "database" / "pgdata" / "postmaster.pid"
    socket_lock = data_dir / "database" / ".s.PGSQL.5432.lock"
    with subprocess.Popen(["sleep", "600"], cwd="/", **as_user(own_place.user)) as stranger:
        rest = f"\n{pid_file.parent}\n1700000000\n5432\n{data_dir}/database\n\n  1 2\nready   \n"
        for text in (f"{stranger.pid}{rest}", f"4194000{rest}", ""):
            for path in (pid_file, socket_lock):
                path.write_text(text)
                os.chown(path, own_place.user, own_place.user)

            server = own_place.serve(data_dir)
            assert server.told["event"] == "ready", (text, server.told)
            assert is_kept(server)
            server.stop()
        assert stranger.poll() is None
        stranger.kill()


def test_a_postgresql_that_was_left_behind_is_stopped(place: Place, sources: Path) -> None:
    data_dir = place.prepare("data")
    pgdata = data_dir / "database" / "pgdata"
    # as after a supervisor on a system without a death signal: nobody looks after it
    program = (
        "import ctypes, os, sys\n"
        "from stillframe.database.identity import choose_identity\n"
        "choose_identity().become()\n"
        "ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n"
    )
    command = [str(find_programs(pgdata) / "postgres"), "-D", str(pgdata), "-c", "listen_addresses="]
    command += ["-c", f"unix_socket_directories={pgdata.parent}"]
    with subprocess.Popen(
        [*place.python, "-c", program, *command],
        env=environment(sources),
        cwd="/",
        stderr=subprocess.DEVNULL,
        **as_user(place.user),
    ) as left_behind:
        until((pgdata.parent / ".s.PGSQL.5432").exists, "it listened")

        server = place.serve(data_dir)
        assert server.told["event"] == "ready", server.told
        assert is_kept(server)
        assert left_behind.wait(1) == 0
    assert server.told["pid"] in processes_in(pgdata)


def test_an_operators_shell_in_the_folder_is_left_alone(own_place: Place) -> None:
    data_dir = own_place.prepare("data")
    with subprocess.Popen(["sleep", "600"], cwd=data_dir / "database" / "pgdata") as shell:
        assert is_kept(own_place.serve(data_dir))
        assert shell.poll() is None
        shell.kill()


def test_an_initdb_that_was_cut_short_is_done_again(own_place: Place) -> None:
    unfinished = own_place.root / "data" / "database" / "pgdata.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    server = own_place.serve(own_place.root / "data")
    assert server.told["event"] == "ready", server.told
    assert not unfinished.exists()
