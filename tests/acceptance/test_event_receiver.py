"""An official SDK, a server process, and the receiver of docs/events.md as it stands."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sdk_process import SdkProcess

from ims_answers import ANSWERS
from served import serve_process
from stillframe.testing import Clip

DOCS = Path(__file__).parents[2] / "docs" / "events.md"
AUTH_KEY, SECRET = "TestKey001", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DEADLINE_S = 30


@contextmanager
def documented_receiver(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Its URL and its process."""
    (code,) = [
        block
        for block in re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
        if "BaseHTTPRequestHandler" in block
    ]
    script = folder / "receiver.py"
    script.write_text(code, encoding="utf-8")
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        url = f"http://127.0.0.1:{port}/events"
        given = {"CALLBACK_URL": url, "AUTH_KEY": AUTH_KEY, "WEBHOOK_SECRET": SECRET, "PORT": str(port)}
        process = subprocess.Popen(
            [sys.executable, str(script)],
            env=dict(os.environ) | given,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            deadline = time.monotonic() + DEADLINE_S
            while not listens(port):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield url, process
        finally:
            process.kill()
            process.communicate()


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_the_documented_receiver_hears_of_a_job(tmp_path: Path, film: Clip) -> None:
    settings = tmp_path / "stillframe.toml"
    settings.write_text('callback_allow_networks = ["127.0.0.1"]\n', encoding="utf-8")
    with (
        documented_receiver(tmp_path) as (url, receiver),
        serve_process(tmp_path / "data", "--config", str(settings)) as server,
        SdkProcess(
            "ice6",
            endpoint=server.endpoint,
            access_key_id=server.access_key_id,
            access_key_secret=server.access_key_secret,
        ) as sdk,
    ):
        shutil.copy(film.path, server.bucket / "movie.mp4")
        given = {
            "CallbackType": "HTTP",
            "CallbackURL": url,
            "EventTypeList": "SnapshotComplete",
            "AuthSwitch": "on",
            "AuthKey": AUTH_KEY,
        }
        order = {"queries": {"WebhookSecret": SECRET}}
        assert sdk.call("SetEventCallback", order=order, **given)["Success"] is True
        found = sdk.call("GetEventCallback")
        assert found.keys() == ANSWERS["GetEventCallback"].keys()
        assert {name: found[name] for name in given} == given

        job_id = sdk.call(
            "SubmitSnapshotJob",
            Input={"Type": "OSS", "Media": "oss://local/movie.mp4"},
            Output={"Type": "OSS", "Media": "oss://local/out/{Count}.jpg"},
            TemplateConfig={"TemplateId": "S00000002-000011"},
        )["JobId"]
        assert receiver.stdout is not None
        event, _, told = receiver.stdout.readline().partition(" ")
        assert event == "SnapshotComplete"
        assert (json.loads(told)["JobId"], json.loads(told)["Status"]) == (job_id, "Success")
        # what others send is refused
        address = url.removeprefix("http://").partition("/")[0]
        connection = http.client.HTTPConnection(address, timeout=DEADLINE_S)
        connection.request("POST", "/events", b'{"MessageBody": {"JobId": "forged", "Status": "Success"}}')
        assert connection.getresponse().status == 403
        connection.close()
