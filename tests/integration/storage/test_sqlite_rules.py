"""Rules for SQLite (guarantees, §2.7): who writes, writes alone and for good, and the log does not grow for ever."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep

import pytest
from sqlalchemy import text

from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.turnstile import Turnstile

LOG_BYTES = 4_000 * 4_096
"""How long the log grows before a commit moves it into the file."""
WAIT_S = 60.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "plans.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{path}")
    with database.write() as connection:
        connection.execute(text("CREATE TABLE t (data BLOB)"))
    yield database
    database.close()


@pytest.fixture
def foreign(path: Path, database: Database) -> Iterator[sqlite3.Connection]:
    """Another program's connection, that waits for nobody."""
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    yield connection
    connection.close()


def wait_for(condition: Callable[[], bool]) -> None:
    give_up_at = monotonic() + WAIT_S
    while not condition():
        assert monotonic() < give_up_at, "it did not happen"
        sleep(0.005)


def write(database: Database, rows: int, size: int = 40_000) -> None:
    for _ in range(rows):
        with database.write() as connection:
            connection.execute(text(f"INSERT INTO t VALUES (zeroblob({size}))"))


def log_bytes(path: Path) -> int:
    return path.with_name(f"{path.name}-wal").stat().st_size


def test_rule_2_7_a_write_takes_the_lock_as_it_begins(database: Database, foreign: sqlite3.Connection):
    """BEGIN IMMEDIATE: one that read first and wrote then could not be granted the lock any more."""
    with database.write(), pytest.raises(sqlite3.OperationalError, match="locked"):
        foreign.execute("BEGIN IMMEDIATE")

    with database.read() as connection:
        connection.execute(text("SELECT count(*) FROM t")).scalar_one()
        foreign.execute("BEGIN IMMEDIATE")
        foreign.execute("ROLLBACK")


def test_rule_2_7_what_was_committed_is_on_the_disk(database: Database):
    """A log that is written ahead, and synchronised with every commit: also on the connection that writes."""
    for opened in (database.read, database.write):
        with opened() as connection:
            found = [
                connection.execute(text(f"PRAGMA {name}")).scalar_one()
                for name in ("journal_mode", "synchronous")
            ]
        assert found == ["wal", 2]


@pytest.mark.parametrize("work", ["commit", "close"])
def test_rule_2_7_nobody_commits_or_closes_while_another_is_inside(database: Database, path: Path, work: str):
    """Both may move the log into the file: in SQLite before 3.51.3 that and another's commit lose data together."""
    inside = Turnstile(str(path))
    done = Event()

    def work_then_tell() -> None:
        if work == "commit":
            write(database, 1)
        else:
            database.close()
        done.set()

    with inside.held():
        worker = Thread(target=work_then_tell)
        worker.start()
        assert database._turnstile is not None
        wait_for(lambda: worker.is_alive())
        assert not done.wait(0.3)
    assert done.wait(WAIT_S)
    worker.join(WAIT_S)
    inside.close()


def test_rule_2_7_a_long_reader_keeps_the_log_from_being_moved_only_while_it_reads(
    database: Database, path: Path, foreign: sqlite3.Connection
):
    write(database, 1)
    foreign.execute("BEGIN")
    foreign.execute("SELECT count(*) FROM t").fetchone()
    write(database, 100, 400_000)
    grown = log_bytes(path)
    assert grown > 2 * LOG_BYTES

    foreign.execute("COMMIT")
    write(database, 100, 400_000)

    assert log_bytes(path) < grown + LOG_BYTES // 4, "it was begun anew instead of growing on"
    assert path.stat().st_size > grown


def test_rule_2_7_reads_of_ours_end_with_their_block(database: Database, path: Path):
    with database.read() as connection:
        connection.execute(text("SELECT count(*) FROM t")).scalar_one()
    write(database, 50, 400_000)

    assert log_bytes(path) < 2 * LOG_BYTES
