from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from stored_plans import WORLD

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import WorldRecord
from dynflow_mp.model.writes import Write
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.schedule import Schedule
from dynflow_mp.persistence.schema import prepare
from dynflow_mp.persistence.store import Store


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/plans.db"


@pytest.fixture
def open_database(url: str) -> Iterator[Callable[[], Database]]:
    """Opens further databases on the same file, as other processes have them."""
    opened: list[Database] = []

    def open_one() -> Database:
        opened.append(Database(url))
        return opened[-1]

    yield open_one

    for database in opened:
        database.close()


@pytest.fixture
def database(open_database: Callable[[], Database]) -> Database:
    database = open_database()
    prepare(database)
    return database


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database)


@pytest.fixture
def schedule(database: Database) -> Schedule:
    return Schedule(database)


@pytest.fixture
def coordinator(database: Database) -> Coordinator:
    """Of a registered, living executor world."""
    coordinator = Coordinator(database, WORLD)
    coordinator.register_world(WorldRecord(WORLD, executor=True))
    return coordinator


@pytest.fixture
def turn(store: Store, coordinator: Coordinator) -> Callable[..., frozenset[str]]:
    """Commits writes as the core does; returns the lost plans."""

    def commit(
        *writes: Write, store: Store = store, coordinator: Coordinator = coordinator
    ) -> frozenset[str]:
        given: Sequence[Write] = writes
        with store.database.write(coordinator.fence) as connection:
            lost = store.write_turn(connection, given)
            coordinator.follow_turn(connection, given, lost)
        return lost

    return commit
