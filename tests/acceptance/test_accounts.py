"""Accounts, users, policies and temporary keys as an operator makes them, and as the official SDKs use them."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ready_command import run
from sdk_process import SdkError, SdkProcess
from the_command import Done, demand_one_line
from the_server import Server, serving

from stillframe.testing import Clip

READ_ONLY = "AliyunICEReadOnlyAccess"
SUBMIT_ONLY = {
    "Version": "1",
    "Statement": [{"Effect": "Allow", "Action": "ice:Submit*", "Resource": "acs:ice:*:*:*"}],
}
JOB = {
    "Input": {"Type": "OSS", "Media": "oss://local/movie.mp4"},
    "Output": {"Type": "OSS", "Media": "oss://local/one.jpg"},
    "TemplateConfig": {"TemplateId": "S00000002-000011"},
}
#: which SDK, and the settings with which it signs in another way
SDKS: dict[str, tuple[str, dict[str, str]]] = {
    "ice 6, ACS3": ("ice6", {}),
    "ice 6, V1": ("ice6", {"signature_algorithm": "v2"}),
    "ice 1.3.11, V1": ("ice1", {}),
    "core, V1": ("core", {}),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, film: Clip) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server") / "data") as running:
        shutil.copy(film.path, running.bucket / "movie.mp4")
        yield running


def command(server: Server, *arguments: str, stdin: str = "", **env: str) -> Done:
    return run(arguments, server.data_dir.parent, stdin=stdin, env={**server.env, **env})


def well(server: Server, *arguments: str, stdin: str = "", **env: str) -> str:
    done = command(server, *arguments, stdin=stdin, **env)
    assert (done.code, done.complaints) == (0, "")
    return done.out


def loaded(server: Server, *arguments: str) -> Any:
    return json.loads(well(server, *arguments, "--json"))


def as_key(made: dict[str, str]) -> dict[str, str]:
    return {
        "STILLFRAME_ACCESS_KEY_ID": made["AccessKeyId"],
        "STILLFRAME_ACCESS_KEY_SECRET": made["AccessKeySecret"],
    }


def test_a_user_from_the_first_day_to_the_last(server: Server) -> None:
    assert well(server, "user", "create", "carol").startswith("user carol is made: ")
    key = as_key(loaded(server, "key", "create", "--user", "carol"))
    demand_one_line(
        command(server, "job", "list", **key), "NoPermission", "No policy of the user carol allows ice:List"
    )
    assert well(server, "user", "attach", "carol", READ_ONLY) == f"policy {READ_ONLY} counts for carol\n"
    made = well(server, "policy", "create", "SubmitOnly", "--file", "-", stdin=json.dumps(SUBMIT_ONLY))
    assert made == "policy SubmitOnly is made; let it count: stillframe user attach USER SubmitOnly\n"
    well(server, "user", "attach", "carol", "SubmitOnly")
    submit = ["job", "submit", "oss://local/movie.mp4", "-o", "oss://local/c.jpg"]
    submit += ["--template", "S00000002-000011"]
    job_id = well(server, *submit, **key).strip()
    assert job_id in well(server, "job", "list", **key)

    (user,) = [user for user in loaded(server, "user", "list") if user["UserName"] == "carol"]
    assert user["Policies"] == [READ_ONLY, "SubmitOnly"]
    rows = [line.split() for line in well(server, "policy", "list").splitlines()]
    assert rows[0] == ["Name", "Type", "Users"]
    assert rows[2][:2] == [READ_ONLY, "System"]
    assert rows[3] == ["SubmitOnly", "Custom", "1"]
    nothing = json.dumps(SUBMIT_ONLY).replace("Allow", "Deny")
    well(server, "policy", "update", "SubmitOnly", "--file", "-", stdin=nothing)
    assert json.loads(well(server, "policy", "show", "SubmitOnly")) == json.loads(nothing)
    well(server, "user", "detach", "carol", "SubmitOnly")
    assert well(server, "policy", "delete", "SubmitOnly") == "policy SubmitOnly is deleted\n"

    keys = {one["AccessKeyId"]: one["User"] for one in loaded(server, "key", "list")}
    assert (keys[key["STILLFRAME_ACCESS_KEY_ID"]], keys[server.key[0]]) == ("carol", None)
    # without a key of one's own, commands take the account's, and no user's
    well(server, "key", "disable", server.key[0])
    try:
        demand_one_line(command(server, "job", "list"), "there is no active key in it")
    finally:
        well(server, "key", "enable", server.key[0])
    assert well(server, "user", "delete", "carol") == "user carol is deleted, and their keys\n"
    assert "carol" not in well(server, "key", "list")


def test_two_accounts(server: Server, tmp_path: Path, film: Clip) -> None:
    studio = loaded(server, "account", "create", "studio")
    rows = [line.split() for line in well(server, "account", "list").splitlines()]
    assert [row[0] for row in rows] == ["Name", "default", "studio"]
    assert rows[2][1] == studio["AccountId"]
    shutil.copy(film.path, tmp_path / "film.mp4")
    well(server, "bucket", "add", "studio-videos", "--to", f"fs:{tmp_path}", "--account", "studio")
    listed = {row["Name"]: row["Account"] for row in loaded(server, "bucket", "list")}
    assert listed == {"local": "default", "studio-videos": "studio"}

    submit = ["job", "submit", "oss://studio-videos/film.mp4", "-o", "oss://studio-videos/one.jpg"]
    submit += ["--template", "S00000002-000011", "--wait"]
    done = command(server, *submit, **as_key(studio))
    assert done.code == 0, done.err
    assert (tmp_path / "one.jpg").exists()
    demand_one_line(command(server, *submit), "There is no Bucket 'studio-videos'")

    granted = well(server, "bucket", "grant", "studio-videos", "default", "--read", "--write")
    assert granted == "account default may read and write oss://studio-videos/*\n"
    (grants,) = [row["Grants"] for row in loaded(server, "bucket", "list") if row["Name"] != "local"]
    assert grants == ["default read *", "default write *"]
    assert command(server, *submit).code == 0
    taken = well(server, "bucket", "revoke", "studio-videos", "default")
    assert taken == "account default has lost 2 grants in oss://studio-videos\n"
    demand_one_line(command(server, *submit), "There is no Bucket 'studio-videos'")

    well(server, "user", "create", "eve", "--account", "studio")
    eve = loaded(server, "key", "create", "--user", "eve", "--account", "studio")
    demand_one_line(command(server, "job", "list", **as_key(eve)), "NoPermission")


def test_a_temporary_key_from_its_first_minute_to_its_last(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "submit.json"
    file.write_text(json.dumps(SUBMIT_ONLY))
    made = loaded(server, "sts", "create", "--role", "uploader", "--policy", str(file), "--duration", "900")
    assert {*made} == {"AccessKeyId", "AccessKeySecret", "SecurityToken", "Expiration"}
    key = as_key(made)
    token = {"STILLFRAME_SECURITY_TOKEN": made["SecurityToken"]}
    demand_one_line(command(server, "job", "list", **key), "MissingSecurityToken")
    demand_one_line(
        command(server, "job", "list", **key, **token),
        "NoPermission",
        "The policy of this session of the role uploader does not allow ice:ListSnapshotJobs",
    )
    shown = well(server, "sts", "create", "--role", "player", "--policy", READ_ONLY).splitlines()
    assert [line.split()[0] for line in shown] == [*made]
    rows = [line.split() for line in well(server, "sts", "list").splitlines()]
    assert [made["AccessKeyId"], "-", "uploader", made["Expiration"]] in rows
    assert well(server, "sts", "revoke", made["AccessKeyId"]) == f"{made['AccessKeyId']} is revoked\n"
    left = [one["AccessKeyId"] for one in loaded(server, "sts", "list")]
    assert made["AccessKeyId"] not in left


@pytest.fixture(scope="module")
def alice(server: Server) -> tuple[dict[str, str], dict[str, str]]:
    """A user's own key, and a temporary one that may do less than its user: as settings of SDKs."""
    well(server, "user", "create", "alice")
    well(server, "user", "attach", "alice", "AliyunICEFullAccess")
    made = loaded(server, "key", "create", "--user", "alice")
    token = loaded(server, "sts", "create", "--user", "alice", "--policy", READ_ONLY)
    own, temporary = (
        {"access_key_id": one["AccessKeyId"], "access_key_secret": one["AccessKeySecret"]}
        for one in (made, token)
    )
    return own, temporary | {"security_token": token["SecurityToken"]}


