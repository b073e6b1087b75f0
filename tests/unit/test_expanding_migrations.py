"""Migrations since the last release leave the one before working: they add, and take nothing away that it needs.

The rule stands in docs/decisions/0034-operation.md. `released_migration.txt` names the last migration of the last
release. A migration that only takes away what no running release needs says so, and why: `contracts = "..."`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from stillframe.database import migrations

STEPS = Path(migrations.__file__).parent / "versions"
RELEASED = Path(__file__).with_name("released_migration.txt").read_text().strip()
#: what a table loses, or refuses where it did not before
TAKES_AWAY = {
    *("drop_column", "drop_table", "drop_constraint", "rename_table"),
    *(
        "create_check_constraint",
        "create_foreign_key",
        "create_unique_constraint",
        "create_exclude_constraint",
    ),
}
#: of alter_column: what changes under who reads and writes it
NARROWS = {"new_column_name", "type_", "nullable"}
#: of statements in SQL, which nobody takes apart here
IN_SQL = ("drop ", "rename ", "set not null", "alter column", "alter type", "add constraint", "truncate")


def steps() -> list[Path]:
    return sorted(step for step in STEPS.glob("[0-9]*_*.py") if step.name.partition("_")[0] > RELEASED)


def faults(source: str) -> list[str]:
    """What the release before could not live with; nothing where the module says why it can."""
    module = ast.parse(source)
    for statement in module.body:
        if isinstance(statement, ast.Assign) and _names(statement.targets[0]) == "contracts":
            reason = ast.literal_eval(statement.value)
            assert isinstance(reason, str)
            assert len(reason) > 20, "contracts says why no running release needs it"
            return []
    made = {
        _text(call.args[0])
        for call in _calls(module)
        if _names(call.func) == "create_table" and call.args and _text(call.args[0])
    }
    return [fault for call in _calls(module) if (fault := _fault(call, made))]


def _fault(call: ast.Call, made: set[str | None]) -> str | None:
    name = _names(call.func)
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    # constraints name their table second
    at = 1 if "constraint" in name or name == "create_foreign_key" else 0
    table = _text(call.args[at]) if len(call.args) > at else None
    if name in TAKES_AWAY and table not in made:
        return f"{name} of {table}"
    if name == "alter_column" and table not in made and given.keys() & NARROWS:
        # to allow NULL refuses nothing that was written before
        widens = given.keys() & NARROWS == {"nullable"} and _constant(given["nullable"]) is True
        return None if widens else f"alter_column of {table}: {', '.join(sorted(given.keys() & NARROWS))}"
    if name == "create_index" and _constant(given.get("unique")) is True:
        table = _text(call.args[1]) if len(call.args) > 1 else None
        return None if table in made else f"a unique index of {table}"
    if name == "add_column" and table not in made:
        column = next((each for each in call.args[1:] if isinstance(each, ast.Call)), None)
        has = {keyword.arg: keyword.value for keyword in column.keywords} if column else {}
        if _constant(has.get("nullable")) is False and "server_default" not in has:
            return f"a column of {table} that may not be NULL, without a default"
    if name == "execute":
        texts = [node.value for node in ast.walk(call) if isinstance(node, ast.Constant)]
        sql = " ".join(" ".join(text.lower().split()) for text in texts if isinstance(text, str))
        found = [word.strip() for word in IN_SQL if word in f"{sql} "]
        return f"SQL with {', '.join(found)}" if found else None
    return None


def _calls(module: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(module) if isinstance(node, ast.Call))


def _names(node: ast.expr) -> str:
    """The last part of `op.drop_column`, or a plain name."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _constant(node: ast.expr | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def _text(node: ast.expr) -> str | None:
    """A text, bare or within `op.f(...)`."""
    if isinstance(node, ast.Call) and node.args:
        node = node.args[0]
    found = _constant(node)
    return found if isinstance(found, str) else None


def test_the_last_release_is_one_of_the_steps() -> None:
    assert RELEASED in {step.name.partition("_")[0] for step in STEPS.glob("[0-9]*_*.py")}
    assert migrations.newest() >= RELEASED


def test_every_step_since_the_last_release_only_adds() -> None:
    found = {step.name: fault for step in steps() if (fault := faults(step.read_text(encoding="utf-8")))}
    assert found == {}, "the release before goes on with this database: docs/decisions/0034-operation.md"


@pytest.mark.parametrize(
    "step",
    [
        'op.drop_column("jobs", "region")',
        'op.drop_table("jobs")',
        'op.drop_constraint(op.f("ck_jobs_x"), "jobs")',
        'op.create_check_constraint("ck_jobs_x", "jobs", "n > 0")',
        'op.rename_table("jobs", "tasks")',
        'op.alter_column("jobs", "region", new_column_name="place")',
        'op.alter_column("jobs", "region", nullable=False)',
        'op.alter_column("jobs", "count", type_=sa.Integer())',
        'op.add_column("jobs", sa.Column("place", sa.String(), nullable=False))',
        'op.create_index("ix_jobs_name", "jobs", ["name"], unique=True)',
        'op.execute("ALTER TABLE jobs RENAME COLUMN region TO place")',
        'op.execute(sa.text("alter table jobs  drop  column region"))',
    ],
)
def test_what_takes_away_is_noticed(step: str) -> None:
    assert len(faults(step)) == 1
    assert faults(f'contracts = "no release since 0.2 reads or writes it"\n{step}') == []
    with pytest.raises(AssertionError):
        faults(f'contracts = "because"\n{step}')


@pytest.mark.parametrize(
    "step",
    [
        'op.create_table("places", sa.Column("id", sa.Integer(), nullable=False))',
        'op.create_table("places")\nop.create_foreign_key("fk_x", "places", "jobs", ["id"], ["id"])',
        'op.add_column("jobs", sa.Column("place", sa.String(), nullable=True))',
        'op.add_column("jobs", sa.Column("place", sa.String(), server_default="", nullable=False))',
        'op.alter_column("jobs", "region", nullable=True)',
        'op.create_index(op.f("ix_jobs_name"), "jobs", ["name"])',
        'op.create_table("places")\nop.create_index("ix_places", "places", ["name"], unique=True)',
        'op.drop_index("ix_jobs_name", table_name="jobs")',
        'op.execute("UPDATE jobs SET place = region")',
    ],
)
def test_what_adds_is_let_through(step: str) -> None:
    assert faults(step) == []
