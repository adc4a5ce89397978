"""How a database is opened: its URL, its driver, and how each of its connections is set up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import QueuePool

from dynflow_mp.errors import ConfigError, PersistenceError

BUSY_TIMEOUT_S = 30.0
WRITING = "dynflow_writing"
"""The execution option of an SQLite connection whose transactions begin by taking the write lock."""
_READERS = 5
_LOG_PAGES = 4_000
"""How long the write-ahead log grows (16 MiB) before a commit moves it into the file: the default, 1,000,
has every 25th busy turn wait 8 ms for it."""

_DRIVERS = {"sqlite": "pysqlite", "postgresql": "psycopg", "mysql": "pymysql", "mariadb": "pymysql"}
_EXTRAS = {"postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql"}


def parsed_url(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except ArgumentError as error:
        raise ConfigError("database_url is not an SQLAlchemy URL such as sqlite:///dynflow.db") from error
    if backend not in _DRIVERS:
        raise ConfigError(
            f"database_url: {backend!r} is not supported; sqlite, postgresql, mysql and mariadb are"
        )
    if "+" not in parsed.drivername:
        parsed = parsed.set(drivername=f"{backend}+{_DRIVERS[backend]}")
    return parsed


def absolute(parsed: URL, url_text: str) -> URL:
    """The same file whatever directory the process goes to later."""
    name = parsed.database
    if not name or name == ":memory:" or name.startswith("file:"):
        raise ConfigError(
            f"{url_text}: a database in memory belongs to one connection, "
            "but several threads and processes must see it; name a file"
        )
    path = Path(name).absolute()
    if not path.parent.is_dir():
        raise PersistenceError(f"cannot open {url_text}: there is no directory {path.parent}")
    if path.is_dir():
        raise PersistenceError(f"cannot open {url_text}: {path} is a directory")
    return parsed.set(database=str(path))


def new_engine(parsed: URL, url_text: str) -> Engine:
    backend = parsed.get_backend_name()
    try:
        if backend == "sqlite":
            return _sqlite_engine(parsed)
        return create_engine(parsed, isolation_level="READ COMMITTED", pool_pre_ping=True)
    except NoSuchModuleError as error:
        raise ConfigError(f"{url_text}: no driver of this name is known") from error
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(backend)
        remedy = f"; pip install 'dynflow_mp[{extra}]'" if extra else ""
        raise ConfigError(f"{url_text}: the driver {error.name} is not installed{remedy}") from error


def _sqlite_engine(parsed: URL) -> Engine:
    # No overflow: a connection that closes in passing could be the last one, which moves the log.
    engine = create_engine(
        parsed,
        poolclass=QueuePool,
        pool_size=_READERS + 1,
        max_overflow=0,
        pool_timeout=BUSY_TIMEOUT_S,
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the module's own BEGINs come at the wrong moments
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"wal_autocheckpoint={_LOG_PAGES}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get(WRITING)
    connection.connection.cursor().execute("BEGIN IMMEDIATE" if writing else "BEGIN")
