"""The tables: created once, refused when they are others, the same by creation and by migration."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import databases
import pytest
from sqlalchemy import MetaData, Table, event, text

from dynflow_mp.errors import PersistenceError, SchemaMismatch
from dynflow_mp.persistence import schema
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.schema import Standing, current, look, migrate, prepare, upgrade
from dynflow_mp.persistence.store import Store
from dynflow_mp.persistence.tables import metadata, steps

NOW = schema.REVISIONS[-1]
PLAN = "0193f0c5-0000-7000-8000-000000000001"


@pytest.fixture
def url(database_kind: str, tmp_path: Path) -> Iterator[str]:
    with databases.fresh_database(database_kind, tmp_path) as url:
        yield url


def test_an_empty_database_gets_the_current_tables(open_database: Callable[[], Database]):
    database = open_database()
    assert look(database) == (Standing.MISSING, None)

    prepare(database)
    prepare(database)

    assert look(database) == (Standing.CURRENT, schema.REVISIONS[-1])


def test_creating_and_migrating_make_the_same_tables(database_kind: str, database: Database, tmp_path: Path):
    with databases.fresh_database(database_kind, tmp_path) as other:
        migrated = Database(other, hurried=False)

        with migrated.write() as connection:
            migrate(connection)

        described, version = _described(migrated), current(migrated)
        migrated.close()
    assert described == _described(database)
    assert len(described) >= len(metadata.tables)
    assert version == schema.REVISIONS[-1]


def test_the_newest_migration_is_the_version_this_one_works_with():
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)

    found = [script.revision for script in scripts.walk_revisions()]

    assert tuple(reversed(found)) == schema.REVISIONS
    assert scripts.get_heads() == [schema.REVISIONS[-1]]


def test_g30_newer_tables_are_refused(database: Database):
    _stamp(database, "9999")

    for way in (prepare, upgrade):
        with pytest.raises(SchemaMismatch, match=r"version 9999, .* install a newer dynflow_mp"):
            way(database)


def test_g30_older_tables_are_upgraded_by_itself_on_sqlite_only(
    database_kind: str, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    _add_a_revision(tmp_path, monkeypatch)
    before = look(database)

    if database_kind == databases.SQLITE:
        prepare(database)
    else:
        with pytest.raises(SchemaMismatch, match=rf"version {NOW}.*run: dynflow-mp db upgrade"):
            prepare(database)

    assert before == (Standing.OLDER, NOW)
    assert current(database) == ("9000" if database_kind == databases.SQLITE else NOW)


def test_an_upgrade_brings_older_tables_to_this_version_and_keeps_their_rows(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    _add_a_row(database)
    _add_a_revision(tmp_path, monkeypatch)

    upgrade(database)
    upgrade(database)

    assert look(database) == (Standing.CURRENT, "9000")
    with database.read() as connection:
        assert connection.execute(text("SELECT note FROM dynflow_coordinator_records")).all() == [(None,)]


def test_outputs_of_the_first_version_are_moved_by_the_upgrade(open_database: Callable[[], Database]):
    database = open_database()
    with database.write() as connection:
        migrate(connection, "0001")
        found = MetaData()
        found.reflect(connection)
        plans, own = found.tables["dynflow_execution_plans"], found.tables["dynflow_actions"]
        connection.execute(plans.insert().values(**_anything(plans, id=PLAN)))
        for number, output in ((1, None), (2, b"two")):
            row = _anything(own, execution_plan_id=PLAN, id=number, input=b"given", output=output)
            connection.execute(own.insert().values(**row))

    upgrade(database)

    rows = Store(database).load_actions(PLAN)
    assert [(row.id, row.input, row.output) for row in rows] == [(1, b"given", None), (2, b"given", b"two")]


def test_an_upgrade_that_fails_says_so_and_leaves_the_version(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    _add_a_revision(tmp_path, monkeypatch, 'op.execute("SELECT * FROM what_is_not_there")')

    with pytest.raises(PersistenceError, match="what_is_not_there"):
        upgrade(database)

    assert look(database) == (Standing.OLDER, NOW)


def test_a_creation_that_dies_half_way_is_done_again(
    database_kind: str, open_database: Callable[[], Database]
):
    database, whole = open_database(), _died_after(steps)

    with whole, pytest.raises(KeyboardInterrupt):
        prepare(database)
    left = look(database)[0]
    prepare(database)

    # Only MariaDB and MySQL commit every table by itself.
    assert left is (Standing.HALF_MADE if database_kind == databases.MYSQL else Standing.MISSING)
    assert look(database)[0] is Standing.CURRENT
    with database.read() as connection:
        for table in metadata.sorted_tables:
            assert connection.execute(table.select()).all() == []


def test_tables_with_rows_that_lost_their_version_are_not_made_again(database: Database):
    _add_a_row(database)
    with database.write() as connection:
        connection.execute(text("DELETE FROM dynflow_schema_version"))

    with pytest.raises(SchemaMismatch, match="dynflow_coordinator_records has rows: it has lost its version"):
        prepare(database)

    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM dynflow_coordinator_records")).scalar_one() == 1


def test_tables_without_a_version_are_refused(database: Database):
    with database.write() as connection:
        connection.execute(text("DROP TABLE dynflow_schema_version"))

    with pytest.raises(SchemaMismatch, match="dynflow_schema_version is missing"):
        prepare(database)


def test_g30_several_processes_prepare_one_empty_database(url: str):
    program = (
        "import sys; from dynflow_mp.persistence.database import Database;"
        "from dynflow_mp.persistence.schema import prepare, current;"
        "d = Database(sys.argv[1]); prepare(d); print(current(d)); d.close()"
    )

    running = [
        subprocess.Popen([sys.executable, "-c", program, url], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    told = [process.communicate(timeout=60)[0].strip() for process in running]

    assert told == [schema.REVISIONS[-1]] * 3


@pytest.mark.parametrize("database_kind", [databases.POSTGRESQL, databases.MYSQL], indirect=True)
def test_who_finds_the_tables_being_changed_by_another_waits_and_says_so(
    database_kind: str, open_database: Callable[[], Database], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(schema, "_PATIENCE_S", 1)
    database, other = open_database(), open_database()

    with schema._alone(other), pytest.raises(PersistenceError, match="more than 1 s") as refused:
        prepare(database)
    prepare(database)

    assert refused.value.kind == "locked"
    assert look(database)[0] is Standing.CURRENT


def test_opening_a_current_database_does_not_import_alembic(url: str, database: Database):
    program = (
        "import sys; from dynflow_mp.persistence.database import Database;"
        "from dynflow_mp.persistence.schema import prepare; from dynflow_mp.persistence.store import Store;"
        "d = Database(sys.argv[1]); prepare(d); d.close(); print('alembic' in sys.modules)"
    )

    told = subprocess.run(
        [sys.executable, "-c", program, url], capture_output=True, text=True, timeout=60, check=True
    )

    assert told.stdout.strip() == "False"


@contextmanager
def _died_after(table: Any) -> Iterator[None]:
    """Tables are made up to this one, then the process is interrupted."""

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    event.listen(table, "after_create", die)
    try:
        yield
    finally:
        event.remove(table, "after_create", die)


def _add_a_revision(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: str = 'op.add_column("dynflow_coordinator_records", sa.Column("note", sa.String(20)))',
) -> None:
    """As if a newer dynflow_mp were running, with one revision more."""
    migrations = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, migrations, ignore=shutil.ignore_patterns("__pycache__"))
    (migrations / "versions" / "9000_note.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        'revision = "9000"\ndown_revision = "' + NOW + '"\nbranch_labels = None\ndepends_on = None\n'
        f"def upgrade() -> None:\n    {change}\n"
    )
    monkeypatch.setattr(schema, "MIGRATIONS", migrations)
    monkeypatch.setattr(schema, "REVISIONS", (*schema.REVISIONS, "9000"))


def _anything(table: Table, **values: Any) -> dict[str, Any]:
    """A row with these values, and with nothing much where something must stand."""
    for column in table.columns:
        if column.name not in values and not column.nullable:
            kind = column.type.python_type
            values[column.name] = kind()
    return values


def _add_a_row(database: Database) -> None:
    with database.write() as connection:
        connection.execute(
            metadata.tables["dynflow_coordinator_records"]
            .insert()
            .values({"class": "a", "id": "b", "data": b""})
        )


def _stamp(database: Database, version: str) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE dynflow_schema_version SET version_num = :v"), {"v": version})


def _described(database: Database) -> list[tuple[Any, ...]]:
    """All that the database itself says about its tables."""
    with database.read() as connection:
        if database.is_sqlite:
            rows = connection.execute(
                text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
            ).all()
            return [(name, re.sub(r"\s+", " ", statement)) for name, statement in rows]
        if database.engine.dialect.name == "postgresql":
            return [tuple(row) for question in _POSTGRESQL for row in connection.execute(text(question))]
        names = connection.execute(text("SHOW TABLES")).scalars().all()
        told = {
            name: connection.execute(text(f"SHOW CREATE TABLE {name}")).one()[1] for name in sorted(names)
        }
        # In which order the indexes were made does not matter.
        return [(name, sorted(line.strip(" ,") for line in tale.splitlines())) for name, tale in told.items()]


_POSTGRESQL = (
    "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default, "
    "collation_name FROM information_schema.columns WHERE table_schema = 'public' "
    "ORDER BY table_name, ordinal_position",
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname",
    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace "
    "ORDER BY conname, conrelid::regclass::text",
)
