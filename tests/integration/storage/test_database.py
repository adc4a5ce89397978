"""The border to the driver: transactions, threads, forks, ends. How it is opened has tests of its own."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Barrier, Thread

import pytest
from databases import SQLITE, fresh_database
from sqlalchemy import text
from sqlalchemy.pool import QueuePool

from dynflow_mp.errors import ForkedWorld, PersistenceError
from dynflow_mp.persistence.connections import MOST_LENT
from dynflow_mp.persistence.database import Database


@pytest.fixture
def url(database_kind: str, tmp_path: Path) -> Iterator[str]:
    with fresh_database(database_kind, tmp_path) as url:
        yield url


ONLY_SQLITE = pytest.mark.parametrize("database_kind", [SQLITE], indirect=True)


@ONLY_SQLITE
def test_connections_are_durable_and_checked(database: Database):
    with database.read() as connection:
        found = [
            connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]

    assert found == ["wal", 2, 1]


def test_a_write_is_rolled_back_on_any_error(database: Database):
    with database.write() as connection:
        connection.execute(text("CREATE TABLE t (n INTEGER)"))

    def write_and_fail() -> None:
        with database.write() as connection:
            connection.execute(text("INSERT INTO t VALUES (1)"))
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()

    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM t")).scalar_one() == 0


def test_the_fence_is_the_first_statement_and_can_refuse(database: Database):
    def refuse(connection: object) -> None:
        raise PermissionError

    with pytest.raises(PermissionError), database.write(refuse):
        pytest.fail("the fence refused")


def test_driver_errors_have_a_kind_and_writing_goes_on_after_them(database_kind: str, database: Database):
    with pytest.raises(PersistenceError, match="missing") as failed, database.write() as connection:
        connection.execute(text("INSERT INTO missing VALUES (1)"))

    assert failed.value.kind == ("other" if database_kind == SQLITE else "missing")
    assert not failed.value.passes
    with database.write() as connection:
        connection.execute(text("CREATE TABLE t (n INTEGER)"))


@ONLY_SQLITE
def test_g28_a_full_disk_is_named_and_passes(database: Database):
    with database.write() as connection:
        connection.execute(text("CREATE TABLE t (data BLOB)"))
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count={pages + 2}"))

    with pytest.raises(PersistenceError) as failed, database.write() as connection:
        connection.execute(text("INSERT INTO t VALUES (zeroblob(100000))"))

    assert failed.value.kind == "disk_full"
    with database.write() as connection:
        connection.execute(text("INSERT INTO t VALUES (zeroblob(100000))"))


def test_a_writer_that_bypasses_the_turnstile_is_waited_for_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("dynflow_mp.persistence.opening.BUSY_TIMEOUT_S", 0.05)
    database = Database(f"sqlite:///{tmp_path}/plans.db")
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, f"{tmp_path}/plans.db"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"

    with pytest.raises(PersistenceError) as failed, database.write():
        pytest.fail("someone else writes")

    holder.communicate(timeout=10)
    assert failed.value.kind == "locked"
    with database.write():
        pass
    database.close()


_HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def test_closing_twice_is_fine_and_reading_goes_on(database: Database):
    database.close()
    database.close()

    with database.read() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    with pytest.raises(PersistenceError, match="closed"), database.write():
        pytest.fail("it is closed")


def test_who_waits_for_a_connection_gets_the_next_that_is_given_back(database: Database):
    """As many as may be lent are, at one moment; then many times more threads read and write than that."""
    all_lent = Barrier(MOST_LENT)
    seen: list[int] = []

    def read_together() -> None:
        with database.read() as connection:
            all_lent.wait(60)
            seen.append(connection.execute(text("SELECT 1")).scalar_one())

    def read_and_write() -> None:
        for _ in range(5):
            with database.read() as connection:
                seen.append(connection.execute(text("SELECT 1")).scalar_one())
            with database.write() as connection:
                seen.append(connection.execute(text("SELECT 1")).scalar_one())

    _together(read_together, MOST_LENT)
    _together(read_and_write, 3 * MOST_LENT)

    assert len(seen) == MOST_LENT + 3 * MOST_LENT * 10
    pool = database.engine.pool
    assert isinstance(pool, QueuePool)
    assert pool.checkedout() <= MOST_LENT + 1  # SQLite's writer is one more
    database.close()
    assert pool.checkedout() == 0


def test_a_connection_that_is_not_given_back_in_time_is_an_error_and_not_for_ever(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("dynflow_mp.persistence.connections._WAIT_S", 0.05)
    with ExitStack() as held:
        for _ in range(MOST_LENT):
            held.enter_context(database.read())
        with pytest.raises(PersistenceError, match=f"all {MOST_LENT} connections"), database.read():
            pytest.fail("there is none")

    with database.read() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


def _together(do: Callable[[], None], number: int) -> None:
    threads = [Thread(target=do) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


@ONLY_SQLITE
def test_nothing_stays_open_after_closing_nor_after_reading_then(database: Database, tmp_path: Path):
    database.close()
    with database.read() as connection:
        connection.execute(text("SELECT 1"))

    gc.collect()
    assert _open_files(tmp_path) == []


def test_nothing_stays_open_when_opening_fails(tmp_path: Path):
    (tmp_path / "plans.db").write_text("no database" * 500)

    with pytest.raises(PersistenceError):
        Database(f"sqlite:///{tmp_path}/plans.db")

    gc.collect()
    assert _open_files(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_is_refused(database: Database):
    child = os.fork()
    if child == 0:
        try:
            with database.read():
                os._exit(1)
        except ForkedWorld:
            os._exit(42)
        finally:
            os._exit(2)

    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 42


def test_many_threads_write_one_after_the_other(database: Database):
    with database.write() as connection:
        connection.execute(text("CREATE TABLE t (n INTEGER)"))
        connection.execute(text("INSERT INTO t VALUES (0)"))

    def add() -> None:
        for _ in range(25):
            with database.write() as connection:
                connection.execute(text("UPDATE t SET n = n + 1"))

    threads = [Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    with database.read() as connection:
        assert connection.execute(text("SELECT n FROM t")).scalar_one() == 100


def _open_files(directory: Path) -> list[str]:
    here = Path("/proc/self/fd")
    if not here.is_dir():
        pytest.skip("no /proc here")
    names = [os.readlink(entry) for entry in here.iterdir() if entry.is_symlink() and entry.exists()]
    return [name for name in names if name.startswith(str(directory))]


@pytest.mark.parametrize("database_kind", ["postgresql", "mysql"], indirect=True)
def test_a_connection_that_wrote_while_its_database_was_closed_is_closed(url: str):
    database = Database(url)
    with database.write() as connection:
        connection.execute(text("SELECT 1"))
        database.close()

    assert connection.closed
