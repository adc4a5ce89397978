"""To look is not to write: databases that may only be read, are no databases, or are held by somebody who stands still."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_actions import Quick
from program_told import Program
from sqlalchemy import Connection, text

from dynflow_mp.errors import PersistenceError
from dynflow_mp.persistence.beginnings import plans_beginning
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.turnstile import door_files
from dynflow_mp.world import World

LOOKS = (
    ["plans", "list"],
    ["plans", "failures"],
    ["plans", "export"],
    ["worlds", "list"],
    ["worlds", "locks"],
    ["db", "check"],
    ["doctor", "-q"],
)

# Python itself may be where nobody may read: all that is needed is imported by looking once before.
_AS_NOBODY = """
import os, sys
from dynflow_mp.cli.program import run

url, commands = sys.argv[1], sys.argv[2:]
silent = os.open(os.devnull, os.O_WRONLY)
spoken = os.dup(1)
os.dup2(silent, 1)
for command in commands:
    run([*command.split(), "--database", url])
os.dup2(spoken, 1)
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
else:
    path = url.removeprefix("sqlite:///")
    os.chmod(path, 0o444)
    os.chmod(os.path.dirname(path), 0o555)
for command in commands:
    print("status", run([*command.split(), "--database", url]))
"""


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A directory that another user can look into, which pytest's own are not."""
    directory = Path(tempfile.mkdtemp(prefix="dynflow_test_", dir="/tmp"))
    directory.chmod(0o755)
    yield directory
    directory.chmod(0o755)
    shutil.rmtree(directory)


def told_without_rights(path: Path, *commands: str) -> str:
    """What somebody is told who may read the file, and may write neither to it nor beside it."""
    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, f"sqlite:///{path}", *commands],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=path.parent,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_a_file_that_nobody_has_open_is_read_by_who_may_only_read_it(open_to_all: Path):
    path = open_to_all / "plans.db"
    with World(database_url=f"sqlite:///{path}") as world:
        plan_id = world.plan(Quick).id
    there = sorted(open_to_all.iterdir())

    told = told_without_rights(
        path, "plans list", f"plans show {plan_id}", f"plans why {plan_id}", "worlds list", "doctor -q"
    )

    assert told.count("status 0") == 5, told
    assert plan_id in told
    assert "this user may look at it, and cannot run or change anything" in told
    assert sorted(open_to_all.iterdir()) == there


def test_what_is_in_the_log_of_a_living_world_is_read_by_who_may_only_read_it(open_to_all: Path):
    path = open_to_all / "plans.db"
    with World(database_url=f"sqlite:///{path}") as world:
        plan_id = world.plan(Quick).id
        assert Path(f"{path}-wal").stat().st_size > 0

        told = told_without_rights(path, f"plans show {plan_id}", "db check")

    assert told.count("status 0") == 2, told
    assert plan_id in told


def test_what_needs_a_world_says_that_it_cannot_write(open_to_all: Path):
    path = open_to_all / "plans.db"
    World(database_url=f"sqlite:///{path}").terminate().result(30)

    told = told_without_rights(path, "worlds check", "db upgrade")

    assert told.count("status 2") == 2, told
    assert told.count("cannot be read and written by this user") == 2


@pytest.mark.parametrize("look", LOOKS, ids=" ".join)
def test_a_file_that_is_no_database_is_left_alone(look: list[str], program: Program, tmp_path: Path):
    (tmp_path / "letter.txt").write_text("not a database, but a letter to one" * 50)

    told = program(*look, "--database", f"sqlite:///{tmp_path}/letter.txt")

    assert told.status == (1 if look[0] == "doctor" else 2)
    assert "the file is no SQLite database" in told.output + told.errors
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_database_of_somebody_else_s_is_left_as_it_is(program: Program, tmp_path: Path):
    path = tmp_path / "theirs.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (n INTEGER)")
    connection.close()
    before = path.read_bytes()

    told = program("plans", "list", "--database", f"sqlite:///{path}")

    assert (told.status, "there are no tables yet" in told.errors) == (2, True)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["theirs.db"]


def test_completing_an_id_makes_no_file_either(tmp_path: Path):
    path = tmp_path / "plans.db"
    with World(database_url=f"sqlite:///{path}") as world:
        plan_id = world.plan(Quick).id
    there = sorted(tmp_path.iterdir())

    assert [found.id for found in plans_beginning(f"sqlite:///{path}", plan_id[:13])] == [plan_id]
    assert sorted(tmp_path.iterdir()) == there


def test_looking_waits_for_nobody_who_writes(program: Program, tmp_path: Path):
    path = tmp_path / "plans.db"
    with World(database_url=f"sqlite:///{path}") as world:
        plan_id = world.plan(Quick).id
    gate, room = door_files(str(path))

    with open(gate, "r+b") as one, open(room, "r+b") as other:
        fcntl.flock(one, fcntl.LOCK_EX)
        fcntl.flock(other, fcntl.LOCK_EX)
        told = program("plans", "list", "--database", f"sqlite:///{path}")

    assert (told.status, plan_id in told.output) == (0, True)


def test_a_directory_that_may_not_be_entered_is_exit_status_2(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Root may enter everything, so the system's refusal is made here."""
    path = tmp_path / "plans.db"
    stat = Path.stat

    def refused(self: Path, **options: Any) -> os.stat_result:
        if self == path:
            raise PermissionError(13, "Permission denied", str(self))
        return stat(self, **options)

    monkeypatch.setattr(Path, "stat", refused)
    told = program("plans", "list", "--database", f"sqlite:///{path}")

    assert told.status == 2
    assert f"Permission denied: {path}" in told.errors


def test_what_was_opened_to_be_looked_at_is_not_written_to(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/plans.db"
    World(database_url=url).terminate().result(30)
    database = Database(url, look_only=True)

    with pytest.raises(PersistenceError, match="looked at only") as refused, database.write() as connection:
        connection.execute(text("DELETE FROM dynflow_execution_plans"))

    assert refused.value.kind == "readonly"
    database.close()


def test_each_look_sees_what_was_written_since_the_last(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/plans.db"
    World(database_url=url).terminate().result(30)
    looked = Database(url, look_only=True)
    count = text("SELECT count(*) FROM dynflow_execution_plans")

    def plans() -> int:
        with looked.read() as connection:
            return int(connection.execute(count).scalar_one())

    assert plans() == 0
    with World(database_url=url) as world:
        world.plan(Quick)
        assert plans() == 1
        world.plan(Quick)
        assert plans() == 2
    assert plans() == 2
    looked.close()


def test_what_was_read_while_somebody_came_wrote_and_went_does_not_count(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/plans.db"
    World(database_url=url).terminate().result(30)
    looked = Database(url, look_only=True)
    count = text("SELECT count(*) FROM dynflow_execution_plans")
    seen = []

    def plans(connection: Connection) -> None:
        if not seen:
            with World(database_url=url) as world:
                world.plan(Quick)
        seen.append(connection.execute(count).scalar_one())

    looked.ask(plans)

    assert len(seen) == 2, "it is asked again"
    assert seen[-1] == 1
    looked.close()
