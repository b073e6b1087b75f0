"""The commands around a running server: keys, buckets, pipelines, the database and jobs."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import time
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from ready_command import run
from the_command import DEADLINE_S, Done, demand_one_line, files_in, rgb, started
from the_server import Server, serving

from stillframe.testing import Clip, barcode

STILLS = ["--template", "S00000002-000012"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, film: Clip) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server") / "my data") as running:
        shutil.copy(film.path, running.bucket / "movie.mp4")
        yield running


def command(server: Server, *arguments: str, **env: str) -> Done:
    """The command with the server's data folder, and what must have been well."""
    return run(arguments, server.data_dir.parent, env={**server.env, **env})


def well(server: Server, *arguments: str, **env: str) -> str:
    done = command(server, *arguments, **env)
    assert (done.code, done.complaints) == (0, "")
    return done.out


def loaded(server: Server, *arguments: str) -> Any:
    return json.loads(well(server, *arguments))


def test_a_key_from_its_first_day_to_its_last(server: Server) -> None:
    made = loaded(server, "key", "create", "--json")
    key_id, secret = made["AccessKeyId"], made["AccessKeySecret"]
    env = {"STILLFRAME_ACCESS_KEY_ID": key_id, "STILLFRAME_ACCESS_KEY_SECRET": secret}
    well(server, "job", "list", **env)
    assert secret not in well(server, "key", "list")

    for word, state, code in [
        ("disable", "disabled", "InvalidAccessKeyId.Inactive"),
        ("enable", "active", ""),
    ]:
        assert well(server, "key", word, key_id) == f"{key_id} is {state}\n"
        listed = {key["AccessKeyId"]: key["Status"] for key in loaded(server, "key", "list", "--json")}
        assert listed[key_id] == state
        assert listed[server.key[0]] == "active"
        done = command(server, "job", "list", **env)
        assert done.code == bool(code)
        assert code in done.err

    well(server, "key", "delete", key_id)
    assert key_id not in well(server, "key", "list")
    demand_one_line(command(server, "job", "list", **env), "InvalidAccessKeyId.NotFound")


def test_a_key_is_shown_to_people(server: Server) -> None:
    lines = well(server, "key", "create").splitlines()
    assert lines[0].startswith("AccessKeyId      SF")
    assert lines[1].endswith("(shown once)")


