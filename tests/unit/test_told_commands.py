"""What deploy/, the README and docs/ tell people to type exists: each command with its options, each variable."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.main import get_command

from stillframe.cli.main import app_for
from stillframe.settings import OTHER_VARIABLES, Settings, variable_of
from told import DEPLOY, DOCS, GUIDES, README, ROOT, blocks

ROOT_COMMAND: Any = get_command(app_for([]))
VARIABLES = {*map(variable_of, Settings.model_fields), *OTHER_VARIABLES}
DEPLOYED = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
PAGES = [README, *sorted(DOCS.rglob("*.md"))]
#: these write commands as their grammar (`[--host]`); test_documented holds them to what there is
GRAMMARS = {DOCS / "commands.md", DOCS / "parameters.md"}
_OPERATORS = {"|", "||", "&&", ";", "&", "(", ")", ">", ">>", "<"}
#: what may stand before a command: variables, another user, a container
_BEFORE = re.compile(r"(sudo (-u \w+ )?)?(\w+=\S* )*|docker compose exec \w+ |kubectl exec \S+ -- ")


def is_ours(word: str) -> bool:
    return word == "stillframe" or word.endswith("/bin/stillframe")


def calls(line: str) -> Iterator[list[str]]:
    """The arguments of each call of the command that a line of a shell holds."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;()<>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word not in _OPERATORS:
            words.append(word)
            continue
        for at, each in enumerate(words):
            if is_ours(each) and _BEFORE.fullmatch("".join(f"{before} " for before in words[:at])):
                yield words[at + 1 :]
        words = []


def demand_command(arguments: Sequence[str]) -> None:
    """As the command line takes them. Raises TyperException: what is wrong with them."""
    command, rest = ROOT_COMMAND, [*arguments]
    while hasattr(command, "commands"):
        if not rest or rest[0].startswith("-"):
            break
        if rest[0] not in command.commands:
            raise typer.BadParameter(f"{rest[0]} is no command of {command.name}")
        command = command.commands[rest.pop(0)]
    command.make_context(command.name, rest)


def demand_words(text: str) -> None:
    """As far as it goes: prose goes on after the command's name."""
    command = ROOT_COMMAND
    for word in text.split():
        if not hasattr(command, "commands"):
            break
        assert word in command.commands, f"{word} is no command: stillframe {text}"
        command = command.commands[word]
    options = {
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--")
    }
    if not hasattr(command, "commands"):
        assert {*re.findall(r"(?<!\S)--[a-z][a-z-]+", text)} <= options, text


def typed(page: Path) -> Iterator[str]:
    """Lines that are to be typed: of blocks of the console, of the shell, and of no language."""
    text = page.read_text(encoding="utf-8")
    for language in ("console", "sh", "bash", ""):
        for block in blocks(text, language):
            for line in block.replace("\\\n", " ").splitlines():
                prompted = re.match(r"\s*[$#] (.*)", line)
                if language == "console" and prompted is None:
                    # what the command has answered
                    continue
                yield prompted[1] if prompted else line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_line_to_be_typed_is_a_command_of_ours(page: Path) -> None:
    for line in typed(page):
        for arguments in calls(line) if "stillframe" in line else ():
            try:
                demand_command(arguments)
            except (typer.TyperException, typer.BadParameter) as error:
                pytest.fail(f"{line}: {error}")


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page not in GRAMMARS],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_every_command_in_a_sentence_is_one_of_ours(page: Path) -> None:
    for words in re.findall(r"`stillframe ([^`]+)`", page.read_text(encoding="utf-8")):
        demand_words(words)


@pytest.mark.parametrize("path", [*PAGES, *DEPLOYED], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_variable_is_a_setting(path: Path) -> None:
    found = {*re.findall(r"\bSTILLFRAME_[A-Z0-9_]+", path.read_text(encoding="utf-8"))}
    assert found <= VARIABLES


@pytest.mark.parametrize("path", DEPLOYED, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_of_a_file_is_one_of_ours(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for arguments in commands_of(path, text):
        demand_command(arguments)
    # in comments and descriptions
    for words in re.findall(r"(?<![/\w\"'-])stillframe ((?:(?:--)?[a-z][a-z-]+ ?)+)", text):
        if words.split()[0] in ROOT_COMMAND.commands:
            demand_words(words)


def commands_of(path: Path, text: str) -> list[list[str]]:
    """What a file has run; each file that runs something is known by its name."""
    if path.suffix == ".service":
        found = [
            shlex.split(line.replace("%i", "9464").partition("=")[2])[1:]
            for line in text.splitlines()
            if line.startswith("Exec")
        ]
    elif path.name == "compose.yaml":
        services = yaml.safe_load(text)["services"]
        found = [service["command"] for service in services.values() if "command" in service]
    elif path.name == "Dockerfile":
        found = [json.loads(re.findall(r"^CMD (.*)", text, re.M)[-1])]
    elif path.parent.name == "kubernetes":
        specs = [document["spec"] for document in yaml.safe_load_all(text)]
        pods = [spec["template"]["spec"] for spec in specs if "template" in spec]
        found = [container["args"] for pod in pods for container in pod["containers"]]
    else:
        return []
    assert found or path.name in ("4-autoscaling.yaml", "5-network.yaml"), path
    return found


@pytest.mark.parametrize("page", sorted(GUIDES.glob("*.md")), ids=lambda page: page.name)
def test_every_toml_of_a_guide_is_of_settings(page: Path) -> None:
    for block in blocks(page.read_text(encoding="utf-8"), "toml"):
        Settings(**tomllib.loads(block))


def test_what_is_no_command_is_noticed() -> None:
    line = "sudo -u stillframe A=b /opt/stillframe/bin/stillframe worker --slots 8 | tee x && stillframe db check"
    assert [*calls(line)] == [["worker", "--slots", "8"], ["db", "check"]]
    assert [*calls("kubectl exec deploy/api -- stillframe key list")] == [["key", "list"]]
    assert [*calls("useradd --system stillframe")] == []
    for wrong in (
        ["work"],
        ["worker", "--slot", "8"],
        ["db", "bakcup", "x"],
        ["db", "backup"],
        ["worker", "x"],
    ):
        with pytest.raises((typer.TyperException, typer.BadParameter)):
            demand_command(wrong)
    with pytest.raises(AssertionError):
        demand_words("db bakcup")
    with pytest.raises(AssertionError):
        demand_words("worker --slot")
