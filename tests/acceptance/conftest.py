"""Whole worlds for acceptance tests: real files, real processes, real kills."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import databases
from watching import Supervisor


def pytest_generate_tests(metafunc):
    """``@pytest.mark.every_database``: the test runs on each kind of server, too, instead of on SQLite alone."""
    if metafunc.definition.get_closest_marker("every_database"):
        metafunc.parametrize("database_url", databases.KINDS, indirect=True)


@pytest.fixture
def database_url(request, tmp_path):
    with databases.fresh_database(getattr(request, "param", databases.SQLITE), tmp_path) as url:
        yield url


@pytest.fixture
def start_supervisor(database_url):
    started = []

    def start(*options, wait=True, **keywords):
        keywords.setdefault("database_url", database_url)
        supervisor = Supervisor(keywords.pop("database_url"), *options, **keywords)
        started.append(supervisor)
        return supervisor.wait_ready() if wait else supervisor

    yield start
    for supervisor in started:
        supervisor.close()


@pytest.fixture
def a_client(database_url):
    """Make client worlds; they are terminated at the end."""
    from dynflow_mp import World

    worlds = []

    def make(**settings):
        settings.setdefault("database_url", database_url)
        worlds.append(World(**settings))
        return worlds[-1]

    yield make
    for world in worlds:
        world.terminate().result(30)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """One embedded world with two workers for all tests of a module."""
    import engine_actions  # noqa: F401 - registers the actions

    from dynflow_mp import World

    path = tmp_path_factory.mktemp("world") / "plans.db"
    with World(database_url=f"sqlite:///{path}", workers=2, apps=["engine_actions"]) as world:
        yield world
