"""deploy/Dockerfile, read as Docker reads it: two stages, no root, nothing in it that the second has no use for."""

from __future__ import annotations

import json
import re
import tomllib

from told import DEPLOY, ROOT

TEXT = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
INSTRUCTIONS = [
    (line.partition(" ")[0], " ".join(line.partition(" ")[2].split()))
    for line in re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", TEXT, flags=re.M)).splitlines()
    if line.strip()
]
KNOWN = {
    *["FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"]
}


def stage(number: int) -> list[tuple[str, str]]:
    starts = [at for at, (word, _) in enumerate(INSTRUCTIONS) if word == "FROM"]
    return INSTRUCTIONS[starts[number] : [*starts[1:], None][number]]


def of(word: str, number: int) -> list[str]:
    return [what for name, what in stage(number) if name == word]


def test_it_is_made_of_instructions_in_two_stages() -> None:
    assert {word for word, _ in INSTRUCTIONS} == KNOWN
    assert len([word for word, _ in INSTRUCTIONS if word == "FROM"]) == 2
    base = of("FROM", 1)[0]
    assert of("FROM", 0) == [f"{base} AS build"]
    python = re.fullmatch(r"python:(\d+\.\d+)-slim-\w+", base)
    assert python is not None
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == f">={python[1]}"


def test_what_is_copied_is_there_and_let_in() -> None:
    let_in = {
        line[1:]
        for line in (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    copied = {name for what in of("COPY", 0) for name in what.split()[:-1]}
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)
    assert of("COPY", 1) == ["--from=build /opt/stillframe /opt/stillframe"]


def test_it_is_installed_from_the_pinned_versions_and_nothing_can_be_installed_later() -> None:
    (install,) = of("RUN", 0)
    assert "--constraint requirements.lock '.[server]'" in install
    assert "pip uninstall --yes pip" in install
    assert "pip uninstall --yes pip" in of("RUN", 1)[0]
    assert "apt-get" not in TEXT


def test_it_runs_as_an_ordinary_user_with_a_name() -> None:
    assert of("USER", 1) == ["10001:10001"]
    # PostgreSQL demands a name, too
    assert "useradd --uid 10001" in of("RUN", 1)[0]
    words = [word for word, _ in stage(1)]
    assert words.index("USER") > max(at for at, word in enumerate(words) if word in ("RUN", "COPY"))


def test_it_serves_and_says_how_it_is() -> None:
    assert json.loads(of("ENTRYPOINT", 1)[0]) == ["stillframe"]
    assert json.loads(of("CMD", 1)[0]) == ["serve"]
    check = json.loads(of("HEALTHCHECK", 1)[0].partition("CMD ")[2])
    assert f"127.0.0.1:{of('EXPOSE', 1)[0]}/readyz" in check[-1]
    compile(check[-1], "HEALTHCHECK", "exec")
