"""The console as `stillframe serve` brings it: the links that are printed, and how it ends."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from the_command import DEADLINE_S, run
from the_server import serving

from console_client import visiting

pytestmark = pytest.mark.usefixtures("sandbox_holds")


def test_links_are_printed_by_server_and_command_and_streams_do_not_hold_up_the_end(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        port = int(server.url.rpartition(":")[2])
        done = run(["console", "link"], tmp_path, env=server.env)
        printed = done.out.strip()
        assert printed.startswith(f"{server.url}/console/login#")
        for link in (server.link, printed):
            with visiting(port) as visitor:
                assert visitor.log_in_by_link(link).status_code == 303
                assert "<summary>default</summary>" in visitor.get("/jobs").text
                assert visitor.log_in_by_link(link).status_code == 401
        with visiting(port) as visitor:
            visitor.log_in_by_key_text(*server.key)
            with visitor.http.stream("GET", "/console/jobs/events") as stream:
                lines = stream.iter_lines()
                assert "event: changed" in lines
                server.process.send_signal(signal.SIGTERM)
                # not cut off, but ended
                assert "event: changed" not in lines
        assert server.process.wait(DEADLINE_S) == 0
    # uvicorn's word for answers that it had to give up
    assert "Cancel" not in (tmp_path / "data.log").read_text()
