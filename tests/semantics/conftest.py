"""Behaviours of whole plans, each in an in-thread world: no processes, so they run in milliseconds."""

from __future__ import annotations

import pytest

from dynflow_mp.testing import InThreadWorld, ManagedClock


@pytest.fixture
def world(dynflow_world: InThreadWorld) -> InThreadWorld:
    """The world of most tests: jumps from timer to timer by itself."""
    return dynflow_world


@pytest.fixture
def clock(dynflow_clock: ManagedClock) -> ManagedClock:
    return dynflow_clock


@pytest.fixture
def slow_world():
    """A world in which time moves only when it is told to."""
    with InThreadWorld(jump=False) as world:
        yield world
