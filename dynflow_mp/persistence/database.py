"""The database: opened, asked, written to – the border where a driver's habits and errors end.

read()          BEGIN … COMMIT on one of a few pooled connections
write(fence)    turnstile ─▶ BEGIN IMMEDIATE ─▶ fence ─▶ … ─▶ COMMIT     (SQLite: one kept connection)
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from dynflow_mp.errors import ConfigError, ForkedWorld, PersistenceError
from dynflow_mp.persistence.driver_errors import persistence_error
from dynflow_mp.persistence.turnstile import Turnstile

Fence = Callable[[Connection], None]

BUSY_TIMEOUT_S = 30.0
_READERS = 5
_LOG_PAGES = 4_000
"""How long the write-ahead log grows (16 MiB) before a commit moves it into the file: the default, 1,000,
has every 25th busy turn wait 8 ms for it."""
_WRITER_CACHE_KIB = 8_000
"""Four times the default: a step of a plan of 100,000 is written a tenth faster."""
_WRITING = "dynflow_writing"

_DRIVERS = {"sqlite": "pysqlite", "postgresql": "psycopg", "mysql": "pymysql", "mariadb": "pymysql"}
_EXTRAS = {"postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql"}


class Database:
    """One database, shared by the threads of one process.

    Opened when made. Raises :class:`ConfigError` for a URL that cannot work and
    :class:`PersistenceError` for a database that cannot be opened, each in one line without the password.
    """

    def __init__(self, url: str) -> None:
        parsed = _parsed(url)
        self.url_text = make_url(url).render_as_string(hide_password=True)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self._pid = os.getpid()
        self._closed = False
        self._writer: Connection | None = None
        self._idle: deque[Connection] = deque()
        self._turnstile: Turnstile | None = None
        if self.is_sqlite:
            parsed = _absolute(parsed, self.url_text)
            self._turnstile = Turnstile(os.path.realpath(str(parsed.database)))
        self.engine: Engine = _engine(parsed, self.url_text)
        self._driver_error: type[Exception] = self.engine.dialect.loaded_dbapi.Error
        self._open()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A short read transaction. Works after :meth:`close`, too."""
        self._check_process()
        with self._named_errors(), self._reading() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self, fence: Fence | None = None) -> Iterator[Connection]:
        """A write transaction, ``fence`` its first statement; committed at the end, rolled back on any error."""
        self._check_process()
        with self._alone(), self._named_errors(), self._writing() as connection, connection.begin():
            if fence is not None:
                fence(connection)
            yield connection

    def close(self) -> None:
        """Give all connections back to the system; twice is fine."""
        if self._closed or self._pid != os.getpid():
            return
        self._closed = True
        self._let_go()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """A connection to read with. SQLite's are kept between reads: checking one out of the pool and
        back in costs four times what a short read does.
        """
        if not self.is_sqlite or self._closed:
            try:
                with self.engine.connect() as connection:
                    yield connection
            finally:
                if self._closed:
                    self._let_go()
            return
        connection = self._idle.pop() if self._idle else self.engine.connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        if self._closed:
            self._let_go()

    def _open(self) -> None:
        try:
            with self._alone(), self._named_errors(), self.engine.connect():
                pass
        except BaseException:
            self.engine.dispose()
            self._close_turnstile()
            raise

    def _alone(self) -> AbstractContextManager[None]:
        return nullcontext() if self._turnstile is None else self._turnstile.held()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A connection that begins by taking the write lock. SQLite's is kept, the turnstile guards it."""
        if self._closed:
            raise PersistenceError(f"{self.url_text}: this world has closed the database")
        if not self.is_sqlite:
            with self.engine.connect() as connection:
                yield connection
            return
        connection = self._writer = self._writer or self._open_writer()
        try:
            yield connection
        except (SQLAlchemyError, self._driver_error):
            # Whatever state it is in: the next one begins with a new connection.
            self._writer = None
            connection.invalidate()
            connection.close()
            raise

    def _open_writer(self) -> Connection:
        connection = self.engine.connect().execution_options(**{_WRITING: True})
        connection.connection.cursor().execute(f"PRAGMA cache_size={-_WRITER_CACHE_KIB}")
        return connection

    def _let_go(self) -> None:
        # The last connection that closes moves the log into the file: nobody may write meanwhile.
        with self._alone(), self._named_errors():
            writer, self._writer = self._writer, None
            if writer is not None:
                writer.close()
            while self._idle:
                self._idle.pop().close()
            self.engine.dispose()
        self._close_turnstile()

    def _close_turnstile(self) -> None:
        if self._turnstile is not None:
            self._turnstile.close()

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, self._driver_error) as error:
            raise persistence_error(error, self.url_text) from error

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            raise ForkedWorld(
                "a database connection lives only in the process that made it, not in its forks"
            )


# -- opening ---------------------------------------------------------------------------------------


def _parsed(url: str) -> URL:
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


def _absolute(parsed: URL, url_text: str) -> URL:
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


def _engine(parsed: URL, url_text: str) -> Engine:
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
    writing = connection.get_execution_options().get(_WRITING)
    connection.connection.cursor().execute("BEGIN IMMEDIATE" if writing else "BEGIN")
