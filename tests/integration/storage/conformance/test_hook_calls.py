"""Hook calls are made although the database goes away in between: a living world's are nobody else's to make."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import Mock

import pytest
from stored_plans import NOW, a_plan, claim, end, plan_id

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.director.instructions import RunErrand
from dynflow_mp.director.stimuli import ErrandFinished
from dynflow_mp.errors import PersistenceError
from dynflow_mp.executor.errands import Tell
from dynflow_mp.maintenance.hook_caller import HookCaller
from dynflow_mp.model.policies import ActionPolicy
from dynflow_mp.model.states import PlanState, Result
from dynflow_mp.model.writes import NoteHooks
from dynflow_mp.persistence.hook_store import HookStore
from dynflow_mp.persistence.store import Store

AWAY = PersistenceError("the database is away", "connection")


class Calls:
    """Stands for the workers: keeps what they are to call, and says so when it was called."""

    def __init__(self) -> None:
        self.asked: list[tuple[RunErrand, Tell]] = []

    def run(self, order: RunErrand, tell: Tell) -> None:
        self.asked.append((order, tell))

    def made(self) -> list[tuple[str, int]]:
        """Those that were asked for since, which are over with this."""
        asked, self.asked = self.asked, []
        for order, tell in asked:
            tell(ErrandFinished(order.plan_id, order.errand_id, order.kind, None, None))
        return [(order.plan_id, order.errand_id) for order, _ in asked]


@pytest.fixture
def hooks(store: Store) -> HookStore:
    return HookStore(store.database)


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def caller(hooks: HookStore, coordinator: Coordinator, calls: Calls) -> HookCaller:
    return HookCaller(hooks, coordinator, calls.run, interval_s=60.0)


@pytest.fixture
def noted(store: Store, turn: Callable[..., frozenset[str]]) -> list[tuple[str, int]]:
    """Two plans, each with two changes of its state that hooks are to hear of."""
    found = []
    for number in (1, 2):
        id_ = plan_id(number)
        store.save_plan(a_plan(id_, policies={"shop.Child": ActionPolicy(hooks="running")}), requested_at=NOW)
        notes = [
            NoteHooks(id_, 1, call, ("running",), PlanState.RUNNING, Result.PENDING, NOW + call)
            for call in (7, 8)
        ]
        assert not turn(claim(id_), *notes, end(id_))
        found += [(id_, 7), (id_, 8)]
    return found


def stored(store: Store) -> list[tuple[str, int]]:
    with store.database.read() as connection:
        rows = connection.exec_driver_sql(
            "SELECT execution_plan_id, id FROM dynflow_hook_calls ORDER BY execution_plan_id, id"
        )
        return [tuple(row) for row in rows]


def all_made(caller: HookCaller, calls: Calls) -> list[tuple[str, int]]:
    """What is called from now on, in rounds that go well."""
    made = []
    for _ in range(4):
        caller.round()
        made += calls.made()
    caller.round()
    return made


def failing_once(monkeypatch: pytest.MonkeyPatch, hooks: HookStore, name: str, after: bool = False) -> None:
    """The database goes away in this one call: before anything is done, or ``after`` it was."""
    do, left = getattr(hooks, name), [AWAY]

    def once(*args: object, **options: object) -> object:
        result = do(*args, **options) if after or not left else None
        if left:
            raise left.pop()
        return result

    monkeypatch.setattr(hooks, name, Mock(side_effect=once))


def test_each_is_called_once_those_of_one_plan_in_their_order(
    caller: HookCaller, calls: Calls, noted: list[tuple[str, int]], store: Store
) -> None:
    made = all_made(caller, calls)

    assert sorted(made) == noted
    assert [call for plan, call in made if plan == plan_id(1)] == [7, 8]
    assert stored(store) == []


@pytest.mark.parametrize(
    ("name", "after"),
    [("take", False), ("take", True), ("brief", False), ("forget", False), ("forget", True)],
)
def test_none_is_left_by_a_round_in_which_the_database_went_away(
    caller: HookCaller,
    calls: Calls,
    noted: list[tuple[str, int]],
    hooks: HookStore,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    after: bool,
) -> None:
    failing_once(monkeypatch, hooks, name, after)
    made = []

    def until_it_is_away() -> None:
        for _ in range(3):
            caller.round()
            made.extend(calls.made())

    with pytest.raises(PersistenceError):
        until_it_is_away()
    made += all_made(caller, calls)

    assert sorted(made) == noted
    assert stored(store) == []
