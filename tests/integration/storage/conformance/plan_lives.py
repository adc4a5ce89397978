"""The whole life of a plan as the engine writes it, every kind of write transaction in it, and what it leaves.

Two lives of the same steps leave the same rows, whatever happened to their transactions on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, select
from stored_plans import NOW, WORLD, a_plan, claim, end, mark, outcome

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import Lock, Record, WorldRecord, owner_of_world
from dynflow_mp.executor.ledger import Ledger
from dynflow_mp.model.codec import encode
from dynflow_mp.model.flows import Concurrence
from dynflow_mp.model.flows import Sequence as SequenceFlow
from dynflow_mp.model.planned_codec import plan_to_bytes
from dynflow_mp.model.plans import DelayRecord, PlannedAction, PlannedPlan, PlannedStep
from dynflow_mp.model.states import Phase, PlanState, Result, StepState
from dynflow_mp.model.work import OutputChunk
from dynflow_mp.model.writes import (
    AddChunks,
    ForgetEvents,
    MarkEventsTaken,
    NoteHooks,
    PostEvent,
    RecordEvent,
    RequestPlan,
    ResetStep,
    StorePlan,
    UnmarkRunning,
    Write,
)
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.hook_store import HookStore
from dynflow_mp.persistence.posted_events import PostedEvents
from dynflow_mp.persistence.schedule import Schedule
from dynflow_mp.persistence.store import Store
from dynflow_mp.persistence.tables import metadata

PATIENCE_S = 60.0
_NOT_COMPARED = {"created_at", "recorded_at", "lease", "ended_at", "requested_at", "history", "noted_at"}


def sub_plan_of(id_: str) -> str:
    return id_.replace("-8000-", "-8001-")


def scheduled_of(id_: str) -> str:
    return id_.replace("-8000-", "-8002-")


def turns(id_: str) -> Iterator[Sequence[Write]]:
    """Every kind of write, and steps that are written twice in one turn."""
    yield claim(id_), mark(3, id_), mark(5, id_)
    yield (
        outcome(3, id_, output=b"\x81", input=b"\x82"),
        outcome(5, id_, state=StepState.SUSPENDED),
        mark(5, id_, attempt=2, from_state=StepState.SUSPENDED),
        mark(7, id_),
        AddChunks(id_, 1, 2, 0, (OutputChunk(b"\xa1x", None, NOW, 1), OutputChunk(b"\xa1y", None, NOW, 2))),
        StorePlan(id_, 1, plan_to_bytes(a_plan(sub_plan_of(id_))), None),
        NoteHooks(id_, 1, 7, ("running",), PlanState.RUNNING, Result.PENDING, NOW),
    )
    yield (
        UnmarkRunning(id_, 1, 7, StepState.PENDING, 1),
        RecordEvent(id_, 1, 5, f"{id_}-1", b"\xc0", "c", None, NOW),
        RecordEvent(id_, 1, 5, f"{id_}-2", b"\xc0", "c", None, NOW + 1),
        RequestPlan(id_, 1, sub_plan_of(id_), NOW),
    )
    yield (
        mark(7, id_),
        outcome(5, id_, attempt=2, state=StepState.ERROR, error=b"\x90"),
        MarkEventsTaken(id_, 1, (f"{id_}-1",), NOW),
        ForgetEvents(id_, 1, (f"{id_}-2",)),
        PostEvent(id_, 1, f"{id_}:1:1", WORLD, "elsewhere", 3, b"\xc0", True, None, NOW),
    )
    yield (
        outcome(7, id_, output=b"\x83"),
        end(id_, state=PlanState.PAUSED, result=Result.ERROR, keep_requested=True),
    )
    yield claim(id_, epoch_read=1), ResetStep(id_, 2, 5), mark(5, id_, epoch=2, attempt=3)
    yield outcome(5, id_, epoch=2, attempt=3), mark(8, id_, epoch=2)
    yield outcome(8, id_, epoch=2, action_id=2), end(id_, epoch=2)


def live(id_: str, store: Store, coordinator: Coordinator) -> None:
    """Planned, asked for, run in two attempts to its end."""
    ledger = Ledger(store, coordinator, lambda: None)
    store.save_plan(a_plan(id_, finalize=True), fence=coordinator.fence)
    store.request(id_, NOW, coordinator.fence)
    for writes in turns(id_):
        assert ledger.write(writes, PATIENCE_S) == frozenset()


def live_scheduled(id_: str, store: Store, coordinator: Coordinator) -> None:
    """It waits for its time and is planned then."""
    schedule, fence = Schedule(store.database), coordinator.fence
    record = DelayRecord(NOW, None, False, b"\x92\xc4\x01\x90\xc4\x01\x80")
    schedule.save(_scheduled(id_), record, [], NOW, fence)
    schedule.set_frozen(id_, True, fence=fence)
    schedule.set_frozen(id_, False, fence=fence)
    assert schedule.begin_planning(id_, fence, _nothing)
    assert schedule.give_back(id_, fence, _nothing)
    assert schedule.begin_planning(id_, fence, _nothing)
    assert schedule.store_planned(a_plan(id_), NOW, fence, _nothing)


def live_told_of(id_: str, store: Store, coordinator: Coordinator) -> None:
    """Hooks are called for it, and it sends an event to another plan."""
    fence = coordinator.fence
    store.save_plan(a_plan(id_), requested_at=NOW, fence=fence)
    noted = NoteHooks(id_, 1, 7, ("running",), PlanState.RUNNING, Result.PENDING, NOW)
    posted = PostEvent(id_, 1, f"{id_}:1:1", WORLD, "elsewhere", 3, b"\xc0", True, None, NOW)
    Ledger(store, coordinator, lambda: None).write([claim(id_), noted, posted, end(id_)], PATIENCE_S)
    hooks = HookStore(store.database)
    (call,) = hooks.take(WORLD, [WORLD], 100, fence)
    hooks.give_back(WORLD, fence)
    hooks.forget(call, fence)
    posts = PostedEvents(store.database)
    (post,) = posts.take("world-2", ["world-2"], 100, fence)
    posts.forget([post.id], fence)


def live_agreed_on(id_: str, store: Store, coordinator: Coordinator) -> None:
    """No plan, but what worlds agree on under its name."""
    lock = Lock("Mutex", f"door {id_}", owner_of_world(WORLD))
    coordinator.acquire(lock)
    coordinator.release(lock)
    coordinator.create_record(Record("Counter", id_, {"value": 1}))
    coordinator.update_record(Record("Counter", id_, {"value": 2}))
    coordinator.register_world(WorldRecord(f"w {id_}", executor=True))
    coordinator.set_world_state(f"w {id_}", "dead")


def live_changed_by_hand(id_: str, store: Store, coordinator: Coordinator) -> None:
    """An input is replaced; another plan is deleted."""
    fence = coordinator.fence
    for one in (id_, scheduled_of(id_)):
        store.save_plan(a_plan(one), fence=fence)
    store.replace_input(id_, 2, encode({"n": 9}, "input"), fence)
    store.delete_execution_plans({"id": scheduled_of(id_)}, fence=fence)
    store.give_up_orphans(fence)


LIVES = {
    "in turns": live,
    "scheduled": live_scheduled,
    "told of": live_told_of,
    "agreed on": live_agreed_on,
    "by hand": live_changed_by_hand,
}


def _nothing(connection: Connection) -> None:
    """No lock to take, or to give up."""


def _scheduled(id_: str) -> PlannedPlan:
    return a_plan(
        id_,
        run_steps=0,
        state=PlanState.SCHEDULED,
        result=Result.PENDING,
        run_flow=Concurrence(),
        finalize_flow=SequenceFlow(),
        actions=[PlannedAction(1, "shop.Root", 1, None, None, None, None, encode({"a": 1}, "input"), None)],
        steps=[PlannedStep(1, Phase.PLAN, StepState.PENDING, 1, "shop.Root", "slow", 0.0)],
        dependencies=[],
    )


def stored(database: Database, id_: str) -> dict[str, list[Any]]:
    """All rows that name the plan, or one of those that go with it, as if its id were always the same."""
    names = {id_: "PLAN", sub_plan_of(id_): "SUB", scheduled_of(id_): "SCHEDULED"}
    found: dict[str, list[Any]] = {}
    with database.read() as connection:
        for table in metadata.sorted_tables:
            rows = [dict(row) for row in connection.execute(select(table)).mappings()]
            kept = [_named(row, names) for row in rows if _names_any(row, names)]
            found[table.name] = sorted(kept, key=repr)
    return found


def _names_any(row: dict[str, Any], names: dict[str, str]) -> bool:
    return any(isinstance(value, str) and id_ in value for value in row.values() for id_ in names)


def _named(row: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    shown = {}
    for column, value in row.items():
        if column in _NOT_COMPARED:
            continue
        if isinstance(value, str):
            for id_, name in names.items():
                value = value.replace(id_, name)
        shown[column] = value
    return shown
