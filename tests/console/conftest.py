"""Worlds for consoles to look at: a client of a database, and an embedded one that runs plans."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from dynflow_mp import World


@pytest.fixture(scope="module")
def client_world(tmp_path_factory):
    """A client world on SQLite: nobody runs its plans."""
    import console_actions  # noqa: F401 - registers the actions

    path = tmp_path_factory.mktemp("console") / "plans.db"
    with World(database_url=f"sqlite:///{path}") as world:
        yield world


@pytest.fixture(scope="module")
def running_world(tmp_path_factory):
    """An embedded world with a worker."""
    path = tmp_path_factory.mktemp("console") / "running.db"
    with World(database_url=f"sqlite:///{path}", workers=1, apps=["console_actions"]) as world:
        yield world
