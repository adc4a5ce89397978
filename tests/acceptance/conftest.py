"""Whole worlds for acceptance tests: real files, real processes, real kills."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import databases
from watching import Supervisor


def pytest_generate_tests(metafunc):
    """``@pytest.mark.every_database``: the test runs on each kind of server, too, instead of on SQLite alone.

    On those ``in_chaos``, MariaDB unless something else is said, only in ``make chaos``.
    """
    if marker := metafunc.definition.get_closest_marker("every_database"):
        seldom = marker.kwargs.get("in_chaos", (databases.MYSQL,))
        kinds = [
            pytest.param(kind, marks=pytest.mark.chaos) if kind in seldom else kind
            for kind in databases.KINDS
        ]
        if "database_url" in metafunc.fixturenames:
            metafunc.parametrize("database_url", kinds, indirect=True)
        else:
            metafunc.parametrize("world", kinds, indirect=True, scope="module")


def kind_for(request):
    return getattr(request, "param", databases.SQLITE)


@pytest.fixture
def database_url(request, tmp_path):
    with databases.fresh_database(kind_for(request), tmp_path) as url:
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
def world(request, tmp_path_factory):
    """One embedded world with two workers for all tests of a module, which may name its ``APPS``."""
    import engine_actions  # noqa: F401 - registers the actions

    from dynflow_mp import World

    apps = getattr(request.module, "APPS", ["engine_actions"])
    with (
        databases.fresh_database(kind_for(request), tmp_path_factory.mktemp("world")) as url,
        World(database_url=url, workers=2, apps=apps) as world,
    ):
        yield world


@pytest.fixture
def quick_to_look(monkeypatch):
    """Worlds, here and in processes started from here, that notice within a moment who is gone."""
    for name, seconds in {
        "reconcile_interval_s": 0.2,
        "reask_interval_s": 0.5,
        "lease_renewal_s": 0.2,
        "no_executor_timeout_s": 30,
    }.items():
        monkeypatch.setenv(f"DYNFLOW_{name.upper()}", str(seconds))
