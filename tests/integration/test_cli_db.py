"""``dynflow-mp db``: what it says, what it leaves alone, and how it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from databases import SQLITE, fresh_database
from sqlalchemy import text

from dynflow_mp.cli.program import run
from dynflow_mp.persistence import schema
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.schema import REVISIONS, current, prepare

NOW = REVISIONS[-1]
NOWHERE = "postgresql://scott:tiger@127.0.0.1:1/plans"


@pytest.fixture
def url(database_kind: str, tmp_path: Path) -> Iterator[str]:
    with fresh_database(database_kind, tmp_path) as url:
        yield url


@pytest.fixture(autouse=True)
def no_settings_from_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DYNFLOW_DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs the program; its exit status, output and errors."""

    def run_it(*arguments: str) -> tuple[int, str, str]:
        status = run(arguments)
        return status, *capfd.readouterr()

    return run_it


# -- the tables --------------------------------------------------------------------------------------


def test_missing_tables_are_found_and_then_made(url: str, cli: Callable[..., tuple[int, str, str]]):
    checked = cli("db", "check", "--database", url)
    shown = cli("db", "current", "--database", url)
    made = cli("db", "upgrade", "--database", url)
    checked_again = cli("db", "check", "--database", url)

    assert (checked[0], shown[0], made[0], checked_again[0]) == (1, 0, 0, 0)
    assert "tables: missing" in checked[1]
    assert "dynflow-mp db upgrade" in checked[1]
    assert f"the tables are of version {REVISIONS[-1]}, newly made" in made[1]
    assert f"tables of version {REVISIONS[-1]}: current" in checked_again[1]


def test_current_tables_stay_as_they_are(url: str, cli: Callable[..., tuple[int, str, str]]):
    _prepare(url)

    status, output, errors = cli("db", "upgrade", "--database", url)

    assert (status, errors) == (0, "")
    assert f"the tables are of version {REVISIONS[-1]} already" in output


def test_older_tables_are_found_and_then_upgraded(
    url: str, cli: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    _prepare(url)
    _add_a_revision(tmp_path, monkeypatch)

    checked = cli("db", "check", "--database", url)
    upgraded = cli("db", "upgrade", "--database", url)
    checked_again = cli("db", "check", "--database", url)

    assert (checked[0], upgraded[0], checked_again[0]) == (1, 0, 0)
    assert f"tables of version {NOW}: older" in checked[1]
    assert (
        "this dynflow_mp works with version 9000; stop all worlds, then run: dynflow-mp db upgrade"
        in checked[1]
    )
    assert f"the tables are of version 9000, upgraded from {NOW}" in upgraded[1]


def test_newer_tables_are_left_alone(url: str, cli: Callable[..., tuple[int, str, str]]):
    _prepare(url, "UPDATE dynflow_schema_version SET version_num = '9999'")

    checked = cli("db", "check", "--database", url)
    status, output, errors = cli("db", "upgrade", "--database", url)

    assert (checked[0], status, output) == (1, 2, "")
    assert "tables of version 9999: newer" in checked[1]
    assert "install a newer dynflow_mp" in errors


def test_for_programs_there_is_json(url: str, cli: Callable[..., tuple[int, str, str]]):
    before = cli("db", "check", "--json", "--database", url)
    _prepare(url)
    after = cli("db", "current", "--json", "--database", url)

    assert (before[0], after[0]) == (1, 0)
    assert json.loads(before[1])["state"] == "missing"
    found = json.loads(after[1])
    assert (found["state"], found["version"], found["wanted"]) == ("current", REVISIONS[-1], REVISIONS[-1])
    assert found["remarks"] == []


def test_looking_makes_no_file(cli: Callable[..., tuple[int, str, str]], tmp_path: Path):
    cli("db", "current", "--database", f"sqlite:///{tmp_path}/plans.db")
    cli("db", "check", "--database", f"sqlite:///{tmp_path}/plans.db")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("database_kind", [SQLITE], indirect=True)
def test_the_database_may_be_named_by_the_environment(
    url: str, cli: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DYNFLOW_DATABASE_URL", url)

    cli("db", "upgrade")

    database = Database(url)
    assert current(database) == REVISIONS[-1]
    database.close()


# -- what goes wrong ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["dbb"], 2, "there is no command 'dbb'; did you mean 'db'?"),
        (["db", "upgarde"], 2, "there is no command 'upgarde'; did you mean 'upgrade'?"),
        (["db", "xyz"], 2, "there is check, current, upgrade"),
        (["db", "check", "--databse", "x"], 2, "--database"),
        (["db", "check", "more"], 2, "unexpected extra argument"),
        (["db", "check", "--database", ""], 2, "--database is empty"),
        (["db", "check", "--database", "postgres://u:tiger@h/d"], 2, "did you mean 'postgresql'?"),
        (["db", "check", "--database", "tiger"], 2, "must be an SQLAlchemy URL"),
        (
            ["db", "check", "--database", "sqlite:////nowhere/at/all/plans.db"],
            2,
            "there is no directory /nowhere/at/all",
        ),
        (["db", "upgrade", "--database", NOWHERE], 1, "the database server cannot be reached"),
    ],
)
def test_what_is_wrong_is_one_line_and_a_status(
    arguments: list[str], status: int, words: str, cli: Callable[..., tuple[int, str, str]]
):
    found, output, errors = cli(*arguments)

    assert (found, output) == (status, "")
    assert words in errors
    assert errors.startswith("dynflow-mp: ")
    assert errors.count("\n") == 1
    assert "tiger" not in errors


def test_the_program_says_how_it_is_used():
    told = _program("-h")
    without_anything = _program()

    assert (told.returncode, without_anything.returncode) == (0, 2)
    assert re.search(r"db +The tables of a database: show, check, upgrade\.", told.stdout)


def test_an_unknown_variable_of_ours_is_a_line_on_standard_error(tmp_path: Path):
    told = _program(
        "db",
        "check",
        "--json",
        "--database",
        f"sqlite:///{tmp_path}/plans.db",
        environment={"DYNFLOW_WORKRS": "2"},
    )

    assert json.loads(told.stdout)["state"] == "missing"
    assert (
        told.stderr
        == "dynflow-mp: DYNFLOW_WORKRS is not a setting of dynflow_mp; did you mean DYNFLOW_WORKERS?\n"
    )


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path):
    read_fd, write_fd = os.pipe()
    os.close(read_fd)

    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "dynflow_mp.cli",
            "db",
            "check",
            "--database",
            f"sqlite:///{tmp_path}/plans.db",
        ],
        stdout=write_fd,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )

    os.close(write_fd)
    assert (done.returncode, done.stderr) == (1, "")


def _program(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dynflow_mp.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **(environment or {})},
    )


def _prepare(url: str, *statements: str) -> None:
    database = Database(url)
    prepare(database)
    with database.write() as connection:
        for statement in statements:
            connection.execute(text(statement))
    database.close()


def _add_a_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a newer dynflow_mp were running, with one revision more."""
    migrations = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, migrations, ignore=shutil.ignore_patterns("__pycache__"))
    (migrations / "versions" / "9000_note.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        'revision = "9000"\ndown_revision = "' + NOW + '"\nbranch_labels = None\ndepends_on = None\n'
        "def upgrade() -> None:\n"
        '    op.add_column("dynflow_coordinator_records", sa.Column("note", sa.String(20)))\n'
    )
    monkeypatch.setattr(schema, "MIGRATIONS", migrations)
    monkeypatch.setattr(schema, "REVISIONS", (*REVISIONS, "9000"))
