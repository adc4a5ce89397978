"""Whatever happens to scheduled plans in whatever order: each ends for a cause, and none begins before it may."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from stored_plans import NOW, claim, end, plan_id
from test_delayed_executor import AWorld
from test_schedule import SECOND, store_one

from dynflow_mp.executor.errands import DRAINED
from dynflow_mp.maintenance.recovery import Recovery
from dynflow_mp.model.states import PlanState, Result
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.schedule import Schedule
from dynflow_mp.persistence.store import Store

MOST_PLANS = 12


class Life:
    """Two executor worlds, one of which may die at any time, and plans that wait for times and for each other."""

    def __init__(self, seed: int, open_database: Callable[[], Database], database: Database) -> None:
        self.chance = Random(seed)
        self.now = NOW
        self.open_database = open_database
        self.store, self.schedule = Store(database), Schedule(database)
        self.worlds = [AWorld(database, "world-1"), AWorld(open_database(), "world-2")]
        self.born = 2
        self.plans: dict[str, tuple[list[str], int | None, int | None]] = {}
        self.planned: list[str] = []
        self.cancelled: set[str] = set()

    def states(self) -> dict[str, tuple[PlanState, Result]]:
        return {id_: (status.state, status.result) for id_, status in self.store.find_statuses(None).items()}

    # -- what may happen ---------------------------------------------------------------------------

    def schedule_one(self) -> None:
        if len(self.plans) == MOST_PLANS:
            return
        id_ = plan_id(len(self.plans) + 1)
        after = self.chance.sample(sorted(self.plans), min(len(self.plans), self.chance.choice([0, 0, 1, 2])))
        start_at = self.chance.choice([None, self.now + self.chance.randrange(-5, 20) * SECOND])
        start_before = self.chance.choice([None, None, (start_at or self.now) + 10 * SECOND])
        frozen = self.chance.random() < 0.2
        store_one(self.schedule, id_, after, start_at=start_at, start_before=start_before, frozen=frozen)
        self.plans[id_] = (after, start_at, start_before)

    def time_passes(self) -> None:
        self.now += self.chance.randrange(1, 5) * SECOND

    def look(self) -> None:
        world = self.chance.choice(self.worlds)
        before = self.states()
        out = set(world.out)
        world.round(self.now)
        for id_ in set(world.out) - out:
            self.check_that_it_may_begin(id_, before)

    def check_that_it_may_begin(self, id_: str, states: dict[str, tuple[PlanState, Result]]) -> None:
        after, start_at, start_before = self.plans[id_]
        assert start_at is None or start_at <= self.now
        assert start_before is None or start_before > self.now
        for other in after:
            assert states[other][0] is PlanState.STOPPED
            assert states[other][1] not in (Result.ERROR, Result.CANCELLED)

    def a_worker_answers(self, well: bool = False) -> None:
        holding = [(world, id_) for world in self.worlds for id_ in world.out]
        if not holding:
            return
        world, id_ = self.chance.choice(holding)
        luck = 0.0 if well else self.chance.random()
        if luck < 0.6:
            world.done(id_)
        elif luck < 0.8:
            world.done(id_, state=PlanState.STOPPED, result=Result.ERROR)
        else:
            world.lost(self.chance.choice(["signal(9)", DRAINED]), id_)

    def an_executor_ends_a_plan(self) -> None:
        ready = [id_ for id_, (state, _) in self.states().items() if state is PlanState.PLANNED]
        if not ready:
            return
        id_ = self.chance.choice(ready)
        self.planned.append(id_)
        world = self.worlds[0]
        result = self.chance.choice([Result.SUCCESS, Result.WARNING, Result.ERROR])
        writes = claim(id_, world_id=world.coordinator.world_id), end(id_, result=result, ended_at=self.now)
        with self.store.database.write(world.coordinator.fence) as connection:
            assert not self.store.write_turn(connection, writes)

    def somebody_cancels(self) -> None:
        if self.plans and self.chance.random() < 0.3:
            id_ = self.chance.choice(sorted(self.plans))
            if self.schedule.cancel(id_, "world-9", self.now):
                self.cancelled.add(id_)

    def somebody_lets_go(self) -> None:
        for id_ in self.states():
            if self.store.count_execution_plans({"delayed": True, "id": id_}):
                self.schedule.set_frozen(id_, False)

    def a_world_dies(self) -> None:
        if self.chance.random() < 0.5:
            return
        dead = self.worlds.pop(self.chance.randrange(2))
        Recovery(self.store, self.worlds[0].coordinator, print, print).invalidate(dead.coordinator.world_id)
        self.born += 1
        self.worlds.append(AWorld(self.open_database(), f"world-{self.born}"))

    # -- in the end --------------------------------------------------------------------------------

    def settle(self) -> None:
        """From now on nobody dies, and time passes."""
        self.somebody_lets_go()
        for _ in range(40 * MOST_PLANS):
            if not self.chance.randrange(5):
                self.time_passes()
            self.look()
            self.a_worker_answers(well=True)
            self.an_executor_ends_a_plan()
            if all(state is PlanState.STOPPED for state, _ in self.states().values()):
                break
        for world in self.worlds:
            world.round(self.now)


@pytest.mark.parametrize("seed", range(4))
def test_every_plan_ends_and_none_begins_before_it_may(
    seed: int, open_database: Callable[[], Database], database: Database
):
    life = Life(seed, open_database, database)
    happenings = [
        life.schedule_one,
        life.time_passes,
        life.look,
        life.look,
        life.a_worker_answers,
        life.an_executor_ends_a_plan,
        life.somebody_cancels,
        life.a_world_dies,
    ]

    for _ in range(120):
        life.chance.choice(happenings)()
    life.settle()

    assert {state for state, _ in life.states().values()} == {PlanState.STOPPED}
    assert len(life.planned) == len(set(life.planned)), "each is planned once at most"
    assert {life.states()[id_][1] for id_ in life.cancelled} <= {Result.CANCELLED}
    assert life.schedule.strays() == {}
    assert life.store.count_execution_plans({"delayed": True}) == 0
    coordinator = life.worlds[0].coordinator
    assert coordinator.find_locks(class_name="PlanningLock") == []
    assert len(coordinator.find_locks(class_name="DelayedExecutorLock")) == 1
