"""`doctor`, and the commands beside it, where something is wrong: no server, no database, a proxy, no extra."""

from __future__ import annotations

import json
import shutil
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import the_command
from ready_command import run
from the_command import demand_one_line
from the_server import Server, serving

from service_client import wait_for
from stillframe.database.data_folder import in_use


def findings(folder: Path, code: int, **env: str) -> dict[str, dict[str, Any]]:
    """What the doctor finds, by subject."""
    done = run("doctor --json", folder.parent, env={"STILLFRAME_DATA_DIR": str(folder), **env})
    assert done.code == code, done.out + done.err
    return {finding["subject"]: finding for finding in json.loads(done.out)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@contextmanager
def proxy(target: str, host: str | None) -> Iterator[str]:
    """A proxy that sends another Host than it got; one that answers by itself when there is none."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = 200, b"<h1>It works!</h1>"
            if host is not None:
                try:
                    request = urllib.request.Request(target + self.path, headers={"Host": host})
                    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).close()
                except urllib.error.HTTPError as error:
                    status, body = error.code, error.read()
                    error.close()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}"
        finally:
            listening.shutdown()
            thread.join()


def test_a_server_in_good_health(server: Server) -> None:
    found = findings(server.data_dir, 0)
    assert "wrong" not in {finding["state"] for finding in found.values()}
    subjects = (
        "data folder",
        "database",
        "database sessions",
        "database revision",
        "keyring",
        "secrets",
        "bucket local",
        "server",
    )
    assert {subject: found[subject]["state"] for subject in subjects} == dict.fromkeys(subjects, "ok")
    # a note where nothing keeps the machine's clock right
    assert {"sandbox: seccomp", "sandbox: Landlock", "clock"} <= set(found)


@pytest.mark.parametrize(
    ("host", "word"), [("backend:8080", "arrives as backend:8080"), (None, "not as the API does")]
)
def test_a_proxy_that_is_set_up_wrongly(server: Server, host: str | None, word: str) -> None:
    with proxy(server.url, host) as url:
        found = findings(server.data_dir, 1, STILLFRAME_PUBLIC_URL=url)["public_url"]
    assert found["state"] == "wrong"
    assert word in found["text"]
    assert "proxy" in found["remedy"]


def test_an_address_where_nobody_listens(server: Server) -> None:
    found = findings(server.data_dir, 1, STILLFRAME_PUBLIC_URL="http://127.0.0.1:1")
    assert "cannot be reached" in found["public_url"]["text"]
    assert found["server"]["state"] == "ok"


def test_a_data_folder_whose_server_was_killed(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with serving(folder) as server:
        server.process.kill()
        server.process.wait()
    env = {"STILLFRAME_DATA_DIR": str(folder)}
    assert (folder / "server.json").exists()
    # its database is being ended
    wait_for(lambda: not in_use(folder))
    demand_one_line(run("job list", tmp_path, env=env), "no server runs on this data folder")
    assert server.key[0] in run("key list", tmp_path, env=env).out
    shutil.rmtree(server.bucket)
    (folder / "keyring").unlink()
    found = findings(folder, 1)
    assert {subject for subject in found if found[subject]["state"] == "wrong"} == {"bucket local", "keyring"}
    assert "stillframe bucket remove local" in found["bucket local"]["remedy"]
    assert found["server"]["state"] == "note"


def test_a_database_from_nothing(tmp_path: Path) -> None:
    env = {"STILLFRAME_DATA_DIR": str(tmp_path / "data")}
    demand_one_line(run("db upgrade", tmp_path, env=env), "is no data folder", "stillframe serve")
    assert not (tmp_path / "data").exists()
    (tmp_path / "data" / "database").mkdir(parents=True, mode=0o700)
    demand_one_line(run("db check", tmp_path, env=env), "run: stillframe db upgrade")
    assert "it was at none" in run("db upgrade", tmp_path, env=env).out
    assert run("db check", tmp_path, env=env).code == 0
    demand_one_line(run("key create", tmp_path, env=env), "there is no account yet: run: stillframe serve")


def test_the_settings_and_where_they_come_from(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text("slots = 3\n")
    env = {"STILLFRAME_DATABASE_URL": "postgresql://me:swordfish@db/name", "STILLFRAME_PORT": "9"}
    arguments = "config show --config my.toml --data-dir here"
    shown = json.loads(run([*arguments.split(), "--json"], tmp_path, env=env).out)
    assert shown["slots"] == {"value": "3", "origin": "my.toml"}
    assert shown["port"] == {"value": "9", "origin": "STILLFRAME_PORT"}
    assert shown["data_dir"] == {"value": "here", "origin": "--data-dir"}
    text = run(arguments, tmp_path, env=env).out
    assert "swordfish" not in text + str(shown)
    assert any(line.split() == ["slots", "3", "my.toml"] for line in text.splitlines())


@pytest.mark.parametrize("arguments", ["key list", "config show", "job list", "db check", "doctor", "serve"])
def test_without_the_extra_it_is_named(tmp_path: Path, arguments: str) -> None:
    program = (
        "import sys\n"
        "for name in ('sqlalchemy', 'pydantic', 'httpx', 'uvicorn'): sys.modules[name] = None\n"
        "from stillframe.cli.main import main\nmain()\n"
    )
    done = the_command.run(["-c", program, *arguments.split()], tmp_path, command=(sys.executable,))
    assert done.code == 1
    demand_one_line(done, "is not installed", "pip install 'stillframe[server]'")
