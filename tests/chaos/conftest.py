"""Arenas: worlds in which faults are tried, one per module and kind of database."""

import databases
import pytest

from chaos.faults import Arena


@pytest.fixture(scope="module")
def arena_on(tmp_path_factory):
    """The arena on a kind of database; made when it is first asked for, and kept for the module."""
    made, open_databases = {}, []

    def arena(kind):
        if kind not in made:
            directory = tmp_path_factory.mktemp(kind)
            database = databases.fresh_database(kind, directory)
            url = database.__enter__()
            open_databases.append(database)
            made[kind] = Arena(directory, url)
        return made[kind]

    yield arena
    for one in made.values():
        one.close()
    for database in open_databases:
        database.__exit__(None, None, None)
