"""Whether the database's tables are the ones this version works with, and how they become so.

empty ─▶ created and stamped        current ─▶ nothing        newer ─▶ refused
older ─▶ SQLite: upgraded by itself; others: refused, naming ``dynflow-mp db upgrade``
half made (MariaDB commits each table by itself) ─▶ made again; nobody has used tables without a stamp

Alembic is imported only where something must be migrated: it costs start-up time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Connection, insert, inspect, literal, select, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from dynflow_mp.errors import PersistenceError, SchemaMismatch
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.driver_errors import persistence_error
from dynflow_mp.persistence.tables import execution_plans, metadata, schema_version

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
"""Every revision there is, oldest first; the last is what this version works with."""

MIGRATIONS = Path(__file__).parent / "migrations"
_PATIENCE_S = 20
"""How long to wait for another process that changes the tables; less than a statement may take."""
_LOCK_NAME = "CONCAT('dynflow_schema.', MD5(DATABASE()))"
"""MariaDB's locks are for the whole server: other databases' tables are no concern of ours."""
_LOCK_NUMBER = 28281012742811511
"""PostgreSQL's advisory locks have numbers instead of names: this one reads "dynflow"."""
_LOCK_NOT_AVAILABLE = "55P03"


class Standing(StrEnum):
    """What there is, compared with what this version works with."""

    MISSING = "missing"
    HALF_MADE = "half made"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"


def prepare(database: Database) -> None:
    """Make sure that the tables are current; create them in an empty database.

    Raises :class:`SchemaMismatch` for tables that are older (not on SQLite) or newer.
    """
    standing, version = look(database)
    if standing is Standing.CURRENT:
        return
    if standing is Standing.OLDER and not database.is_sqlite:
        raise SchemaMismatch(
            f"{database.url_text}: the tables are of version {version}, this dynflow_mp works with "
            f"{REVISIONS[-1]}; run: dynflow-mp db upgrade",
            "unsuitable",
        )
    upgrade(database)


def current(database: Database) -> str | None:
    """The version of the tables; None in a database that has none."""
    return look(database)[1]


def look(database: Database) -> tuple[Standing, str | None]:
    """How the tables stand, and their version if they have one."""
    with database.read() as connection:
        return _standing(connection, database.url_text)


def upgrade(database: Database) -> None:
    """Bring older tables to this version; current ones stay as they are, an empty database gets them.

    Raises :class:`SchemaMismatch` for tables that are newer.
    """
    with _alone(database), _may_make_tables(database), database.write() as connection:
        # Whoever had the lock before may have made them.
        standing, version = _standing(connection, database.url_text)
        if standing is Standing.NEWER:
            raise SchemaMismatch(
                f"{database.url_text}: the tables are of version {version}, which this dynflow_mp "
                f"(tables of version {REVISIONS[-1]}) does not know; install a newer dynflow_mp",
                "unsuitable",
            )
        if standing is Standing.HALF_MADE:
            _remove_half_made(connection, database.url_text)
        if standing in (Standing.MISSING, Standing.HALF_MADE):
            _create(connection)
        if standing is Standing.OLDER:
            migrate(connection)


def migrate(connection: Connection, to: str = "head") -> None:
    """Run the revisions that are newer than the tables, up to this one, in this connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, to)


def _standing(connection: Connection, url_text: str) -> tuple[Standing, str | None]:
    inspector = inspect(connection)
    # In this order: another process may commit both tables between the two questions.
    has_plans = inspector.has_table(execution_plans.name)
    if not inspector.has_table(schema_version.name):
        if has_plans:
            raise SchemaMismatch(
                f"{url_text}: there are tables of dynflow_mp, but {schema_version.name} is missing",
                "unsuitable",
            )
        return Standing.MISSING, None
    version = connection.execute(select(schema_version.c.version_num)).scalar_one_or_none()
    if version is None:
        return Standing.HALF_MADE, None
    if version == REVISIONS[-1]:
        return Standing.CURRENT, version
    return Standing.OLDER if version in REVISIONS else Standing.NEWER, version


def _create(connection: Connection) -> None:
    """The stamp comes last: until then these tables are half made to everybody."""
    schema_version.create(connection, checkfirst=True)
    metadata.create_all(connection)
    connection.execute(insert(schema_version).values(version_num=REVISIONS[-1]))


def _remove_half_made(connection: Connection, url_text: str) -> None:
    inspector = inspect(connection)
    made = [table for table in metadata.sorted_tables if inspector.has_table(table.name)]
    for table in made:
        if connection.execute(select(literal(1)).select_from(table).limit(1)).first() is not None:
            raise SchemaMismatch(
                f"{url_text}: {schema_version.name} is empty, but {table.name} has rows: it has lost its version; "
                "write the version into it that these tables were made with",
                "unsuitable",
            )
    metadata.drop_all(connection, made)


@contextmanager
def _may_make_tables(database: Database) -> Iterator[None]:
    try:
        yield
    except PersistenceError as error:
        if error.kind != "rights":
            raise
        raise PersistenceError(
            f"{error}; or have a user who may make tables run: dynflow-mp db upgrade", error.kind
        ) from error


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """One process at a time makes or changes tables. On SQLite the write transaction is the lock.

    Servers lock for a session of its own, which ends with the lock: a lock of the changing one would
    end before its commit.
    """
    if database.is_sqlite:
        yield
        return
    with _session_of_its_own(database) as connection:
        if not _locked(connection):
            raise PersistenceError(
                f"{database.url_text}: another process has been changing the tables for more than {_PATIENCE_S} s",
                "locked",
            )
        yield


@contextmanager
def _session_of_its_own(database: Database) -> Iterator[Connection]:
    try:
        with database.engine.connect() as connection:
            connection.detach()  # no pool keeps it: what it locks is free once it is closed
            yield connection
    except SQLAlchemyError as error:
        raise persistence_error(error, database.url_text) from error


def _locked(connection: Connection) -> bool:
    if connection.dialect.name == "postgresql":
        # This session idles in its transaction for as long as the tables are worked at.
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        connection.execute(text(f"SET LOCAL lock_timeout = '{_PATIENCE_S}s'"))
        try:
            connection.execute(text(f"SELECT pg_advisory_lock({_LOCK_NUMBER})"))
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            return False
        return True
    return bool(connection.execute(text(f"SELECT GET_LOCK({_LOCK_NAME}, {_PATIENCE_S})")).scalar_one())
