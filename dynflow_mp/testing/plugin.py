"""Fixtures for pytest. Found by pytest itself once dynflow_mp is installed; nothing is loaded until one is used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from dynflow_mp.testing.clock import ManagedClock
    from dynflow_mp.testing.world import InThreadWorld
    from dynflow_mp.world import World


@pytest.fixture
def dynflow_clock() -> ManagedClock:
    """The clock of ``dynflow_world``, wound by hand; for single actions, too: ``create_action(…, clock=…)``."""
    from dynflow_mp.testing.clock import ManagedClock

    return ManagedClock()


@pytest.fixture
def dynflow_world(dynflow_clock: ManagedClock) -> Iterator[InThreadWorld]:
    """A world in this thread, with a database of its own, that ends with the test."""
    from dynflow_mp.testing.world import InThreadWorld

    with InThreadWorld(clock=dynflow_clock) as world:
        yield world


@pytest.fixture
def dynflow_worker_world(tmp_path: Path) -> Iterator[World]:
    """A world with a worker process, for what only a process can show; on a database of its own."""
    from dynflow_mp.world import World

    with World(database_url=f"sqlite:///{tmp_path / 'dynflow.db'}", workers=1) as world:
        yield world
