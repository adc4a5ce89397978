"""A supervisor is killed under running plans, and another one on its host goes on with them.

The value is seconds from kill -9 until the other one runs all of them: they are its own, and every step that slept has been called again and is stored
so. ``owned_s`` beside it is until all are its own. Both supervisors have the settings a user's have; that the killed one's death is noticed is part of it.
"""

from __future__ import annotations

import os
import signal
from time import perf_counter
from typing import Any

from sqlalchemy import create_engine, func, select

from bench.actions import Sleeper
from bench.product import Supervisor
from bench.workloads.memory import executor_of
from bench.workloads.workload import TIMEOUT_S, Workload, triggered, wait_until
from dynflow_mp import World
from dynflow_mp.persistence.tables import execution_plans, steps

WORKERS = 2


def client(world: World, size: int) -> dict[str, Any]:
    plans = [triggered(world, Sleeper) for _ in range(size)]
    asleep = Asleep(world.config.database_url)
    wait_until(lambda: asleep.steps(1) == size, f"the suspension of {size} plans")
    doomed = executor_of(world)
    with Supervisor(world.config.database_url, WORKERS) as heir:
        heir_id = other_executor(world, doomed.pid)
        os.kill(doomed.pid, signal.SIGKILL)
        killed = perf_counter()
        wait_until(lambda: asleep.plans_of(heir_id) == size, f"the takeover of {size} plans")
        owned_s = perf_counter() - killed
        wait_until(lambda: asleep.steps(2) == size, f"the second call of {size} steps")
        running_s = perf_counter() - killed
        rss_mb = heir.rss_mb()
        wake(world, [plan.id for plan in plans])
        for plan in plans:
            if plan.finished.result(TIMEOUT_S).result != "success":
                raise RuntimeError(f"plan {plan.id} did not outlive its supervisor")
    asleep.close()
    return {"value": round(running_s, 3), "owned_s": round(owned_s, 3), "rss_mb": rss_mb}


class Asleep:
    """Looks at the tables themselves: one number is asked for, again and again."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url)

    def steps(self, attempts: int) -> int:
        """Steps that sleep after so many calls."""
        query = select(func.count()).where(steps.c.state == "suspended", steps.c.attempts == attempts)
        return self._number(query)

    def plans_of(self, world_id: str) -> int:
        """Plans that this world runs."""
        columns = execution_plans.c
        return self._number(
            select(func.count()).where(columns.state == "running", columns.owner_id == world_id)
        )

    def _number(self, query: Any) -> int:
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def close(self) -> None:
        self._engine.dispose()


def other_executor(world: World, pid: int) -> str:
    """The world of the executor that is not this process."""
    (other,) = [one for one in world.coordinator.find_worlds(executor=True) if one.meta["pid"] != pid]
    return str(other.id)


def wake(world: World, plan_ids: list[str]) -> None:
    """Let the plans end: that they do is what shows that nothing of them was lost."""
    (step_id,) = [step.id for step in world.persistence.load_execution_plan(plan_ids[0]).run_steps]
    for taken in [world.event(plan_id, step_id, "wake") for plan_id in plan_ids]:
        taken.result(TIMEOUT_S)


recovery = Workload("recovery", "s", 1_000, 20, client)