def test_a_bucket_is_used_as_soon_as_it_is_added(server: Server, tmp_path: Path, film: Clip) -> None:
    shutil.copy(film.path, tmp_path / "film.mp4")
    added = well(server, "bucket", "add", "other", "--to", f"fs:{tmp_path}", "--region", "eu-west-1")
    assert added == f"oss://other  ->  fs:{tmp_path}  (eu-west-1)\n"
    listed = {row["Name"]: row for row in loaded(server, "bucket", "list", "--json")}
    assert listed["other"] == {
        "Name": "other",
        "Place": f"fs:{tmp_path}",
        "Region": "eu-west-1",
        "Account": "default",
        "Grants": [],
    }
    assert "oss" not in well(server, "bucket", "list")

    submit = ["job", "submit", "oss://other/film.mp4", "-o", "oss://other/one.png", "--wait"]
    done = command(server, *submit, "--template", "S00000002-000011", "--set", "Time=2000")
    assert done.code == 0, done.err
    assert barcode.read(rgb(tmp_path / "one.png")) == 10

    taken = command(server, "bucket", "add", "other", "--to", f"fs:{tmp_path}")
    demand_one_line(taken, "Bucket is 'other', but must be a name that no other bucket has")
    moved = tmp_path / "moved"
    moved.mkdir()
    demand_one_line(
        command(server, "bucket", "edit", "other", "--to", "fs:/no/such/folder"), "does not exist"
    )
    assert str(moved) in well(server, "bucket", "edit", "other", "--to", f"fs:{moved}")
    listed = {row["Name"]: row for row in loaded(server, "bucket", "list", "--json")}
    assert (listed["other"]["Place"], listed["other"]["Region"]) == (f"fs:{moved}", "eu-west-1")
    well(server, "bucket", "edit", "other", "--to", f"fs:{tmp_path}")
    moved.rmdir()
    well(server, "bucket", "remove", "other")
    assert files_in(tmp_path) == ["film.mp4", "one.png"]
    demand_one_line(command(server, *submit, *STILLS), "ResourceNotFound", "'other'")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ("key disable SFno", "there is no AccessKey 'SFno'"),
        ("key delete SFno", "there is no AccessKey 'SFno'"),
        ("bucket add UPPER --to fs:/tmp", "Bucket is 'UPPER'"),
        ("bucket add cloud --to oss://somewhere", "region=NAME or endpoint=URL"),
        ("bucket add cloud --to s3://somewhere?secret=x", "keys come from the environment or a profile"),
        ("bucket add gone --to fs:/no/such/folder", "does not exist"),
        ("bucket add relative --to fs:folder", "an absolute path"),
        ("bucket remove nobody", "there is no Bucket 'nobody'"),
        ("bucket edit nobody --region eu-west-1", "there is no Bucket 'nobody'"),
        ("bucket edit local --region Mars!", "Region is 'Mars!'"),
        ("pipeline pause nobody", "there is no Pipeline 'nobody'"),
        ("pipeline resume nobody", "there is no Pipeline 'nobody'"),
        ("job show nobody", "ResourceNotFound"),
        ("job cancel nobody", "ResourceNotFound"),
        ("job retry nobody", "ResourceNotFound"),
        ("job delete nobody --outputs", "ResourceNotFound"),
        ("job list --status Done", "InvalidParameter"),
        ("job submit oss://local/movie.mp4 -o oss://local/x.jpg --template S9", "There is no Template 'S9'"),
        ("job submit movie.mp4 -o oss://local/x.jpg --template S00000002-000010", "Input"),
        (
            "job submit oss://local/movie.mp4 -o oss://local/x.jpg --template S00000002-000010 --set Width=7",
            "It is 7, but must be",
        ),
        ("job list --endpoint ftp://example.com", "must be an address such as"),
        ("job list --endpoint http://127.0.0.1:1", "http://127.0.0.1:1"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(server: Server, arguments: str, word: str) -> None:
    done = run(arguments, server.data_dir.parent, env=server.env)
    assert done.code == 1
    demand_one_line(done, word)


@pytest.mark.parametrize(
    "arguments",
    ["--set Count", "--set =5", "--set A.=5", "--set Count=5 --set Count.X=1"],
)
def test_a_change_that_is_none(server: Server, arguments: str) -> None:
    submit = "job submit oss://local/movie.mp4 -o oss://local/x.jpg --template S00000002-000010 "
    done = run(submit + arguments, server.data_dir.parent, env=server.env)
    assert done.code == 64
    assert "--set" in done.err


def test_half_a_key_is_no_key(server: Server) -> None:
    done = command(server, "job", "list", STILLFRAME_ACCESS_KEY_ID="SFx")
    demand_one_line(done, "STILLFRAME_ACCESS_KEY_SECRET is not")


def test_the_endpoint_and_key_of_the_environment_need_no_data_folder(server: Server, tmp_path: Path) -> None:
    env = {
        "STILLFRAME_ENDPOINT": server.url.removeprefix("http://"),
        "STILLFRAME_ACCESS_KEY_ID": server.key[0],
        "STILLFRAME_ACCESS_KEY_SECRET": server.key[1],
    }
    done = run("job list", tmp_path, env=env)
    assert done.code == 0, done.err
    assert files_in(tmp_path) == []
    env["STILLFRAME_ACCESS_KEY_SECRET"] = "wrong"
    demand_one_line(run("job list", tmp_path, env=env), "SignatureDoesNotMatch: the AccessKeySecret is wrong")
    done = run("job list", tmp_path, env={"STILLFRAME_ENDPOINT": env["STILLFRAME_ENDPOINT"]})
    demand_one_line(done, "there is no key for it: set STILLFRAME_ACCESS_KEY_ID and")


def test_a_profile_needs_neither_environment_nor_data_folder(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "stillframe" / "config.toml"
    file.parent.mkdir()
    lines = ("[profiles.mine]", 'endpoint = "{}"', 'access_key_id = "{}"', 'access_key_secret = "{}"')
    file.write_text("\n".join(lines).format(server.url, *server.key))
    file.chmod(0o600)
    env = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert run("job list --profile mine", tmp_path, env=env).code == 0
    file.chmod(0o604)
    done = run("job list", tmp_path, env={**env, "STILLFRAME_PROFILE": "mine"})
    demand_one_line(done, f"chmod 600 '{file}'")


def test_a_job_is_waited_for(server: Server) -> None:
    done = command(
        server,
        *["job", "submit", "oss://local/movie.mp4", "-o", "oss://local/wait/{TileCount}.png", "--wait"],
        *["--template", "S00000002-000021", "--set", "Count=6", "--set", "SpriteSnapshotConfig.Columns=3"],
        *["--set", "SpriteSnapshotConfig.Lines=2", "--set", "SpriteSnapshotConfig.Color=#FF0000"],
        *["--name", "Six é", "--user-data", "a\nb"],
    )
    assert done.code == 0, done.err
    job_id, result = done.out.splitlines()
    assert result == "Success, Count 6: oss://local/wait/{TileCount}.png"
    assert done.err.splitlines()[-1] == f"{job_id}: 100 %"
    assert rgb(server.bucket / "wait" / "00001.png").shape == (180, 480, 3)

    job = loaded(server, "job", "show", job_id, "--json")
    assert (job["Status"], job["Name"], job["UserData"]) == ("Success", "Six é", "a\nb")
    assert json.loads(job["TemplateConfig"])["SpriteSnapshotConfig"]["Color"].lower() == "#ff0000"
    shown = dict(line.split(None, 1) for line in well(server, "job", "show", job_id).splitlines())
    assert re.fullmatch(r"[\d.]+ KiB of [\d.]+ KiB read \([\d.]+%\) in [\d,]+ requests", shown["Report"])
    assert (shown["JobId"], shown["Progress"], shown["UserData"]) == (job_id, "100", "a\\nb")
    assert shown["Input"] == "oss://local/movie.mp4"
    assert shown["Output"] == "oss://local/wait/{TileCount}.png"
    (url,) = well(server, "job", "urls", job_id).splitlines()
    with urllib.request.urlopen(url) as picture:
        assert picture.read() == (server.bucket / "wait" / "00001.png").read_bytes()
    again = command(server, "job", "wait", job_id)
    assert (again.code, again.out) == (0, f"{result}\n")
    assert job_id in well(server, "job", "list")


def test_an_asset_from_its_first_day_to_its_last(server: Server) -> None:
    shutil.copy(server.bucket / "movie.mp4", server.bucket / "asset.mp4")
    register = ["media", "register", "oss://local/asset.mp4", "--title", "A film"]
    media_id = well(server, *register, "--tags", "a,b", "--cover", "1500ms", "--no-sprite").strip()
    asset = loaded(server, "media", "show", "oss://local/asset.mp4", "--json")
    told = asset["MediaBasicInfo"]
    assert (told["MediaId"], told["Title"], told["MediaTags"]) == (media_id, "A film", "a,b")
    assert f"MediaId         {media_id}\n" in well(server, "media", "show", media_id)
    heading, line = well(server, "media", "list").splitlines()
    assert ("MediaId" in heading, media_id in line) == (True, True)
    submit = ["job", "submit", media_id, "-o", media_id, "--template", "S00000002-000011"]
    job_id = well(server, *submit).strip()
    assert command(server, "job", "wait", job_id).code == 0
    assert job_id in well(server, "media", "show", media_id)
    other = well(server, *register, "--overwrite", "--no-snapshot", "--no-sprite").strip()
    done = command(server, "media", "delete", other, media_id, "--files")
    assert (done.code, done.out) == (1, f"{other} is deleted, and its files\n")
    assert media_id in done.complaints
    assert not (server.bucket / "asset.mp4").exists()


def test_a_job_that_fails_ends_the_command_with_1(server: Server) -> None:
    (server.bucket / "bad.mp4").write_text("no video")
    done = command(
        server, "job", "submit", "oss://local/bad.mp4", "-o", "oss://local/b/{Count}.jpg", "--wait", *STILLS
    )
    assert done.code == 1
    job_id = done.out.strip()
    told = [line for line in done.err.splitlines() if line.startswith("stillframe: ")]
    assert len(told) == 1
    assert told[0].startswith(f"stillframe: job {job_id}: InvalidParameter.ResourceContentBad: ")
    assert "bad.mp4" in told[0]
    lines = well(server, "job", "list", "--status", "fail", "--json").splitlines()
    assert job_id in {json.loads(line)["JobId"] for line in lines}
    assert {json.loads(line)["Status"] for line in lines} == {"Fail"}
    assert len(well(server, "job", "list", "--most", "1").splitlines()) == 2


def test_a_job_that_is_held_up_says_why(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "frail"
    folder.mkdir()
    well(server, "bucket", "add", "frail", "--to", f"fs:{folder}")
    folder.rmdir()
    submit = ["job", "submit", "oss://local/movie.mp4", "-o", "oss://frail/{Count}.jpg", "--wait", *STILLS]
    with started(submit, server.data_dir.parent, env=server.env) as (waiting, _, told):
        heard = ""
        while "held up: " not in heard:
            heard = told.readline()
            assert heard, "the command has ended before it said why"
        assert "oss://frail: the bucket's folder: does not exist" in heard
        folder.mkdir()
        out, _ = waiting.communicate(timeout=DEADLINE_S)
    assert waiting.returncode == 0
    assert out.endswith("Success, Count 10: oss://frail/{Count}.jpg\n")


def test_ctrl_c_leaves_the_job_alone(server: Server) -> None:
    submit = [
        "job",
        "submit",
        "oss://local/movie.mp4",
        "-o",
        "oss://local/left/{Count}.png",
        "--wait",
        *STILLS,
    ]
    large = ["--set", "Width=4000", "--set", "Height=4000", "--set", "FrameType=normal"]
    with started([*submit, *large], server.data_dir.parent, env=server.env) as (waiting, said, told):
        job_id = said.readline().strip()
        told.readline()
        waiting.send_signal(signal.SIGINT)
        out, err = waiting.communicate(timeout=DEADLINE_S)
    assert waiting.returncode == 130
    assert f"{job_id} goes on without us" in out
    assert err.endswith("stillframe: interrupted\n")
    well(server, "job", "cancel", job_id)


def test_the_last_key(server: Server) -> None:
    active = [
        key["AccessKeyId"] for key in loaded(server, "key", "list", "--json") if key["Status"] == "active"
    ]
    active += [loaded(server, "key", "create", "--json")["AccessKeyId"]]
    try:
        for key_id in active:
            said = well(server, "key", "disable", key_id)
            assert ("no active key is left" in said) == (key_id == active[-1])
        done = command(server, "job", "list")
        demand_one_line(done, "there is no active key in it: run: stillframe key create")
    finally:
        well(server, "key", "enable", server.key[0])


def test_a_job_in_a_paused_pipeline(server: Server) -> None:
    well(server, "pipeline", "pause")
    try:
        assert loaded(server, "pipeline", "list", "--json")[0]["Status"] == "Paused"
        job_id = well(
            server, "job", "submit", "oss://local/movie.mp4", "-o", "oss://local/p/{Count}.jpg", *STILLS
        ).strip()
        assert loaded(server, "job", "show", job_id, "--json")["Status"] == "Init"
        well(server, "job", "cancel", job_id)
        job = loaded(server, "job", "show", job_id, "--json")
        assert (job["Status"], job["Code"]) == ("Fail", "OperationCanceled")
        assert well(server, "job", "retry", job_id) == f"{job_id} is in the queue again\n"
        assert loaded(server, "job", "show", job_id, "--json")["Status"] == "Init"
        assert not (server.bucket / "p").exists()
    finally:
        pipeline_id = loaded(server, "pipeline", "list", "--json")[0]["PipelineId"]
        said = well(server, "pipeline", "resume", pipeline_id)
    assert said.startswith("pipeline default is active")
    always = "pipeline default: always; jobs are begun now\n"
    assert well(server, "pipeline", "hours") == always
    said = well(server, "pipeline", "hours", "--between", "00:00-24:00", "--time-zone", "Asia/Shanghai")
    assert said == "pipeline default: 00:00-24:00 Asia/Shanghai; jobs are begun now\n"
    assert loaded(server, "pipeline", "list", "--json")[0]["Hours"] == "00:00-24:00 Asia/Shanghai"
    assert well(server, "pipeline", "hours", pipeline_id, "--between", "always") == always
    deadline = time.monotonic() + DEADLINE_S
    while loaded(server, "job", "show", job_id, "--json")["Status"] == "Init":
        assert time.monotonic() < deadline
    assert files_in(server.bucket / "p") == [f"{number:05}.jpg" for number in range(1, 11)]
    assert well(server, "job", "delete", job_id, "--outputs") == f"{job_id} is deleted, and its files\n"
    assert not (server.bucket / "p").exists() or files_in(server.bucket / "p") == []
    demand_one_line(command(server, "job", "show", job_id), "ResourceNotFound")


def test_any_action_by_its_name(server: Server) -> None:
    made = loaded(server, "api", "CreatePipeline", "Name=a b", "Speed=Standard", "Priority=2")["Pipeline"]
    assert (made["Name"], made["Priority"]) == ("a b", 2)
    request = ["GetPipeline", f"PipelineId={made['PipelineId']}"]
    command_line = shlex.split(well(server, "api", *request, "--curl"))
    assert command_line[:2] == ["curl", f"{server.url}/"]
    headers = dict(text.split(": ", 1) for flag, text in pairwise(command_line) if flag == "-H")
    assert command_line[-2] == "--data-raw"
    for code in ("", "SignatureNonceUsed"):
        answer = httpx.post(server.url, headers=headers, content=command_line[-1], trust_env=False).json()
        assert answer.get("Code", "") == code
        assert code or answer["Pipeline"] == made
    demand_one_line(command(server, "api", "GetPipeline"), "MissingParameter", "PipelineId")
    demand_one_line(command(server, "api", "GetPipelines"), "did you mean")
    assert command(server, "api", "GetPipeline", "x").code == 64
    well(server, "api", "DeletePipeline", f"PipelineId={made['PipelineId']}")


def test_the_running_servers_database(server: Server) -> None:
    assert "as this Stillframe needs" in well(server, "db", "check")
    assert "already" in well(server, "db", "upgrade")
    announced = json.loads((server.data_dir / "server.json").read_text())
    assert announced == {"url": server.url, "pid": server.process.pid}
    assert (server.data_dir / "server.json").stat().st_mode & 0o777 == 0o600
