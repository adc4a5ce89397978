"""Waiting for what plans come to, with a deadline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import page_actions as actions

PATIENCE_S = 20.0


def wait_for(what: Callable[[], Any]) -> Any:
    """What it returns once that is something."""
    deadline = monotonic() + PATIENCE_S
    while not (found := what()):
        assert monotonic() < deadline, "it did not come in time"
        sleep(0.02)
    return found


def state_of(world: Any, plan_id: str) -> str:
    """The state of a plan."""
    return str(world.persistence.load_execution_plan(plan_id).state)


def in_state(world: Any, plan_id: str, *states: str) -> Any:
    """The plan, once it is in one of these states."""

    def look() -> Any:
        plan = world.persistence.load_execution_plan(plan_id)
        return plan if plan.state in states else None

    return wait_for(look)


def step_in_state(world: Any, plan_id: str, step_id: int, state: str) -> None:
    """Wait for a step."""
    wait_for(lambda: world.persistence.load_execution_plan(plan_id).steps[step_id].state == state)


def a_paused_release(world: Any, directory: Path, name: str = "shop") -> str:
    """A plan that is paused since a file is missing: ``<directory>/<name>``."""
    triggered = world.trigger(actions.NamedRelease, name, str(directory / name))
    triggered.finished.result(PATIENCE_S)
    return str(triggered.id)


def failed_step(world: Any, plan_id: str) -> int:
    """The id of the step that failed."""
    (step,) = world.persistence.load_execution_plan(plan_id).failed_steps
    return int(step.id)
