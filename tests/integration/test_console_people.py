"""Users, keys and policies in the console, over the real service: who may change what, and what is shown just once."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import URL, text
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from console_client import Visitor, linked_fields, visiting
from ims_signer import Acs3
from service_client import Client, Refused, Service, service
from stillframe.accounts import keys
from stillframe.accounts.keys import NewKey
from stillframe.accounts.users import Users
from stillframe.console import login
from stillframe.console.pages import people, policies
from stillframe.errors import QuotaExceeded

READ_ONLY = "AliyunICEReadOnlyAccess"
DENYING = """{
  "Version": "1",
  "Statement": [
    {"Effect": "Allow", "Action": "ice:*", "Resource": "*"},
    {
      "Effect": "Deny",
      "Action": "ice:DeleteSnapshotJob",
      "Resource": "*",
      "Condition": {"NotIpAddress": {"acs:SourceIp": "203.0.113.0/24"}}
    }
  ]
}"""


@pytest.fixture(scope="module")
def running(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with pytest.MonkeyPatch.context() as patch:
        # the throttle of logins has a test of its own
        patch.setattr(login, "_AT_ONCE", 10_000)
        with service(module_database_url, tmp_path_factory.mktemp("data"), slots=1, sandbox="off") as started:
            yield started


@pytest.fixture(scope="module")
def visitor(running: Service) -> Iterator[Visitor]:
    with visiting(running.port) as found:
        found.log_in_by_link(running.assembly.login_link())
        yield found


def create(visitor: Visitor, name: str, *attached: str) -> str:
    """A user who is made by the forms; the path of their page."""
    assert visitor.send("/people/users", name=name).headers["Location"] == f"/console/people/users/{name}"
    for policy in attached:
        visitor.send(f"/people/users/{name}/attach", policy=policy)
    return f"/people/users/{name}"


def key_form(visitor: Visitor, path: str) -> dict[str, str]:
    """What the button that makes a key sends."""
    found = re.search(r'name="once" value="([0-9a-f]{32})"', visitor.get(path).text)
    assert found is not None
    return {"once": found[1]}


def test_an_owner_has_so_many_keys_and_no_more(
    running: Service, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    assembly = running.assembly
    with running.account("key-owner") as (account_id, _), visiting(running.port) as owner:
        owner.log_in_by_link(f"#{assembly.login_links.make(account_id)}")
        path = create(owner, "keen")
        user_id = Users(assembly.database).id_of(account_id, "keen")
        monkeypatch.setattr(keys, "MOST_KEYS", 3)

        def make(_: int) -> bool:
            try:
                assembly.keys.create(account_id, user_id=user_id)
            except QuotaExceeded:
                return False
            return True

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(make, range(8))) == 3
        refused = owner.send(path, **key_form(owner, path))
        assert refused.status_code == 403
        assert "The user keen has 3 keys already, disabled ones too: delete one first." in refused.text
        # the account's own are counted by themselves
        assert owner.send("/people", **key_form(owner, "/people")).status_code == 200
        mine = [key for key in assembly.keys.all(account_id) if key.user == "keen"]
        assert len(mine) == 3
        owner.send(f"/people/keys/{mine[0].access_key_id}/disable")
        assert owner.send(path, **key_form(owner, path)).status_code == 403
        owner.send(f"/people/keys/{mine[0].access_key_id}/delete")
        assert owner.send(path, **key_form(owner, path)).status_code == 200


def test_that_a_form_was_sent_is_remembered_as_long_as_its_session(
    running: Service, visitor: Visitor
) -> None:
    path = create(visitor, "once-only")
    form = key_form(visitor, path)
    assert visitor.send(path, **form).status_code == 200
    with running.assembly.database.transaction() as session:
        until, last = session.execute(
            text(
                "SELECT until, (SELECT max(expires_at) FROM console_sessions) "
                "FROM used_nonces WHERE nonce = :once"
            ),
            form,
        ).one()
    assert until <= last


def shown(page: str) -> NewKey:
    """The key that a page shows."""
    id, secret = (
        re.search(rf'aria-label="{label}"><code>(\w+)<', page) for label in ("AccessKeyId", "AccessKeySecret")
    )
    assert id is not None
    assert secret is not None
    return NewKey(id[1], secret[1])


def new_key(visitor: Visitor, path: str) -> NewKey:
    return shown(visitor.send(path, **key_form(visitor, path)).text)


def error_of(page: str, field: str) -> str:
    found = re.search(rf'<p class="error" id="about-{field}">(.*?)</p>', page, re.DOTALL)
    assert found is not None, page
    assert re.search(rf'id="field-{field}"[^>]* aria-invalid="true"', page)
    return html.unescape(found[1])


def test_a_user_is_made_allowed_something_and_deleted(running: Service, visitor: Visitor) -> None:
    path = create(visitor, "alice")
    assert "Without a policy alice may do nothing" in visitor.get(path).text
    key = new_key(visitor, path)
    with visiting(running.port) as alice:
        alice.log_in_by_key(key)
        assert alice.get("/jobs").status_code == 403
        visitor.send(f"{path}/attach", policy=READ_ONLY)
        assert alice.get("/jobs").status_code == 200
        page = visitor.get("/people").text
        assert f"{READ_ONLY}</a>" in page
        assert "in the last 30 minutes" in page
        visitor.send(f"{path}/detach", policy=READ_ONLY)
        assert alice.get("/jobs").status_code == 403
        asked = re.search(r'data-ask="(Delete alice[^"]*)"', visitor.get(path).text)
        assert asked is not None
        assert "1 access key goes along" in asked[1]
        assert visitor.send(f"{path}/delete").headers["Location"] == "/console/people"
        assert not alice.is_in
    assert visitor.get(path).status_code == 404


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "<b>", "twice"])
def test_what_is_wrong_with_a_name_stands_beside_it(visitor: Visitor, name: str) -> None:
    if name == "twice":
        create(visitor, name)
    answer = visitor.send("/people/users", name=name)
    assert answer.status_code == 400
    told = error_of(answer.text, "name")
    assert linked_fields(answer.text) == ["name"]
    assert told.startswith("Must be a name that no other" if name == "twice" else "Must be 1 to 64 letters")
    assert f'value="{html.escape(name)}"' in answer.text


@pytest.mark.parametrize("what", ["account", "user"])
def test_a_secret_is_in_one_answer_and_in_no_log(
    running: Service, visitor: Visitor, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    path = "/people" if what == "account" else create(visitor, "once")
    before = len(running.assembly.keys.all(running.account_id))
    form = key_form(visitor, path)
    with capture_logs([merge_contextvars]) as logs:
        answer = visitor.send(path, **form)
        again = visitor.send(path, **form)
    key = shown(answer.text)
    assert running.assembly.keys.secret_of(key.access_key_id) == key.secret
    assert answer.headers["Cache-Control"] == "no-store"
    assert key.secret not in str(answer.headers)
    assert key.secret not in str(dict(visitor.http.cookies))
    # the answer was loaded anew
    assert again.status_code == 400
    assert "was sent before" in again.text
    pages = [again, *map(visitor.get, (path, "/people", "/people/policies/" + READ_ONLY, "/jobs"))]
    assert all(key.secret not in page.text for page in pages)
    assert key.access_key_id in pages[1].text
    assert len(running.assembly.keys.all(running.account_id)) == before + 1
    said = "".join((*capfd.readouterr(), *map(str, logs)))
    assert [log["status"] for log in logs if log["event"] == "console" and log["method"] == "POST"] == [
        200,
        400,
    ]
    assert key.secret not in said
    assert form["once"] not in said


def test_a_form_that_is_none_of_ours_makes_no_key(running: Service, visitor: Visitor) -> None:
    before = running.assembly.keys.all()
    for form in ({}, {"once": ""}, {"once": "x" * 32}):
        assert visitor.send("/people", **form).status_code == 400
    assert visitor.send("/people/users/nobody", **key_form(visitor, "/people")).status_code == 404
    assert visitor.post("/people", key_form(visitor, "/people")).status_code == 403
    assert running.assembly.keys.all() == before


def test_keys_are_disabled_enabled_and_deleted(running: Service, visitor: Visitor) -> None:
    path = create(visitor, "keys", READ_ONLY)
    key = new_key(visitor, path)
    client = Client(running.port, Acs3(key.access_key_id, key.secret))
    client.call("ListSnapshotJobs")
    where = f"/people/keys/{key.access_key_id}"
    assert visitor.send(f"{where}/disable").headers["Location"] == f"/console{path}"
    with pytest.raises(Refused, match="Inactive"):
        client.call("ListSnapshotJobs")
    assert ">Disabled<" in visitor.get(path).text
    visitor.send(f"{where}/enable")
    client.call("ListSnapshotJobs")
    visitor.send(f"{where}/delete")
    with pytest.raises(Refused, match="NotFound"):
        client.call("ListSnapshotJobs")
    assert f"{key.access_key_id} is deleted." in visitor.get(path).text
    assert key.access_key_id not in visitor.get(path).text
    assert visitor.send(f"{where}/delete").status_code == 404
    client.close()


@pytest.mark.parametrize("what", ["disable", "delete"])
def test_who_takes_their_own_key_away_hears_why_they_are_out(running: Service, what: str) -> None:
    key = running.assembly.keys.create(running.account_id)
    with visiting(running.port) as visitor:
        visitor.log_in_by_key(key)
        page = visitor.get("/people").text
        assert "the one that you are logged in with" in page
        asked = re.search(rf'data-ask="{what.capitalize()} {key.access_key_id}[^"]*"', page)
        assert asked is not None
        assert "you will be logged out" in asked[0]
        gone = visitor.send(f"/people/keys/{key.access_key_id}/{what}").headers["Location"]
        assert gone == "/console/login?over=key"
        assert "counts no more, and so you are logged out" in visitor.http.get(gone).text
        # and whoever is out for another reason hears that
        assert "You are logged in no more" in visitor.http.get(visitor.get("/jobs").headers["Location"]).text


def test_what_a_user_may_do_is_told_action_by_action(visitor: Visitor) -> None:
    visitor.send("/people/new-policy", name="Denying", document=DENYING)
    path = create(visitor, "asked", "Denying", READ_ONLY)

    def told(page: str, action: str) -> str:
        row = re.search(rf'<th scope="row">{action}</th>(.*?)</tr>', page, re.DOTALL)
        assert row is not None
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", row[1])).split())

    page = visitor.get(f"{path}/may").text
    assert told(page, "DeleteSnapshotJob") == "may not statement 2 of Denying denies it"
    assert told(page, "SubmitSnapshotJob") == "may statement 1 of Denying allows it"
    both = f"may statement 1 of {READ_ONLY} allows it, statement 1 of Denying allows it"
    assert told(page, "GetSnapshotJob").replace(" ,", ",") == both
    office = visitor.get(f"{path}/may?address=203.0.113.9").text
    assert told(office, "DeleteSnapshotJob") == "may statement 1 of Denying allows it"
    wrong = visitor.get(f"{path}/may?address=here")
    assert wrong.status_code == 400
    assert error_of(wrong.text, "address").startswith("Must be an address such as")
    nothing = create(visitor, "nothing")
    assert told(visitor.get(f"{nothing}/may").text, "GetSnapshotJob") == "may not no policy allows it"
    assert visitor.get("/people/users/nobody/may").status_code == 404


def test_a_policy_is_made_changed_and_deleted(running: Service, visitor: Visitor) -> None:
    assert '"Effect": "Allow"' in html.unescape(visitor.get("/people/new-policy").text)
    # browsers send lines with two characters at their ends
    made = visitor.send("/people/new-policy", name="Office", document=DENYING.replace("\n", "\r\n"))
    assert made.headers["Location"] == "/console/people/policies/Office"
    page = visitor.get("/people/policies/Office").text
    assert DENYING in html.unescape(page)
    path = create(visitor, "bob", "Office")
    with visiting(running.port) as bob:
        bob.log_in_by_key(new_key(visitor, path))
        assert bob.get("/jobs").status_code == 200
        changed = DENYING.replace('"Allow"', '"Deny"', 1)
        assert visitor.send("/people/policies/Office", document=changed).status_code == 303
        assert bob.get("/jobs").status_code == 403
    assert "/delete" not in visitor.get("/people/policies/Office").text
    visitor.send("/people/policies/Office/delete")
    assert "detached first from: bob" in visitor.get("/people/policies/Office").text
    visitor.send(f"{path}/detach", policy="Office")
    assert visitor.send("/people/policies/Office/delete").headers["Location"] == "/console/people"
    assert visitor.get("/people/policies/Office").status_code == 404


@pytest.mark.parametrize(
    ("name", "document", "field", "told", "line"),
    [
        ("a b", DENYING, "name", "Must be 1 to 128 letters", None),
        (READ_ONLY, DENYING, "name", "Must be a name that no other policy", None),
        ("Wrong", '{"Version": "1",\n', "document", "Line 2: it must be a JSON object", 2),
        ("Wrong", "[]", "document", "it must be a JSON object", None),
        ("Wrong", "x" * 7000, "document", "it must be 6144 characters or less", None),
        (
            "Wrong",
            DENYING.replace('"Deny"', '"Denny"'),
            "document",
            'Line 6: Statement[1].Effect is \'Denny\', but must be "Allow" or "Deny"',
            6,
        ),
        (
            "Wrong",
            DENYING.replace("203.0.113.0/24", "here"),
            "document",
            "Line 9: Statement[1].Condition.NotIpAddress.acs:SourceIp is 'here'",
            9,
        ),
    ],
)
def test_what_is_wrong_with_a_policy_stands_beside_it(
    visitor: Visitor, name: str, document: str, field: str, told: str, line: int | None
) -> None:
    answer = visitor.send("/people/new-policy", name=name, document=document)
    assert answer.status_code == 400
    assert error_of(answer.text, field).startswith(told)
    found = re.search(r'data-line="(\d+)"', answer.text)
    assert (int(found[1]) if found else None) == line
    assert document in html.unescape(answer.text)


def test_managed_policies_are_there_to_look_at(visitor: Visitor) -> None:
    page = visitor.get(f"/people/policies/{READ_ONLY}").text
    assert "ice:Describe*" in page
    assert "<textarea" not in page
    assert visitor.send(f"/people/policies/{READ_ONLY}", document=DENYING).status_code == 400
    assert "ice:Describe*" in visitor.get(f"/people/policies/{READ_ONLY}").text


def test_users_are_told_that_this_is_not_theirs(running: Service, visitor: Visitor) -> None:
    path = create(visitor, "full", "AliyunICEFullAccess")
    before = running.assembly.keys.all()
    with visiting(running.port) as full:
        full.log_in_by_key(new_key(visitor, path))
        before = running.assembly.keys.all()
        assert "Users and keys" not in full.get("/jobs").text
        for page in (*people.PAGES, *policies.PAGES):
            where = page.path.format(name="full", access_key_id=before[0].access_key_id)
            answer = full.get(where) if page.method == "GET" else full.send(where, once="0" * 32, name="x")
            assert answer.status_code == 403, where
            assert "for the account itself, and for none of its users" in html.unescape(answer.text)
    assert running.assembly.keys.all() == before
    assert visitor.get(path).status_code == 200


def test_two_accounts_see_nothing_of_each_other(running: Service, visitor: Visitor) -> None:
    path = create(visitor, "mine")
    key = new_key(visitor, path)
    visitor.send("/people/new-policy", name="Mine", document=DENYING)
    with running.account("strangers") as (stranger_id, _), visiting(running.port) as stranger:
        stranger.log_in_by_key(running.assembly.keys.create(stranger_id))
        page = stranger.get("/people").text
        assert "There are no users yet" in page
        for word in ("/people/users/mine", "Mine", key.access_key_id):
            assert word not in page
        for where in (path, f"{path}/may", "/people/policies/Mine"):
            assert stranger.get(where).status_code == 404
        for where in (f"{path}/delete", f"{path}/attach", f"{path}/detach", path):
            form = key_form(stranger, "/people")
            assert stranger.send(where, policy=READ_ONLY, **form).status_code == 404
        for what in ("disable", "enable", "delete"):
            assert stranger.send(f"/people/keys/{key.access_key_id}/{what}").status_code == 404
        for where in ("/people/policies/Mine", "/people/policies/Mine/delete"):
            assert stranger.send(where, document=DENYING).status_code == 404
    found = running.assembly.keys.find(key.access_key_id)
    assert found is not None
    assert found.active
    assert visitor.get(path).status_code == visitor.get("/people/policies/Mine").status_code == 200
