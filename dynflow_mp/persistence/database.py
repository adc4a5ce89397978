"""The database: opened, asked, written to – the border where a driver's habits and errors end.

read()            BEGIN … COMMIT on a connection that is kept for it
write(fence)      (SQLite: turnstile ─▶) BEGIN ─▶ fence ─▶ … ─▶ COMMIT
change(work)      write, and again when the database gave up on it or went away
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from dynflow_mp.errors import ConfigError, ForkedWorld, PersistenceError
from dynflow_mp.persistence.connections import Connections
from dynflow_mp.persistence.driver_errors import could_not_write, persistence_error
from dynflow_mp.persistence.opening import WRITING, new_engine, parsed_url, shown
from dynflow_mp.persistence.read_only_files import undisturbed
from dynflow_mp.persistence.retries import repeated
from dynflow_mp.persistence.room_on_disk import no_room
from dynflow_mp.persistence.server_settings import remarks
from dynflow_mp.persistence.sqlite_files import OpenedFile, absolute
from dynflow_mp.persistence.turnstile import Turnstile, door_files
from dynflow_mp.telemetry import logger

log = logger("persistence")

Fence = Callable[[Connection], None]
T = TypeVar("T")

PATIENCE_S = 15.0
"""How long a change is tried again. A connection that a frozen network cut in two holds its locks for 10 s."""
_WRITER_CACHE_KIB = 8_000
"""Four times the default: a step of a plan of 100,000 is written a tenth faster."""


def write_locks(url: str) -> Sequence[str]:
    """The files whose locks every writer of an SQLite database must hold; a server needs none.

    Raises what :class:`Database` raises for a URL that cannot work.
    """
    parsed = parsed_url(url)
    if parsed.get_backend_name() != "sqlite":
        return ()
    return door_files(os.path.realpath(str(absolute(parsed, shown(parsed)).database)))


class Database:
    """One database, shared by the threads of one process.

    Opened when made. Raises :class:`ConfigError` for a URL that cannot work and
    :class:`PersistenceError` for a database that cannot be opened, each in one line without the password.
    """

    def __init__(
        self, url: str, *, max_payload: int = 0, hurried: bool = True, look_only: bool = False
    ) -> None:
        """``max_payload``: what must fit into a statement; ``hurried``: none may take long (see server_sessions).

        ``look_only``: nothing is written, and an SQLite file need not be one that this user may write to.
        """
        parsed = parsed_url(url)
        self.url_text = shown(parsed)
        self.remarks: Sequence[str] = ()
        """What is not as it should be with the server's settings; logged as warnings, too."""
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self._pid = os.getpid()
        self._look_only = look_only
        self._closed = False
        self._writer: Connection | None = None
        self._turnstile: Turnstile | None = None
        if self.is_sqlite:
            parsed = absolute(parsed, self.url_text, look_only=look_only)
            self._turnstile = None if look_only else Turnstile(os.path.realpath(str(parsed.database)))
        self._path = Path(str(parsed.database))
        self.engine: Engine = new_engine(parsed, hurried=hurried, look_only=look_only)
        self._connections = Connections(self.engine, is_server=not self.is_sqlite)
        self._driver_error: type[Exception] = self.engine.dialect.loaded_dbapi.Error
        self._open(max_payload)
        self._file = OpenedFile(str(parsed.database)) if self.is_sqlite else None

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

    @property
    def waited_s(self) -> float:
        """How long this thread's last write stood behind others' (SQLite; on a server they do not wait in line)."""
        return 0.0 if self._turnstile is None else self._turnstile.waited_s

    def change(
        self,
        work: Callable[[Connection, bool], T],
        fence: Fence | None = None,
        *,
        patience_s: float = PATIENCE_S,
    ) -> T:
        """What ``work(connection, in_doubt)`` returns, done in a write transaction that was committed.

        When the database gave the transaction up (a deadlock, a lock held too long) or the connection was
        lost, all of it is done again for ``patience_s``. ``in_doubt``: an earlier one may have been committed.
        """

        def attempt(in_doubt: bool) -> T:
            with self.write(fence) as connection:
                return work(connection, in_doubt)

        return repeated(attempt, patience_s=patience_s, before_pause=_tell)

    def ask(self, question: Callable[[Connection], T], *, patience_s: float = PATIENCE_S) -> T:
        """What ``question(connection)`` returns in a read transaction; asked again while the server is away."""

        def attempt(_in_doubt: bool) -> T:
            with self.read() as connection:
                return question(connection)

        return repeated(attempt, patience_s=patience_s, before_pause=_tell)

    def close(self) -> None:
        """Give all connections back to the system; twice is fine."""
        if self._closed or self._pid != os.getpid():
            return
        self._closed = True
        self._let_go()

    @property
    def _only_a_file(self) -> bool:
        """Whether it is a file that is only looked at."""
        return self.is_sqlite and self._look_only

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        if self._only_a_file:
            with undisturbed(self._path, self.url_text), self.engine.connect() as connection:
                yield connection
            return
        try:
            with self._connections.lent() as connection:
                yield connection
        finally:
            if self._closed:
                self._let_go()

    def _open(self, max_payload: int) -> None:
        try:
            with self._alone(), self._named_errors(), self.engine.connect() as connection:
                self.remarks = remarks(connection, self.url_text, max_payload)
        except (TypeError, ValueError, OSError) as error:
            # So drivers greet an option that they do not know, and a certificate that is not there.
            self._give_up()
            raise ConfigError(f"{self.url_text}: the driver does not take this URL: {error}") from error
        except BaseException:
            self._give_up()
            raise
        for remark in self.remarks:
            log.warning("%s: %s", self.url_text, remark, extra={"action": "server_settings"})

    def _give_up(self) -> None:
        self.engine.dispose()
        self._close_turnstile()

    def _alone(self) -> AbstractContextManager[None]:
        return nullcontext() if self._turnstile is None else self._turnstile.held()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A connection that begins by taking the write lock. SQLite's is kept, the turnstile guards it."""
        if self._look_only:
            raise PersistenceError(f"{self.url_text}: it was opened to be looked at only", "readonly")
        if self._closed:
            raise PersistenceError(f"{self.url_text}: this world has closed the database")
        if self._file is not None:
            self._file.check()
        if not self.is_sqlite:
            with self._connections.lent() as connection:
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
        connection = self.engine.connect().execution_options(**{WRITING: True})
        connection.connection.cursor().execute(f"PRAGMA cache_size={-_WRITER_CACHE_KIB}")
        return connection

    def _let_go(self) -> None:
        # The last connection that closes moves the log into the file: nobody may write meanwhile.
        with self._alone(), self._named_errors():
            writer, self._writer = self._writer, None
            if writer is not None:
                writer.close()
            self._connections.close()
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
            reason = no_room(self._path) if could_not_write(error) else None
            if reason is not None:
                raise PersistenceError(f"{self.url_text}: {reason}", "disk_full") from error
            raise persistence_error(error, self.url_text) from error

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            raise ForkedWorld(
                "a database connection lives only in the process that made it, not in its forks"
            )


def _tell(error: PersistenceError) -> None:
    log.warning("trying again: %s", error, extra={"action": "database_retry"})
