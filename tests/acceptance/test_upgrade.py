"""What the guide promises of an upgrade: who runs goes on with a newer database, and nobody else begins on it."""

from __future__ import annotations

from pathlib import Path

import pytest
from by_hand import bash, said, started
from sqlalchemy import URL, text

from drill.server import demand
from drill.work import TEMPLATE
from stillframe.database import migrations
from stillframe.database.engine import make_engine
from stillframe.ims.client import Client
from stillframe.testing import videos

pytestmark = pytest.mark.usefixtures("sandbox_holds")


@pytest.mark.full
def test_those_who_run_go_on_and_nobody_begins(tmp_path: Path, database_url: URL) -> None:
    """Ten seconds long."""
    shared = database_url.set(drivername="postgresql").render_as_string(hide_password=False)
    variables = {"STILLFRAME_DATABASE_URL": shared}
    with (
        started("stillframe serve --no-worker", tmp_path, "api", **variables) as api,
        Client(
            said(api, r"API +(http://\S+)"),
            said(api, r"AccessKeyId (\S+)"),
            said(api, r"AccessKeySecret (\S+)"),
        ) as client,
        started("stillframe worker", tmp_path, "worker", **variables) as worker,
    ):
        said(worker, r"Stillframe works: (\d+) slots")
        videos.make(tmp_path / "stillframe-data" / "buckets" / "local" / "movie.mp4", frames=40)
        # the next release has added a table and a column, as it may
        engine = make_engine(database_url)
        newer = f"{int(migrations.newest()) + 1:04d}"
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE novelties (name text)"))
            connection.execute(text("ALTER TABLE jobs ADD COLUMN novelty text NOT NULL DEFAULT ''"))
            connection.execute(text("UPDATE alembic_version SET version_num = :newer"), {"newer": newer})
        engine.dispose()

        job = client.call(
            "SubmitSnapshotJob",
            Input={"Type": "OSS", "Media": "oss://local/movie.mp4"},
            Output={"Type": "OSS", "Media": "oss://local/out/{Count}.jpg"},
            TemplateConfig={"TemplateId": TEMPLATE},
        )["JobId"]

        def status() -> str:
            return str(client.call("GetSnapshotJob", JobId=job)["SnapshotJob"]["Status"])

        demand(lambda: status() != "Init", "the job has ended")
        assert status() == "Success"
        for command in (
            "stillframe worker",
            "stillframe key list",
            "stillframe db upgrade",
            "stillframe db check",
        ):
            done = bash(command, tmp_path, **variables)
            assert done.returncode == 1
            assert f"is at revision {newer}, which this Stillframe does not know" in done.stderr
