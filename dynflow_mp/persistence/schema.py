"""Whether the database's tables are the ones this version works with, and how they become so.

empty ─▶ created and stamped        current ─▶ nothing        newer ─▶ refused
older ─▶ SQLite: upgraded by itself; others: refused, naming ``dynflow-mp db upgrade``

Alembic is imported only where something must be migrated: it costs start-up time.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, insert, inspect, select, text

from dynflow_mp.errors import SchemaMismatch
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.tables import execution_plans, metadata, schema_version

REVISIONS = ("0001",)
"""Every revision there is, oldest first; the last is what this version works with."""

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK_NAME = "dynflow_schema"
_LOCK_KEY = 0x64796E666C6F77  # "dynflow" as a number: PostgreSQL's advisory locks have no names
_LOCK_TIMEOUT_S = 60


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
    with database.write() as connection:
        _lock(connection)
        _migrate(connection)


def _create(database: Database) -> None:
    with database.write() as connection:
        _lock(connection)
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


def _lock(connection: Connection) -> None:
    """One process at a time makes or changes tables. On SQLite the write transaction is the lock."""
    dialect = connection.dialect.name
    if dialect == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
    elif dialect in ("mysql", "mariadb"):
        given = {"name": _LOCK_NAME, "wait": _LOCK_TIMEOUT_S}
        if connection.execute(text("SELECT GET_LOCK(:name, :wait)"), given).scalar_one() != 1:
            raise SchemaMismatch(
                f"another process has been changing the tables for more than {_LOCK_TIMEOUT_S} s"
            )


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")
