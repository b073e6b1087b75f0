"""No event is lost when the server is killed in the middle of telling them."""

from __future__ import annotations

import threading
from pathlib import Path

from drill.server import Server, demand
from receiver import Message, receiving
from stillframe.testing import videos

JOBS = 8


def test_every_job_is_told_of_over_a_kill(tmp_path: Path) -> None:
    """The first life's receiver takes events and answers none; the server dies with some of them on their way."""
    with receiving() as receiver:
        server = Server(tmp_path, sandbox="off", callback_allow_networks="127.0.0.1")
        on_their_way = threading.Event()
        second_life = threading.Event()
        answered: list[str] = []

        def answer(message: Message) -> int:
            if not second_life.is_set():
                on_their_way.set()
                receiver.ending.wait()
                return 500
            answered.append(message.told["JobId"])
            return 200

        receiver.answer = answer
        try:
            server.start()
            videos.make(server.bucket / "movie.mp4", frames=10)
            server.call("SetEventCallback", CallbackURL=receiver.url, EventTypeList="SnapshotComplete")
            jobs = {
                server.call(
                    "SubmitSnapshotJob",
                    Input={"Type": "OSS", "Media": "oss://local/movie.mp4"},
                    Output={"Type": "OSS", "Media": f"oss://local/{number}/{{Count}}.jpg"},
                    TemplateConfig={"TemplateId": "S00000002-000011"},
                )["JobId"]
                for number in range(JOBS)
            }
            on_their_way.wait(60)
            server.kill()
            second_life.set()
            server.start()
            demand(lambda: jobs <= {*answered}, "every job is told of")
            for job_id in jobs:
                assert server.call("GetSnapshotJob", JobId=job_id)["SnapshotJob"]["Status"] == "Success"
        finally:
            receiver.ending.set()
            server.close()
