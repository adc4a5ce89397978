"""The tables: created once, refused when they are others, the same by creation and by migration."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from sqlalchemy import text

from dynflow_mp.errors import SchemaMismatch
from dynflow_mp.persistence import schema
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.schema import current, prepare, upgrade


def test_an_empty_database_gets_the_current_tables(open_database: Callable[[], Database]):
    database = open_database()
    assert current(database) is None

    prepare(database)
    prepare(database)

    assert current(database) == schema.REVISIONS[-1]


def test_creating_and_migrating_make_the_same_tables(tmp_path, open_database: Callable[[], Database]):
    created, migrated = open_database(), Database(f"sqlite:///{tmp_path}/migrated.db")

    prepare(created)
    upgrade(migrated)

    assert _described(created) == _described(migrated)
    assert current(migrated) == schema.REVISIONS[-1]
    migrated.close()


def test_the_newest_migration_is_the_version_this_one_works_with():
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)

    found = [script.revision for script in scripts.walk_revisions()]

    assert tuple(reversed(found)) == schema.REVISIONS
    assert scripts.get_heads() == [schema.REVISIONS[-1]]


def test_newer_tables_are_refused(database: Database):
    _stamp(database, "9999")

    for way in (prepare, upgrade):
        with pytest.raises(SchemaMismatch, match=r"version 9999, .* install a newer dynflow_mp"):
            way(database)


def test_older_tables_are_upgraded_by_itself_on_sqlite(database: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(schema, "REVISIONS", ("0000", *schema.REVISIONS))
    upgraded: list[Database] = []
    monkeypatch.setattr(schema, "upgrade", upgraded.append)
    _stamp(database, "0000")

    prepare(database)

    assert upgraded == [database]


def test_older_tables_of_a_server_name_the_command(database: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(schema, "REVISIONS", ("0000", *schema.REVISIONS))
    monkeypatch.setattr(database, "is_sqlite", False)
    _stamp(database, "0000")

    with pytest.raises(SchemaMismatch, match="dynflow-mp db upgrade"):
        prepare(database)


def test_tables_without_a_version_are_refused(database: Database):
    with database.write() as connection:
        connection.execute(text("DROP TABLE dynflow_schema_version"))

    with pytest.raises(SchemaMismatch, match="dynflow_schema_version is missing"):
        prepare(database)


def test_two_processes_prepare_one_empty_database(url: str):
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


def _stamp(database: Database, version: str) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE dynflow_schema_version SET version_num = :v"), {"v": version})


def _described(database: Database) -> list[tuple[str, str]]:
    with database.read() as connection:
        rows = connection.execute(
            text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
        ).all()
    return [(name, re.sub(r"\s+", " ", statement)) for name, statement in rows]
