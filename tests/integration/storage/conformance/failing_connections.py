"""Connections that fail where a test wants it: at any statement, or just after a commit was carried out."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import databases
from sqlalchemy import event

from dynflow_mp.errors import PersistenceError
from dynflow_mp.persistence.database import Database


class Failures:
    """Raises ``error`` when the ``at``-th thing happens (from 1), and never again; counts what happens."""

    def __init__(self, at: int, error: Exception) -> None:
        self._at, self._error = at, error
        self.happened = 0

    def happens(self) -> None:
        self.happened += 1
        if self.happened == self._at:
            raise self._error


@contextmanager
def failing_statements(database: Database, failures: Failures) -> Iterator[None]:
    """Every statement that goes to the driver counts, of all connections of this kind of database."""
    if database.is_sqlite:
        # The driver's classes cannot be changed; who listens hears all.
        def hear(*_: Any) -> None:
            failures.happens()

        event.listen(database.engine, "before_cursor_execute", hear)
        yield
        event.remove(database.engine, "before_cursor_execute", hear)
        return
    cursor = _cursor_class(database)
    execute, many = cursor.execute, cursor.executemany

    def counted(self: Any, *args: Any, **options: Any) -> Any:
        failures.happens()
        return execute(self, *args, **options)

    def counted_many(self: Any, *args: Any, **options: Any) -> Any:
        failures.happens()
        return many(self, *args, **options)

    with patch.object(cursor, "execute", counted), patch.object(cursor, "executemany", counted_many):
        yield


@contextmanager
def unanswered_commits(database: Database, failures: Failures) -> Iterator[None]:
    """Every commit counts; the one that fails has been carried out, and its connection is gone."""
    dialect: Any = database.engine.dialect
    commit = dialect.do_commit

    def commit_and_fail(connection: Any) -> None:
        commit(connection)
        try:
            failures.happens()
        except Exception:
            if not database.is_sqlite:
                connection.dbapi_connection.close()
            raise

    with patch.object(dialect, "do_commit", commit_and_fail):
        yield


def refusals(kind: str) -> list[Exception]:
    """What the drivers of this kind raise when the server, or SQLite, gave a transaction up."""
    if kind == databases.POSTGRESQL:
        from psycopg import errors

        return [errors.DeadlockDetected(), errors.SerializationFailure(), errors.LockNotAvailable()]
    if kind == databases.MYSQL:
        from pymysql.err import OperationalError

        return [
            OperationalError(1213, "Deadlock found"),
            OperationalError(1205, "Lock wait timeout exceeded"),
        ]
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorname = "SQLITE_BUSY_SNAPSHOT"
    return [busy]


def lost_connection(kind: str) -> Exception:
    """What the drivers of this kind raise when the connection went away; SQLite has none to lose."""
    if kind == databases.POSTGRESQL:
        from psycopg import OperationalError

        return OperationalError("server closed the connection unexpectedly")
    if kind == databases.MYSQL:
        from pymysql.err import OperationalError as MysqlError

        return MysqlError(2013, "Lost connection to MySQL server during query")
    return PersistenceError("as if there were a server, and it were gone", "connection")


def losses(kind: str) -> list[Exception]:
    """All that they raise when the server ended the connection, or was ended."""
    more: list[Exception] = []
    if kind == databases.POSTGRESQL:
        from psycopg import errors

        more = [errors.AdminShutdown(), errors.CrashShutdown(), errors.IdleInTransactionSessionTimeout()]
    if kind == databases.MYSQL:
        from pymysql.err import InterfaceError, OperationalError

        more = [OperationalError(2006, "MySQL server has gone away"), InterfaceError(0, "")]
    return [lost_connection(kind), *more]


def _cursor_class(database: Database) -> Any:
    if database.engine.dialect.name == "postgresql":
        from psycopg import Cursor

        return Cursor
    from pymysql.cursors import Cursor as MysqlCursor

    return MysqlCursor
