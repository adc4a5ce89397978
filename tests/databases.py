"""Databases for tests: every kind the engine supports, each test run's own, none of anyone else's.

SQLite is a file. On a server a database ``dynflow_test_<random>`` is made and dropped again; where the
server is comes from ``DYNFLOW_TEST_POSTGRESQL`` and ``DYNFLOW_TEST_MYSQL`` or is its usual local port.
A server that does not answer is left out and named in the summary; with ``CI`` set it is a failure.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

SQLITE, POSTGRESQL, MYSQL = KINDS = ("sqlite", "postgresql", "mysql")
_SERVERS = {
    POSTGRESQL: os.environ.get(
        "DYNFLOW_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
    ),
    MYSQL: os.environ.get("DYNFLOW_TEST_MYSQL", "mysql+pymysql://root@127.0.0.1:3306/test"),
}


def server_url(kind: str) -> str:
    """The server's own database, for those who make others beside it."""
    return _SERVERS[kind]


def require(kind: str) -> None:
    """Skip the test when there is no such server – in CI, fail it."""
    reason = missing(kind)
    if reason is None:
        return
    if os.environ.get("CI"):
        pytest.fail(f"{kind}: {reason}", pytrace=False)
    pytest.skip(f"{kind}: {reason}")


@contextmanager
def fresh_database(kind: str, directory: Path) -> Iterator[str]:
    """The URL of an empty database, which is gone afterwards. ``directory`` takes SQLite's file."""
    if kind == SQLITE:
        yield f"sqlite:///{directory / f'plans_{uuid4().hex[:8]}.db'}"
        return
    require(kind)
    name = f"dynflow_test_{uuid4().hex[:12]}"
    run_on_server(kind, f"CREATE DATABASE {name}")
    try:
        yield make_url(_SERVERS[kind]).set(database=name).render_as_string(hide_password=False)
    finally:
        run_on_server(kind, f"DROP DATABASE {name}{' WITH (FORCE)' if kind == POSTGRESQL else ''}")


def run_on_server(kind: str, *statements: str) -> None:
    """Run statements on the server, each by itself."""
    engine = create_engine(_SERVERS[kind], isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))
    finally:
        engine.dispose()


@cache
def missing(kind: str) -> str | None:
    """Why there is no such server here; None where there is one."""
    if kind == SQLITE:
        return None
    try:
        run_on_server(kind, "SELECT 1")
    except ModuleNotFoundError as error:
        return f"the driver {error.name} is not installed"
    except SQLAlchemyError as error:
        return f"no server answers at {make_url(_SERVERS[kind]).render_as_string()} ({type(error).__name__})"
    return None
