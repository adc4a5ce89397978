"""Values come back as they went in, one by one and many at once, whatever a database makes of its types."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from stored_plans import NOW, PLAN, WORLD, a_plan, claim, mark, outcome, plan_id, run_step

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import Lock, Record, owner_of_world
from dynflow_mp.errors import DataError
from dynflow_mp.model.states import StepState
from dynflow_mp.model.writes import RecordEvent
from dynflow_mp.persistence.store import Store

Turn = Callable[..., frozenset[str]]

EVERY_BYTE = bytes(range(256)) + b"%s %(plan)s \\' \" ; -- \x00"
FRACTIONS = (0.1 + 0.2, 1e-9, 1e22, 123456789.12345679, 2.5e-310, 0.0)


@pytest.mark.parametrize("number", [1, 3, 30])
def test_outcomes_come_back_as_they_went_in(store: Store, turn: Turn, number: int):
    store.save_plan(a_plan(run_steps=number))
    turn(claim(), *(mark(run_step(position)) for position in range(number)))

    given = [
        outcome(
            run_step(position),
            state=StepState.ERROR if position % 3 == 1 else StepState.SUCCESS,
            ended_at=2**62 + position,
            execution_time=FRACTIONS[position % len(FRACTIONS)],
            real_time=position,
            progress_done=1,
            progress_weight=None if position % 2 else 7.25,
            output=EVERY_BYTE + bytes([position]) if position % 4 == 0 else None,
            input=EVERY_BYTE if position % 5 == 0 else None,
            error=EVERY_BYTE if position % 3 == 1 else None,
        )
        for position in range(number)
    ]
    turn(*given)

    for write in given:
        (step,) = store.load_steps(PLAN, [write.step_id])
        (action,) = store.load_actions(PLAN, [write.action_id])
        assert step.state == write.state
        assert (step.error, step.ended_at) == (write.error, write.ended_at)
        assert (step.execution_time, step.real_time) == (write.execution_time, write.real_time)
        assert (step.progress_done, step.progress_weight) == (1.0, write.progress_weight or 2.0)
        assert action.output == write.output
        assert write.input is None or action.input == write.input


def test_payloads_of_several_megabytes_fit_into_a_turn(store: Store, turn: Turn):
    store.save_plan(a_plan(run_steps=6))
    steps = [run_step(position) for position in range(6)]
    turn(claim(), *(mark(step) for step in steps))
    large = EVERY_BYTE * (4 * 2**20 // len(EVERY_BYTE))

    turn(*(outcome(step, output=large + bytes([step]), input=large) for step in steps))

    rows = store.load_payloads(PLAN, range(2, 8))
    assert [row.output == large + bytes([step]) for row, step in zip(rows, steps, strict=True)] == [True] * 6
    assert all(row.input == large for row in rows)


def test_names_that_differ_in_case_or_accents_are_different(coordinator: Coordinator, store: Store):
    names = ["door", "Door", "dóor", "døor", "🚪", "do%r", "do_r", "do\\r", "do'r"]

    for name in names:
        coordinator.acquire(Lock("Mutex", name, owner_of_world(WORLD)))
    for number, name in enumerate(names, 1):
        store.save_plan(a_plan(plan_id(number), run_steps=0, label=name))

    for number, name in enumerate(names, 1):
        assert [lock.id for lock in coordinator.find_locks(class_name="Mutex", id=name)] == [name]
        assert [row.id for row in store.find_execution_plans({"label": name})] == [plan_id(number)]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (Record("Counter", "visits "), "ends with a space, which MariaDB and MySQL do not compare"),
        (Record("Counter ", "visits"), "ends with a space"),
        (Lock("Mutex", "do\0r", owner_of_world(WORLD)), "has a NUL in it, which PostgreSQL does not store"),
    ],
)
def test_names_that_not_every_database_takes_are_refused(
    coordinator: Coordinator, record: Record | Lock, reason: str
):
    with pytest.raises(DataError, match=reason):
        coordinator.create_record(record)


def test_many_events_are_recorded_and_forgotten_at_once(store: Store, turn: Turn):
    store.save_plan(a_plan())
    events = [
        RecordEvent(PLAN, 1, 3, f"c-{n}", EVERY_BYTE, None, NOW if n % 2 else None, NOW + n)
        for n in range(12)
    ]

    turn(claim(), *events)
    turn(*events)

    stored = store.load_skeleton(PLAN).events
    assert sorted(event.id for event in stored) == sorted(event.id for event in events)
    assert all(event.data == EVERY_BYTE for event in stored)
