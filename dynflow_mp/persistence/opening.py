"""How a database is opened: its URL, its driver, and how each of its connections is set up."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import NullPool, QueuePool

from dynflow_mp.errors import ConfigError
from dynflow_mp.persistence.read_only_files import connected
from dynflow_mp.persistence.server_sessions import set_up_sessions

BUSY_TIMEOUT_S = 5.0
"""How long one attempt at SQLite waits for a program that is none of ours: attempts are repeated, and in
between the core shows that it lives."""
WRITING = "dynflow_writing"
"""The execution option of an SQLite connection whose transactions begin by taking the write lock."""
_LOG_PAGES = 4_000
"""How long the write-ahead log grows (16 MiB) before a commit moves it into the file: the default, 1,000,
has every 25th busy turn wait 8 ms for it."""

_DRIVERS = {"sqlite": "pysqlite", "postgresql": "psycopg", "mysql": "pymysql", "mariadb": "pymysql"}
_EXTRAS = {"postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql"}
_ELSEWHERE = {"standby", "prefer-standby", "read-only"}
_SECRETS = ("password", "passwd", "sslpassword", "ssl_key_password")


def parsed_url(text: str) -> URL:
    """The URL, its driver spelled out. Raises :class:`ConfigError` for one that cannot work."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # Without what it was raised from: that may quote a piece of the password.
        raise ConfigError(
            "database_url is not an SQLAlchemy URL such as sqlite:///dynflow.db or "
            "postgresql://user:password@host/database (in a password, write @ as %40, : as %3A, / as %2F)"
        ) from None
    backend, _, driver = url.drivername.partition("+")
    if backend not in _DRIVERS:
        raise ConfigError(
            f"database_url: {backend!r} is not supported; sqlite, postgresql, mysql and mariadb are"
            f"{_nearest(backend)}"
        )
    if driver not in ("", _DRIVERS[backend]):
        raise ConfigError(
            f"database_url: the driver {driver!r} is not supported; {_DRIVERS[backend]} is, "
            f"and {backend}:// is enough to choose it"
        )
    if backend != "sqlite":
        _check_server(url)
    return url.set(drivername=f"{backend}+{_DRIVERS[backend]}")


def shown(url: URL) -> str:
    """The URL as people may see it."""
    secret = {name: "***" for name in url.query if name.lower() in _SECRETS}
    plain = url.set(drivername=url.get_backend_name()).update_query_dict(secret)
    return plain.render_as_string(hide_password=True)


def new_engine(url: URL, *, hurried: bool = True, look_only: bool = False) -> Engine:
    """An engine on which nothing has been connected yet. ``hurried``: no statement may take long.

    ``look_only``: an SQLite file, named by its whole path, is opened for each transaction, and read-only.
    """
    backend = url.get_backend_name()
    try:
        if backend == "sqlite":
            return _read_only_engine(url) if look_only else _sqlite_engine(url)
        return set_up_sessions(url, hurried=hurried)
    except NoSuchModuleError as error:
        raise ConfigError(f"{shown(url)}: no driver of this name is known") from error
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(backend)
        remedy = f"; pip install 'dynflow_mp[{extra}]'" if extra else ""
        raise ConfigError(f"{shown(url)}: the driver {error.name} is not installed{remedy}") from error
    except (ArgumentError, TypeError, ValueError) as error:
        raise ConfigError(f"{shown(url)}: the driver does not take this URL: {error}") from error


def _nearest(backend: str) -> str:
    close = difflib.get_close_matches(backend, _DRIVERS, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _check_server(url: URL) -> None:
    if not url.database and not {"dbname", "service", "database"} & set(url.query):
        raise ConfigError(f"{shown(url)} names no database; write it behind the host: …/plans")
    if url.query.get("target_session_attrs") in _ELSEWHERE:
        raise ConfigError(
            f"{shown(url)}: target_session_attrs asks for a server that cannot be written to; leave it out"
        )


def _sqlite_engine(url: URL) -> Engine:
    # All are kept: a connection that closes in passing could be the last one, which moves the log.
    engine = create_engine(
        url,
        hide_parameters=True,  # in errors and their traces: they are users' data
        poolclass=QueuePool,
        pool_size=0,  # no bound: see connections
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", begin_sqlite)
    return engine


def _read_only_engine(url: URL) -> Engine:
    path = Path(str(url.database))
    engine = create_engine(
        url, hide_parameters=True, poolclass=NullPool, creator=lambda: connected(path, BUSY_TIMEOUT_S)
    )
    event.listen(engine, "connect", _begin_by_hand)
    event.listen(engine, "begin", begin_sqlite)
    return engine


def _begin_by_hand(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the module's own BEGINs come at the wrong moments


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    _begin_by_hand(connection, _record)
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"wal_autocheckpoint={_LOG_PAGES}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def begin_sqlite(connection: Connection) -> None:
    """The module's own BEGINs come at the wrong moments; this one takes the write lock where that is needed."""
    writing = connection.get_execution_options().get(WRITING)
    connection.connection.cursor().execute("BEGIN IMMEDIATE" if writing else "BEGIN")
