"""Buckets at the console: bound to places that are tried, granted, made the default, and removed; and by whom."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from console_client import Visitor, linked_fields, visiting
from service_client import Service, service
from stillframe.accounts.users import Users
from stillframe.catalog.buckets import Grant
from stillframe.console.login import link_of
from stillframe.storage import check_in_time
from stillframe.storage.local import LocalBucket

ACTS = ("settings", "remove", "grant", "revoke")


@pytest.fixture(scope="module")
def running(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(module_database_url, tmp_path_factory.mktemp("data"), slots=1) as started:
        yield started


@pytest.fixture(scope="module")
def operator(running: Service) -> Iterator[Visitor]:
    with visiting(running.port) as found:
        found.log_in_by_link(running.assembly.login_link())
        yield found


def added(operator: Visitor, name: str, folder: Path) -> None:
    folder.mkdir()
    answer = operator.send("/buckets", name=name, place=f" fs:{folder} ", region="cn-shanghai")
    assert answer.headers["Location"] == f"/console/buckets/{name}", answer.text


def error(page: str, field: str) -> str:
    """What stands beside a field that is wrong."""
    assert re.search(
        rf'<input id="field-{field}"[^>]*aria-describedby="about-{field}" aria-invalid="true"', page
    )
    found = re.search(rf'<p class="error" id="about-{field}">(.*?)</p>', page)
    assert found is not None
    return html.unescape(found[1])


def test_a_bucket_from_its_beginning_to_its_end(running: Service, operator: Visitor, tmp_path: Path) -> None:
    added(operator, "films", tmp_path / "films")
    assert "oss://films can be written to and read." in operator.get("/buckets").text
    found = running.assembly.buckets.named("films")
    assert (found.place, found.account_id) == (f"fs:{tmp_path / 'films'}", running.account_id)
    assert [*(tmp_path / "films").iterdir()] == []

    moved = tmp_path / "moved"
    moved.mkdir()
    (moved / "kept.txt").touch()
    answer = operator.send("/buckets/films/settings", place=f"fs:{moved}", region="cn-beijing")
    assert answer.headers["Location"] == "/console/buckets/films/settings"
    found = running.assembly.buckets.named("films")
    assert (found.place, found.region) == (f"fs:{moved}", "cn-beijing")

    page = operator.get("/buckets/films/settings").text
    assert 'data-ask="Remove the bucket films?' in page
    assert operator.send("/buckets/films/remove").headers["Location"] == "/console/buckets"
    page = operator.get("/buckets").text
    assert "oss://films is removed; its files are still there." in page
    assert "/console/buckets/films" not in page
    assert (moved / "kept.txt").exists()
    assert operator.get("/buckets/films").status_code == 404


@pytest.mark.parametrize(
    ("sent", "field", "told"),
    [
        ({"name": "UPPER"}, "name", "'UPPER' must be a bucket name of 3 to 63"),
        ({"name": "local"}, "name", "'local' must be a name that no other bucket has"),
        ({"name": ""}, "name", "'' must be a bucket name"),
        ({"place": "fs:/no/such/folder"}, "place", "The bucket's folder: does not exist."),
        ({"place": "fs:relative"}, "place", "must be fs: and an absolute path"),
        ({"place": "s3://films?secret=x"}, "place", "keys come from the environment or a profile"),
        ({"name": "n\0l", "place": "fs:/\0"}, "name", "'nl' must be a bucket name"),
        ({"place": ""}, "place", "must be a place such as fs:/srv/videos"),
        ({"region": "Mars!"}, "region", "'Mars!' must be a region such as cn-shanghai"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(
    operator: Visitor, tmp_path: Path, sent: dict[str, str], field: str, told: str
) -> None:
    fields = {"name": "new-one", "place": f"fs:{tmp_path}", "region": "cn-shanghai", **sent}
    answer = operator.send("/buckets", **fields)
    assert answer.status_code == 400
    assert told in error(answer.text, field)
    assert linked_fields(answer.text) == [field]
    for name, value in ((name, value.replace("\0", "")) for name, value in fields.items()):
        assert f'name="{name}" type="text" value="{html.escape(value)}"' in answer.text
    assert "/console/buckets/new-one" not in operator.get("/buckets").text


def test_a_place_that_cannot_be_had_changes_nothing(
    running: Service, operator: Visitor, tmp_path: Path
) -> None:
    before = running.assembly.buckets.named("local")
    (tmp_path / "file").touch()
    answer = operator.send("/buckets/local/settings", place=f"fs:{tmp_path / 'file'}", region="cn-shanghai")
    assert "is a file, not a folder" in error(answer.text, "place")
    answer = operator.send("/buckets/local/settings", place=before.place, region="")
    assert "must be a region" in error(answer.text, "region")
    assert running.assembly.buckets.named("local") == before


def test_a_place_that_hangs_is_given_up(
    operator: Visitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_in_time, "LONGEST_CHECK_S", 0.2)
    monkeypatch.setattr(LocalBucket, "check", lambda _: time.sleep(2))
    answer = operator.send("/buckets", name="hangs", place=f"fs:{tmp_path}", region="cn-shanghai")
    assert "Its place has not answered within 0 s." in error(answer.text, "place")
    assert 'data-busy="' in answer.text


def test_another_account_is_let_in_and_out(running: Service, operator: Visitor, tmp_path: Path) -> None:
    added(operator, "shared", tmp_path / "shared")
    buckets = running.assembly.buckets
    with running.account("partner") as (partner_id, _):
        granted = {"account": "partner", "prefix": "public/", "read": "true", "write": "true"}
        assert operator.send("/buckets/shared/grant", **granted).status_code == 303
        view = buckets.of_account(partner_id, {"shared"})["shared"]
        assert (view.allows("read", "public/x"), view.allows("write", "public/x")) == (True, True)
        assert not view.allows("read", "other")
        page = operator.get("/buckets/shared/settings").text
        assert page.count("Take back what lets partner") == 2
        assert 'scope="row">partner<' in page
        taken = {"account": partner_id, "access": "write", "prefix": "public/"}
        assert operator.send("/buckets/shared/revoke", **taken).status_code == 303
        view = buckets.of_account(partner_id, {"shared"})["shared"]
        assert (view.allows("read", "public/x"), view.allows("write", "public/x")) == (True, False)
        assert operator.send("/buckets/shared/revoke", **taken).status_code == 404
        # by its id as well
        assert operator.send("/buckets/shared/grant", account=partner_id, read="true").status_code == 303

        answer = operator.send("/buckets/shared/grant", account="nobody", read="true")
        assert error(answer.text, "account") == "There is no Account 'nobody'."
        answer = operator.send("/buckets/shared/grant", account="partner")
        assert "tick what it may do" in error(answer.text, "account")
        answer = operator.send("/buckets/shared/grant", account="default", read="true")
        assert "another account than the bucket's owner" in error(answer.text, "account")


def test_the_default_storage(running: Service, operator: Visitor, tmp_path: Path) -> None:
    added(operator, "outputs", tmp_path / "outputs")
    answer = operator.send("/buckets/outputs/default", folder="media/2026")
    assert answer.headers["Location"] == "/console/buckets/outputs/settings"
    chosen = running.client.call("GetDefaultStorageLocation")
    assert (chosen["Bucket"], chosen["Path"]) == ("outputs", "media/2026/")
    assert re.search(
        r"outputs</a> <span class=\"tag\">default storage, in media/2026/", operator.get("/buckets").text
    )
    for path in ("../x", "a//b", "x{Count}", "x" * 300):
        answer = operator.send("/buckets/outputs/default", folder=path)
        assert "must be" in error(answer.text, "folder")
    with running.account("reader") as (account_id, _), visiting(running.port) as reader:
        reader.log_in_by_key(running.assembly.keys.create(account_id))
        form = {"account": "reader", "read": "true", "prefix": ""}
        assert operator.send("/buckets/outputs/grant", **form).status_code == 303
        assert "Make it the default" not in reader.get("/buckets/outputs/settings").text
        answer = reader.send("/buckets/outputs/default", folder="x")
        assert answer.status_code == 404
        running.assembly.buckets.grant("outputs", account_id, Grant("write", "mine/"))
        answer = reader.send("/buckets/outputs/default", folder="x")
        assert error(answer.text, "folder") == "The account may not write to 'x' there."
        assert reader.send("/buckets/outputs/default", folder="mine/x").status_code == 303
    operator.send("/buckets/local/default", folder="")


@pytest.mark.parametrize("who", ["key", "link of another account", "user"])
def test_only_the_operator_says_where_buckets_lie(running: Service, tmp_path: Path, who: str) -> None:
    keys = running.assembly.keys
    with running.account(f"somebody-{who[:4]}") as (account_id, _), visiting(running.port) as visitor:
        own = f"own-{who[:4]}"
        running.bucket(own, account_id)
        if who == "key":
            visitor.log_in_by_key(keys.create(account_id))
        elif who == "user":
            user_id = Users(running.assembly.database).create(account_id, "admin")
            Users(running.assembly.database).attach(account_id, "admin", "AliyunICEFullAccess")
            visitor.log_in_by_key(keys.create(account_id, user_id=user_id))
        else:
            link = link_of(running.assembly.public_url, running.assembly.login_links.make(account_id))
            visitor.log_in_by_link(link)
        page = visitor.get("/buckets").text
        assert "Check and add" not in page
        assert "stillframe bucket add NAME" in page
        settings = visitor.get(f"/buckets/{own}/settings").text
        assert str(running.folder.parent) not in settings + page
        assert "/remove" not in settings
        form = {"name": "mine", "place": f"fs:{tmp_path}", "region": "cn-shanghai", "account": "default"}
        for path in ("/buckets", *(f"/buckets/{own}/{act}" for act in ACTS)):
            refused = visitor.send(path, **form)
            assert refused.status_code == 403, path
            assert "On the server, the same is done by: stillframe bucket" in html.unescape(refused.text)
        found = running.assembly.buckets.named(own)
        assert found.place == f"fs:{running.folder.parent / own}"
        assert running.assembly.buckets.find("mine") is None


def test_the_first_accounts_key_is_not_the_operator(running: Service) -> None:
    with visiting(running.port) as visitor:
        visitor.log_in_by_key(running.assembly.keys.create(running.account_id))
        assert visitor.send("/buckets", name="x-x", place="fs:/tmp", region="r").status_code == 403


def test_the_operator_changes_buckets_of_the_own_account_only(
    running: Service, operator: Visitor, tmp_path: Path
) -> None:
    with running.account("landlord") as (landlord_id, _):
        running.bucket("theirs", landlord_id)
        none = operator.send("/buckets/nothing/remove")
        for act in ACTS:
            answer = operator.send(
                f"/buckets/theirs/{act}", account="default", place=f"fs:{tmp_path}", region="x-x"
            )
            assert answer.status_code == none.status_code == 404
        assert operator.get("/buckets/theirs/settings").status_code == 404
        assert "theirs" not in operator.get("/buckets").text
        # granted it is shown, but still not ours
        running.assembly.buckets.grant("theirs", running.account_id, Grant("read", "public/"))
        page = operator.get("/buckets/theirs/settings").text
        assert "Check and save" not in page
        assert "read <code>public/*</code>" in page
        for act in ACTS:
            assert (
                operator.send(f"/buckets/theirs/{act}", place=f"fs:{tmp_path}", region="x-x").status_code
                == 404
            )
        running.assembly.buckets.remove("theirs")
