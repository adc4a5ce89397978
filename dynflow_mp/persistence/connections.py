"""Connections that stay open between transactions.

Taking one out of a pool and giving it back costs a server two round trips, a look whether it lives and a
rollback, and on SQLite four times what a short read does. Here it is handed on as it is: a transaction has
always ended before. One that nobody used for some time is looked at first; one that an error went through is
closed, and if the server had gone away, so are all others that wait.

The engine's pool beneath has no bound: who waited there would not see what comes back here. The bound is on how many
are lent at a time, and whoever waits gets the next that is given back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Semaphore
from time import monotonic

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from dynflow_mp.errors import DynflowError

_TRUSTED_S = 5.0
"""So long after its last use, a connection is taken to be alive."""
_KEPT_S = 60.0
"""So long one waits until it is closed: after a rush there are more than are needed."""
MOST_LENT = 15
"""At a time. An executor's own threads, a dozen, never wait for each other; all other threads of a program may."""
_WAIT_S = 30.0


class Connections:
    """An engine's connections. Any thread may borrow one; :data:`MOST_LENT` are lent at a time."""

    def __init__(self, engine: Engine, *, is_server: bool) -> None:
        self._engine = engine
        self._is_server = is_server
        self._places = Semaphore(MOST_LENT)
        self._idle: deque[tuple[Connection, float]] = deque()
        """The one used last stands last, and is taken first."""
        self._closed = False

    @contextmanager
    def lent(self) -> Iterator[Connection]:
        """A connection that is in no transaction; the borrower must end the one it begins.

        Raises SQLAlchemy's TimeoutError when all have been out for half a minute.
        """
        if not self._places.acquire(timeout=_WAIT_S):
            raise PoolTimeout(f"all {MOST_LENT} connections of this world have been in use for {_WAIT_S:g} s")
        try:
            with self._borrowed() as connection:
                yield connection
        finally:
            self._places.release()

    @contextmanager
    def _borrowed(self) -> Iterator[Connection]:
        connection = self._idle_one() or self._engine.connect()
        try:
            yield connection
        except DynflowError:
            self._give_back(connection)  # it was rolled back, and nothing is wrong with it
            raise
        except BaseException as error:
            self._discard(connection)
            if self._tells_of_a_lost_server(error, connection):
                self.close_idle()
            raise
        self._give_back(connection)

    def close(self) -> None:
        """Close those that nobody has borrowed, and the others as soon as they are given back."""
        self._closed = True
        self.close_idle()

    def close_idle(self) -> None:
        """Close those that nobody has borrowed."""
        with suppress(IndexError):
            while True:
                self._discard(self._idle.pop()[0])

    def _idle_one(self) -> Connection | None:
        while True:
            try:
                connection, since = self._idle.pop()
            except IndexError:
                return None
            if monotonic() - since < _TRUSTED_S or self._lives(connection):
                return connection
            self._discard(connection)

    def _give_back(self, connection: Connection) -> None:
        if _is_detached(connection):
            connection.close()  # its borrower wanted it to end
            return
        now = monotonic()
        self._idle.append((connection, now))
        if self._closed:  # asked when it is there already: then nobody overlooks it
            self.close_idle()
            return
        if self._is_server and now - self._idle[0][1] > _KEPT_S:
            with suppress(IndexError):
                self._discard(self._idle.popleft()[0])

    def _discard(self, connection: Connection) -> None:
        if self._is_server and not _is_detached(connection):
            connection.invalidate()
        connection.close()

    def _lives(self, connection: Connection) -> bool:
        if not self._is_server:
            return True
        try:
            return self._engine.dialect.do_ping(connection.connection.dbapi_connection)  # type: ignore[arg-type]
        except self._engine.dialect.loaded_dbapi.Error:
            return False

    def _tells_of_a_lost_server(self, error: BaseException, connection: Connection) -> bool:
        if isinstance(error, DBAPIError):
            return error.connection_invalidated
        driver = self._engine.dialect.loaded_dbapi
        return isinstance(error, driver.OperationalError) and self._is_server


def _is_detached(connection: Connection) -> bool:
    return not connection.invalidated and connection.connection.is_detached
