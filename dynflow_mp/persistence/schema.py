"""Whether the database's tables are the ones this version works with, and how they become so.

empty ─▶ created and stamped        current ─▶ nothing        newer ─▶ refused
older ─▶ SQLite: upgraded by itself; others: refused, naming ``dynflow-mp db upgrade``

Alembic is imported only where something must be migrated: it costs start-up time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, insert, inspect, select, text

from dynflow_mp.errors import PersistenceError, SchemaMismatch
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.tables import execution_plans, metadata, schema_version

REVISIONS = ("0001",)
"""Every revision there is, oldest first; the last is what this version works with."""

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK_TIMEOUT_S = 60
_ON_MYSQL = (f"SELECT GET_LOCK('dynflow_schema', {_LOCK_TIMEOUT_S})", "SELECT RELEASE_LOCK('dynflow_schema')")
_SERVER_LOCKS = {
    # PostgreSQL's advisory locks have numbers instead of names: this one reads "dynflow".
    "postgresql": (
        "SELECT 1 FROM pg_advisory_lock(28281012742811511)",
        "SELECT pg_advisory_unlock(28281012742811511)",
    ),
    "mysql": _ON_MYSQL,
    "mariadb": _ON_MYSQL,
}


def prepare(database: Database) -> None:
    """Make sure that the tables are current; create them in an empty database.

    Raises :class:`SchemaMismatch` for tables that are older (not on SQLite) or newer.
    """
    version = current(database)
    if version is None:
        _create(database)
        version = current(database)
    if version == REVISIONS[-1]:
        return
    if version not in REVISIONS:
        raise _newer(database, version)
    if not database.is_sqlite:
        raise SchemaMismatch(
            f"{database.url_text}: the tables are of version {version}, this dynflow_mp works with "
            f"{REVISIONS[-1]}; run: dynflow-mp db upgrade"
        )
    upgrade(database)


def current(database: Database) -> str | None:
    """The version of the tables; None in a database that has none."""
    with database.read() as connection:
        return _version(connection)


def upgrade(database: Database) -> None:
    """Bring older tables to this version; current ones stay as they are, an empty database gets them."""
    version = current(database)
    if version is not None and version not in REVISIONS:
        raise _newer(database, version)
    with _alone(database), database.write() as connection:
        _migrate(connection)


def _create(database: Database) -> None:
    with _alone(database), database.write() as connection:
        # Whoever had the lock before may have made them.
        if _version(connection) is not None:
            return
        if inspect(connection).has_table(execution_plans.name):
            raise SchemaMismatch(
                f"{database.url_text}: there are tables of dynflow_mp, but {schema_version.name} is missing"
            )
        schema_version.create(connection, checkfirst=True)
        metadata.create_all(connection)
        connection.execute(insert(schema_version).values(version_num=REVISIONS[-1]))


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(schema_version.name):
        return None
    return connection.execute(select(schema_version.c.version_num)).scalar_one_or_none()


def _newer(database: Database, version: str | None) -> SchemaMismatch:
    return SchemaMismatch(
        f"{database.url_text}: the tables are of version {version}, which this dynflow_mp "
        f"(tables of version {REVISIONS[-1]}) does not know; install a newer dynflow_mp"
    )


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """One process at a time makes or changes tables. On SQLite the write transaction is the lock.

    Servers lock for a session of its own: a lock of the changing one would end before its commit.
    """
    taking = _SERVER_LOCKS.get(database.engine.dialect.name)
    if taking is None:
        yield
        return
    take, give_back = taking
    with database.read() as connection:
        if connection.execute(text(take)).scalar_one() == 0:
            raise PersistenceError(
                f"another process has been changing the tables for more than {_LOCK_TIMEOUT_S} s", "locked"
            )
        try:
            yield
        finally:
            connection.execute(text(give_back))


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")
