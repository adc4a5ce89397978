"""Being told by PostgreSQL that something has come, instead of looking again and again.

A connection of its own, which nothing else uses. It may break at any time: then its owner looks by itself
until another one stands.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.driver_errors import persistence_error


class Notifications:
    """One channel, listened to. Used by one thread, which polls ``fd``."""

    def __init__(self, database: Database, channel: str) -> None:
        """Raises :class:`PersistenceError` if there is no connection to be had."""
        self._url_text = database.url_text
        self._driver_error: type[Exception] = database.engine.dialect.loaded_dbapi.Error
        try:
            connection = database.engine.connect()
            self._connection = connection
            self._driver: Any = connection.connection.driver_connection
            connection.detach()  # no pool keeps it: it ends with its owner
            self._listen(channel)
        except (SQLAlchemyError, self._driver_error) as error:
            raise persistence_error(error, database.url_text) from error

    def _listen(self, channel: str) -> None:
        try:
            self._driver.autocommit = True
            self._driver.execute(f'LISTEN "{channel}"')
        except BaseException:
            self._connection.close()
            raise

    @property
    def fd(self) -> int:
        """Readable when there may be news, or the connection is broken. Raises PersistenceError once it was closed."""
        try:
            return int(self._driver.fileno())
        except self._driver_error as error:
            raise persistence_error(error, self._url_text) from error

    def hear(self) -> bool:
        """Whether something was told since the last time. Raises :class:`PersistenceError` when it is broken."""
        try:
            self._driver.pgconn.consume_input()
            told = False
            while self._driver.pgconn.notifies() is not None:
                told = True
            return told
        except (SQLAlchemyError, self._driver_error, OSError) as error:
            raise persistence_error(error, self._url_text) from error

    def close(self) -> None:
        """Twice is fine."""
        with suppress(SQLAlchemyError, self._driver_error, OSError):
            self._connection.close()
        with suppress(self._driver_error, OSError):
            self._driver.close()  # should the server have gone as it was told


def can_notify(database: Database) -> bool:
    """Whether this kind of database tells by itself."""
    return database.engine.dialect.name == "postgresql"
