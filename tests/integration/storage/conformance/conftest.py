"""What store and coordinator promise, they promise on every kind of database: each test here runs on all.

One database per kind and test process: its tables are made once and emptied before each test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import databases
import pytest
from sqlalchemy import Engine, create_engine, delete

from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.schema import prepare
from dynflow_mp.persistence.tables import metadata


class PreparedDatabases:
    """By kind, a database with tables. Owned by the test process."""

    def __init__(self, make: Callable[[str], str]) -> None:
        self._make = make
        self._engines: dict[str, Engine] = {}

    def emptied(self, kind: str) -> str:
        """The URL of the kind's database, which holds no row."""
        engine = self._engines.get(kind)
        if engine is None:
            engine = self._engines[kind] = self._prepared(kind)
        with engine.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(delete(table))
        return engine.url.render_as_string(hide_password=False)

    def close(self) -> None:
        for engine in self._engines.values():
            engine.dispose()

    def _prepared(self, kind: str) -> Engine:
        url = self._make(kind)
        database = Database(url)
        prepare(database)
        database.close()
        return create_engine(url)


@pytest.fixture(scope="session")
def prepared_databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PreparedDatabases]:
    with ExitStack() as made:
        directory = tmp_path_factory.mktemp("conformance")
        prepared = PreparedDatabases(
            lambda kind: made.enter_context(databases.fresh_database(kind, directory))
        )
        yield prepared
        prepared.close()


@pytest.fixture
def url(database_kind: str, prepared_databases: PreparedDatabases) -> str:
    return prepared_databases.emptied(database_kind)


@pytest.fixture
def database(open_database: Callable[[], Database]) -> Database:
    return open_database()
