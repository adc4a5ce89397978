"""What several border tests need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from databases import fresh_database

from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.schema import prepare
from dynflow_mp.persistence.tables import envelopes


@pytest.fixture(scope="session")
def database_without_envelopes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """The URL of a database of this kind; one for all tests, and without envelopes each time it is asked for."""
    made: dict[str, str] = {}
    with ExitStack() as kept:

        def emptied(kind: str) -> str:
            if kind not in made:
                made[kind] = kept.enter_context(fresh_database(kind, tmp_path_factory.mktemp(kind)))
            database = Database(made[kind])
            try:
                prepare(database)
                with database.write() as connection:
                    connection.execute(envelopes.delete())
            finally:
                database.close()
            return made[kind]

        yield emptied
