"""No event is lost when the server is killed in the middle of telling them, and no asset while it is looked at."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

from drill.server import Server, demand
from receiver import Message, receiving
from stillframe.testing import videos

JOBS = 8
ASSETS = 2


def test_everything_is_told_of_over_a_kill(tmp_path: Path) -> None:
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
            answered.append(message.told["JobId" if "JobId" in message.told else "MediaId"])
            return 200

        receiver.answer = answer
        try:
            server.start()
            videos.make(server.bucket / "movie.mp4", frames=10)
            server.call("SetEventCallback", CallbackURL=receiver.url, EventTypeList="ALL")
            jobs = {
                server.call(
                    "SubmitSnapshotJob",
                    Input={"Type": "OSS", "Media": "oss://local/movie.mp4"},
                    Output={"Type": "OSS", "Media": f"oss://local/{number}/{{Count}}.jpg"},
                    TemplateConfig={"TemplateId": "S00000002-000011"},
                )["JobId"]
                for number in range(JOBS)
            }
            for number in range(ASSETS):
                shutil.copy(server.bucket / "movie.mp4", server.bucket / f"asset{number}.mp4")
            on_their_way.wait(60)
            assets = {
                server.call("RegisterMediaInfo", InputURL=f"oss://local/asset{number}.mp4")["MediaId"]
                for number in range(ASSETS)
            }
            server.kill()
            second_life.set()
            server.start()
            demand(lambda: jobs | assets <= {*answered}, "all of them are told of")
            demand(
                lambda: all(has_pictures(server, media_id) for media_id in assets),
                "every asset has its pictures",
            )
            for job_id in jobs:
                assert server.call("GetSnapshotJob", JobId=job_id)["SnapshotJob"]["Status"] == "Success"
        finally:
            receiver.ending.set()
            server.close()


def has_pictures(server: Server, media_id: str) -> bool:
    """One snapshot and one sprite: no more come of it when the look at the file is begun twice."""
    found = server.call("GetMediaInfo", MediaId=media_id)["MediaInfo"]["MediaBasicInfo"]
    made = [len(json.loads(found[name])) for name in ("Snapshots", "SpriteImages")]
    assert max(made) <= 1
    return found["Status"] == "Normal" and made == [1, 1]
