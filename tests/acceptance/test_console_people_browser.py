"""Users, keys, policies and events in a real browser: a user is made, and comes in with a key that was shown once.

A light screen is left to `make test-all`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from test_console_browser import MOST_BYTES, chromium, opened
from the_server import Server, serving

from axe import demand_axe, findings
from chromium import DEADLINE_S
from receiver import receiving
from stillframe.ims.client import Client

__all__ = ["chromium"]
WAIT_MS = DEADLINE_S * 1000
READ_ONLY = "AliyunICEReadOnlyAccess"
DENYING = (
    '{"Version": "1",\n "Statement": [\n  {"Effect": "%s", "Action": "ice:*Template*", "Resource": "*"}]}'
)
LOOKS = {
    "light": {"color_scheme": "light"},
    "dark, on a phone": {"color_scheme": "dark", "viewport": {"width": 390, "height": 800}},
}


@pytest.fixture(scope="module")
def server(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    config = folder / "stillframe.toml"
    config.write_text('callback_allow_networks = ["127.0.0.1"]\n')
    with serving(folder / "data", "--config", str(config)) as started:
        yield started


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    """What is expected comes by then, on any machine."""
    expect.set_options(timeout=WAIT_MS)
    yield
    expect.set_options(timeout=5000)


def log_in(page: Page, server: Server, key: tuple[str, str]) -> None:
    page.goto(f"{server.url}/console/login")
    page.get_by_label("AccessKeyId").fill(key[0])
    page.get_by_label("AccessKeySecret").fill(key[1])
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/console/(?!login)"))


def copied(page: Page, label: str) -> str:
    """What the button beside a text has copied."""
    box = page.locator(".code").filter(has=page.get_by_label(label, exact=True))
    box.get_by_role("button").click()
    expect(box.get_by_role("button")).to_have_text("Copied")
    return str(page.evaluate("navigator.clipboard.readText()"))


def row(page: Page, text: str) -> Locator:
    return page.get_by_role("row").filter(has_text=text)


def test_a_user_comes_in_with_a_key_that_was_shown_once(chromium: Browser, server: Server) -> None:
    with opened(chromium, server, permissions=["clipboard-read", "clipboard-write"]) as seen:
        page = seen.page
        page.on("dialog", lambda dialog: dialog.accept())
        log_in(page, server, server.key)
        page.get_by_role("link", name="Users and keys").click()
        page.get_by_label("New user").fill("alice")
        page.get_by_role("button", name="Create user").click()
        page.get_by_label("Attach a policy").select_option(READ_ONLY)
        page.get_by_role("button", name="Attach").click()
        page.get_by_role("button", name="Create key").click()
        key = copied(page, "AccessKeyId"), copied(page, "AccessKeySecret")
        assert f"STILLFRAME_ACCESS_KEY_SECRET={key[1]}" in copied(page, "Environment")

        with opened(chromium, server) as another:
            log_in(another.page, server, key)
            sections = another.page.get_by_role("navigation", name="Sections")
            expect(sections.get_by_role("link", name="Jobs")).to_be_visible()
            expect(sections.get_by_role("link", name="Users and keys")).to_have_count(0)
            another.page.goto(f"{server.url}/console/events/callback")
            expect(another.page.get_by_role("button", name="Save")).to_have_count(0)

            # the key is taken away from under them
            page.get_by_role("link", name="I have copied it").click()
            page.get_by_role("button", name=f"Disable {key[0]}").click()
            expect(row(page, key[0])).to_contain_text("Disabled")
            another.page.goto(f"{server.url}/console/jobs")
            expect(another.page.get_by_role("alert")).to_contain_text("You are logged in no more")
        assert key[1] not in page.content()
    log = Path(f"{server.data_dir}.log").read_text()
    assert "/people/users/{name}" in log
    assert key[1] not in log


def test_loading_the_answer_anew_neither_shows_nor_makes_a_key(chromium: Browser, server: Server) -> None:
    with closing(chromium.new_context()) as context:
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("dialog", lambda dialog: dialog.accept())
        log_in(page, server, server.key)
        page.goto(f"{server.url}/console/people")
        page.get_by_role("button", name="Create key").click()
        secret = page.get_by_label("AccessKeySecret", exact=True).inner_text()
        page.reload()
        expect(page.get_by_text("was sent before")).to_be_visible()
        assert secret not in page.content()
        # back at the form, the browser has it no more either
        page.goto(f"{server.url}/console/people")
        expect(page.get_by_role("button", name=re.compile("^Delete SF"))).to_have_count(2)
        page.go_back()
        assert secret not in page.content()


def test_an_error_in_a_policy_is_gone_to(chromium: Browser, server: Server) -> None:
    with closing(chromium.new_context()) as context:
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        log_in(page, server, server.key)
        page.goto(f"{server.url}/console/people/new-policy")
        page.get_by_label("Name").fill("Templates")
        page.get_by_label("Document").fill(DENYING % "Denny")
        page.get_by_role("button", name="Create policy").click()
        expect(page.get_by_text("Line 3: Statement[0].Effect is 'Denny'")).to_be_visible()
        document = page.get_by_label("Document")
        expect(document).to_be_focused()
        chosen = document.evaluate("area => area.value.slice(area.selectionStart, area.selectionEnd)")
        assert chosen == (DENYING % "Denny").split("\n")[2]
        document.fill(DENYING % "Allow")
        page.get_by_role("button", name="Create policy").click()
        page.wait_for_url("**/policies/Templates")


def test_events_are_watched_to_their_end_and_sent_again(chromium: Browser, server: Server) -> None:
    with (
        receiving() as receiver,
        opened(chromium, server) as seen,
        Client(server.url, *server.key) as client,
    ):
        receiver.answer = lambda _: 503
        page = seen.page
        page.on("dialog", lambda dialog: dialog.accept())
        log_in(page, server, server.key)
        page.get_by_role("link", name="Events").click()
        page.get_by_role("link", name="Set a callback").first.click()
        page.get_by_label("URL of the receiver").fill(receiver.url)
        page.get_by_role("button", name="Save").click()
        page.get_by_role("link", name="Events").first.click()
        page.evaluate("window.stillHere = true")
        client.call(
            "SubmitSnapshotJob",
            Input={"Type": "OSS", "Media": "oss://local/none.mp4"},
            Output={"Type": "OSS", "Media": "oss://local/none.jpg"},
            TemplateConfig={"TemplateId": "S00000002-000011"},
            Name="told",
        )
        told = row(page, "told")
        expect(told).to_contain_text("the receiver answers 503 after 3 tries")
        receiver.answer = lambda _: 200
        page.get_by_role("button", name="Send all failed again").click()
        expect(told).to_contain_text("Delivered")
        told.get_by_role("link", name="SnapshotComplete").click()
        expect(page.get_by_role("row").filter(has_text="503")).to_have_count(3)
        expect(page.get_by_label("Message").last).to_contain_text('"Code": "ResourceNotFound"')


@pytest.mark.parametrize("look", [pytest.param("light", marks=pytest.mark.full), "dark, on a phone"])
def test_the_pages_are_for_everybody(chromium: Browser, server: Server, look: str) -> None:
    demand_axe()
    name = f"user-{len(look)}"
    with opened(chromium, server, **LOOKS[look]) as seen:
        page = seen.page
        log_in(page, server, server.key)
        before = seen.bytes
        page.goto(f"{server.url}/console/people")
        # styles and scripts have come with the pages before
        assert seen.bytes < MOST_BYTES
        assert seen.bytes > before
        page.get_by_label("New user").fill(name)
        page.get_by_role("button", name="Create user").click()
        page.wait_for_url(f"**/{name}")
        page.get_by_role("button", name="Create key").click()
        expect(page.get_by_text("the only time")).to_be_visible()
        found = findings(page)
        for path in (
            "/people",
            f"/people/users/{name}",
            f"/people/users/{name}/may",
            "/people/new-policy",
            f"/people/policies/{READ_ONLY}",
            "/events",
            "/events/callback",
        ):
            page.goto(f"{server.url}/console{path}")
            found += findings(page)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        page.goto(f"{server.url}/console/events")
        for link in page.get_by_role("link", name="SnapshotComplete").all()[:1]:
            link.click()
            expect(page.get_by_role("heading", name="Tries")).to_be_visible()
            found += findings(page)
        assert found == []
