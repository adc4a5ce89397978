"""Nobody waits for ever: limits of statements, locks and transactions, and who stands still inside one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest
from databases import MYSQL, POSTGRESQL, fresh_database
from sqlalchemy import text

from dynflow_mp.errors import PersistenceError
from dynflow_mp.persistence import server_sessions
from dynflow_mp.persistence.database import Database

pytestmark = pytest.mark.parametrize("database_kind", [POSTGRESQL, MYSQL], indirect=True)
SLEEP = {POSTGRESQL: "SELECT pg_sleep({})", MYSQL: "SELECT SLEEP({})"}


@pytest.fixture
def url(database_kind: str, tmp_path: Path) -> Iterator[str]:
    with fresh_database(database_kind, tmp_path) as url:
        yield url


@pytest.fixture
def open_database(url: str) -> Iterator[Callable[..., Database]]:
    opened: list[Database] = []

    def open_one(options: str = "", **arguments: bool) -> Database:
        opened.append(Database(url + options, **arguments))
        return opened[-1]

    yield open_one

    for database in opened:
        database.close()


def test_g1_connections_are_durable_strict_and_limited(
    database_kind: str, open_database: Callable[..., Database]
):
    found = _settings(database_kind, open_database())

    assert (
        found
        == {
            POSTGRESQL: ["read committed", "on", "5s", "10s", "30s", "dynflow_mp"],
            MYSQL: ["READ-COMMITTED", "InnoDB", 5, 10, 30.0, 1],
        }[database_kind]
    )


def test_changing_the_tables_has_no_limit_for_a_statement(
    database_kind: str, open_database: Callable[..., Database]
):
    found = _settings(database_kind, open_database(hurried=False))

    assert found[4] in ("0", 0.0)


def test_what_the_url_sets_itself_stays_beside_ours(
    database_kind: str, open_database: Callable[..., Database]
):
    if database_kind == POSTGRESQL:
        database = open_database("?options=-c%20work_mem%3D8MB&application_name=mine")
        asked, expected = (
            "SELECT current_setting('work_mem'), current_setting('application_name')",
            ("8MB", "mine"),
        )
    else:
        database = open_database("?init_command=SET%20SESSION%20wait_timeout%3D77&connect_timeout=3")
        asked, expected = "SELECT @@wait_timeout, @@innodb_lock_wait_timeout", (77, 5)

    with database.read() as connection:
        assert tuple(connection.execute(text(asked)).one()) == expected
    assert _settings(database_kind, database)[2] in ("5s", 5)


def test_a_statement_that_takes_too_long_is_stopped_and_may_be_tried_again(
    database_kind: str, open_database: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(server_sessions, "STATEMENT_S", 1)
    database = open_database()

    with pytest.raises(PersistenceError) as stopped, database.read() as connection:
        connection.execute(text(SLEEP[database_kind].format(20)))

    assert stopped.value.kind == "locked"
    assert _answers(database)


def test_g25_a_server_that_stands_still_is_given_up_and_connected_to_anew(
    database_kind: str, open_database: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(server_sessions, "ANSWER_S", 1)
    database = open_database()
    began = monotonic()

    with pytest.raises(PersistenceError) as given_up, database.read() as connection:
        connection.execute(text(SLEEP[database_kind].format(20)))

    assert monotonic() - began < 15
    assert (given_up.value.kind, given_up.value.passes) == ("connection", True)
    assert _answers(database)


def test_a_row_that_another_holds_is_waited_for_and_then_left(
    database_kind: str, open_database: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(server_sessions, "LOCK_S", 1)
    holder, other = open_database(), open_database()
    _make_a_row(holder)

    with holder.write() as connection:
        connection.execute(text("UPDATE held SET n = 2"))
        with pytest.raises(PersistenceError) as refused:
            _write(other, "INSERT INTO held VALUES (3)", "UPDATE held SET n = 3")

    assert refused.value.kind == "locked"
    # MariaDB's limit undoes the statement only: what came before it in the transaction must go, too.
    with other.read() as connection:
        assert connection.execute(text("SELECT n FROM held")).scalars().all() == [2]


def test_g27_a_process_that_stands_still_inside_a_transaction_is_in_nobodys_way_for_long(
    database_kind: str, url: str, open_database: Callable[..., Database]
):
    database = open_database()
    _make_a_row(database)
    frozen = subprocess.Popen(
        [sys.executable, "-c", _FREEZE, url], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    assert frozen.stdout is not None
    assert frozen.stdout.readline() == "held\n"
    os.waitid(os.P_PID, frozen.pid, os.WSTOPPED | os.WNOWAIT)
    began = monotonic()

    _write_in_spite_of_locks(database, "UPDATE held SET n = 2")

    waited_s = monotonic() - began
    frozen.send_signal(signal.SIGCONT)
    told, _ = frozen.communicate(timeout=30)
    assert waited_s < 15
    assert told == "connection\n"
    with database.read() as connection:
        assert connection.execute(text("SELECT n FROM held")).scalar_one() == 2


_FREEZE = """
import os, signal, sys
from sqlalchemy import text
from dynflow_mp.errors import PersistenceError
from dynflow_mp.persistence import server_sessions
from dynflow_mp.persistence.database import Database

server_sessions.IDLE_S = 2
database = Database(sys.argv[1])
try:
    with database.write() as connection:
        connection.execute(text("UPDATE held SET n = 7"))
        print("held", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
        connection.execute(text("UPDATE held SET n = 8"))
except PersistenceError as error:
    print(error.kind, flush=True)
"""


def _write(database: Database, *statements: str) -> None:
    with database.write() as connection:
        for statement in statements:
            connection.execute(text(statement))


def _write_in_spite_of_locks(database: Database, statement: str) -> None:
    give_up_at = monotonic() + 30
    while True:
        try:
            return _write(database, statement)
        except PersistenceError as error:
            if error.kind != "locked" or monotonic() > give_up_at:
                raise


_SETTINGS = {
    POSTGRESQL: "transaction_isolation synchronous_commit lock_timeout idle_in_transaction_session_timeout "
    "statement_timeout application_name",
    MYSQL: "tx_isolation default_storage_engine innodb_lock_wait_timeout idle_transaction_timeout "
    "max_statement_time",
}


def _settings(kind: str, database: Database) -> list[object]:
    ask, last = (
        ("SHOW {}", ())
        if kind == POSTGRESQL
        else ("SELECT @@SESSION.{}", ("sql_mode LIKE '%STRICT_ALL_TABLES%'",))
    )
    with database.read() as connection:
        return [
            connection.execute(text(ask.format(name))).scalar_one()
            for name in (*_SETTINGS[kind].split(), *last)
        ]


def _answers(database: Database) -> bool:
    with database.read() as connection:
        return connection.execute(text("SELECT 1")).scalar_one() == 1


def _make_a_row(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("CREATE TABLE held (n INTEGER)"))
        connection.execute(text("INSERT INTO held VALUES (1)"))