@pytest.mark.parametrize("name", SDKS)
def test_the_official_sdks(server: Server, alice: tuple[dict[str, str], dict[str, str]], name: str) -> None:
    own, temporary = alice
    sdk, options = SDKS[name]
    with SdkProcess(sdk, endpoint=server.url.removeprefix("http://"), **options) as process:
        job_id = process.call("SubmitSnapshotJob", settings=own, **JOB)["JobId"]
        job = process.call("GetSnapshotJob", settings=temporary, JobId=job_id)["SnapshotJob"]
        assert job["JobId"] == job_id
        with pytest.raises(SdkError) as caught:
            process.call("SubmitSnapshotJob", settings=temporary, **JOB)
        told = caught.value.told
        assert (told["code"], told["status"]) == ("NoPermission", 403)
        assert "The policy of this session of the user alice does not allow" in told["message"]
        if sdk == "ice6":
            evidence = json.loads(base64.b64decode(told["detail"].pop("EncodedDiagnosticMessage")))
            assert evidence["Action"] == "ice:SubmitSnapshotJob"
            assert told["detail"] == {
                "AuthAction": "ice:SubmitSnapshotJob",
                "AuthPrincipalDisplayName": "alice",
                "AuthPrincipalOwnerId": evidence["Resource"].split(":")[3],
                "AuthPrincipalType": "SubUser",
                "NoPermissionType": "ImplicitDeny",
                "PolicyType": "SessionPolicy",
            }
        changed = temporary | {"security_token": temporary["security_token"][::-1]}
        with pytest.raises(SdkError) as caught:
            process.call("GetSnapshotJob", settings=changed, JobId=job_id)
        assert caught.value.told["code"] == "InvalidSecurityToken.Malformed"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ("account create default", "a name that no other account has"),
        ("user create x --account nobody", "there is no Account 'nobody'"),
        ("policy create X --file no-such.json", "no-such.json"),
        ("policy create X --file -", "Policy is '', but must be a JSON object"),
        ("sts create", "User is None, but must be given, or else a role"),
        ("sts create --role x --policy Nobody", "there is no Policy 'Nobody'"),
        ("bucket add x-y --to fs:/tmp --account nobody", "there is no Account 'nobody'"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(server: Server, arguments: str, word: str) -> None:
    done = run(arguments, server.data_dir.parent, env=server.env)
    assert done.code == 1
    demand_one_line(done, word)
