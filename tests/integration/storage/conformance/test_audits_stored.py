"""What people did, on a real database: written with the deed, or not at all; kept with its plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import event
from stored_plans import NOW, PLAN, WORLD, a_plan, claim, end, mark, outcome, plan_id, run_step

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import WorldRecord
from dynflow_mp.errors import BadArgument, NotSkippable, QueryError
from dynflow_mp.maintenance.amendments import Amendments
from dynflow_mp.maintenance.recovery import Recovery
from dynflow_mp.maintenance.unowned import UnownedPlans
from dynflow_mp.model.audits import Audit
from dynflow_mp.model.plans import DelayRecord
from dynflow_mp.model.states import PlanState, Result, StepState
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.persistence.backup import read_back
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.retries import repeated
from dynflow_mp.persistence.schedule import Schedule
from dynflow_mp.persistence.store import Store
from dynflow_mp.reading.audits import noted
from dynflow_mp.reading.library import Library

Turn = Callable[..., frozenset[str]]
STEP = run_step(0)


@pytest.fixture
def library(store: Store, coordinator: Coordinator) -> Library:
    return Library(store, coordinator.fence, world_id=WORLD)


@pytest.fixture
def amendments(store: Store, coordinator: Coordinator) -> Amendments:
    return Amendments(store, coordinator, 1_000_000)


@pytest.fixture
def paused(store: Store, turn: Turn) -> str:
    """A plan that is paused by the error of its first step."""
    store.save_plan(a_plan())
    turn(claim(), mark(STEP))
    error = ErrorRecord("OSError", "no disk").to_bytes()
    turn(
        outcome(STEP, state=StepState.ERROR, error=error),
        end(state=PlanState.PAUSED, result=Result.ERROR, ended_at=None),
    )
    return PLAN


def an_audit(deed: str, plan: str | None = PLAN, by: str = "ann") -> Audit:
    audit = noted(by, plan, deed, WORLD)
    assert audit is not None
    return audit


def deeds(store: Store, plan: str | None = None) -> list[tuple[str | None, str, str]]:
    found = store.latest_audits(plan, None, None, None, 100)
    return [(one.plan_id, one.deed, one.by) for one in reversed(found)]


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    statements: list[str] = []

    def hear(_c: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", hear)
    yield statements
    event.remove(database.engine, "before_cursor_execute", hear)


# -- with the deed, or not at all ------------------------------------------------------------------


def test_a_resumed_plan_tells_who_resumed_it(store: Store, coordinator: Coordinator, paused: str) -> None:
    store.request(paused, NOW, coordinator.fence, an_audit("execute"))

    assert deeds(store) == [(PLAN, "resume", "ann")]


def test_a_planned_plan_tells_who_had_it_executed(store: Store, coordinator: Coordinator) -> None:
    store.save_plan(a_plan())

    store.request(PLAN, NOW, coordinator.fence, an_audit("execute"))

    assert deeds(store) == [(PLAN, "execute", "ann")]


@pytest.mark.parametrize("state", [PlanState.STOPPED, PlanState.RUNNING])
def test_what_could_not_be_resumed_was_not(store: Store, coordinator: Coordinator, state: PlanState) -> None:
    store.save_plan(a_plan(state=state))

    store.request(PLAN, NOW, coordinator.fence, an_audit("execute"))

    assert deeds(store) == []


def test_who_names_nobody_pays_nothing(store: Store, database: Database, coordinator: Coordinator) -> None:
    """A request is its fence, its change and a look, as it was before there were audits."""
    store.save_plan(a_plan())
    store.save_plan(a_plan(plan_id(2)))
    with counted(database) as without:
        store.request(PLAN, NOW, coordinator.fence)

    with counted(database) as with_one:
        store.request(plan_id(2), NOW, coordinator.fence, an_audit("execute", plan_id(2)))

    written = [one for one in without if "dynflow_audits" in one]
    assert (written, len(without), len(with_one)) == ([], 3, 4)


def test_a_skipped_step_and_an_edited_input_tell_who_did_it(
    store: Store, amendments: Amendments, library: Library, paused: str
) -> None:
    amendments.edit_input(paused, STEP, {"n": 7}, False, an_audit(f"edit input of step {STEP}: keys n"))
    amendments.skip(paused, STEP, an_audit(f"skip step {STEP}", by="bob"))

    history = library.load_execution_plan(paused).execution_history
    assert [(line.name, line.by) for line in history][-2:] == [
        (f"edit input of step {STEP}: keys n", "ann"),
        (f"skip step {STEP}", "bob"),
    ]
    assert [line.name for line in history].count(f"edit input of step {STEP}") == 0


def test_an_edit_by_nobody_is_told_as_it_was(amendments: Amendments, library: Library, paused: str) -> None:
    amendments.edit_input(paused, STEP, {"n": 7}, False)

    history = library.load_execution_plan(paused).execution_history
    assert (history[-1].name, history[-1].by) == (f"edit input of step {STEP}", None)


def test_what_could_not_be_skipped_was_not(store: Store, amendments: Amendments, paused: str) -> None:
    with pytest.raises(NotSkippable):
        amendments.skip(paused, run_step(1), an_audit("skip step 5"))

    assert deeds(store) == []


def test_a_plan_that_nobody_runs_tells_who_halted_it(store: Store, coordinator: Coordinator) -> None:
    unowned = UnownedPlans(store, coordinator, lambda envelope: None, lambda world_id: None)
    store.save_plan(a_plan())

    assert unowned.halt(PLAN, an_audit("halt"))
    assert unowned.halt(PLAN, an_audit("halt", by="late")), "it is stopped already: nothing is done any more"

    assert deeds(store) == [(PLAN, "halt", "ann")]


def test_a_plan_that_somebody_runs_is_not_halted_here(
    store: Store, coordinator: Coordinator, turn: Turn
) -> None:
    unowned = UnownedPlans(store, coordinator, lambda envelope: None, lambda world_id: None)
    store.save_plan(a_plan())
    turn(claim())

    assert not unowned.halt(PLAN, an_audit("halt"))

    assert deeds(store) == []


def test_a_scheduled_plan_tells_who_cancelled_it(
    store: Store, schedule: Schedule, coordinator: Coordinator
) -> None:
    plan = a_plan(state=PlanState.SCHEDULED, run_steps=0)
    schedule.save(plan, DelayRecord(None, None, False, b""), [], NOW)
    audit = an_audit("cancel")

    for _ in range(2):
        schedule.cancel(
            PLAN, WORLD, NOW, coordinator.fence, lambda connection: store.add_audit_within(connection, audit)
        )

    assert deeds(store) == [(PLAN, "cancel", "ann")]


def test_a_world_that_was_declared_dead_tells_who_did_it(
    store: Store, database: Database, coordinator: Coordinator
) -> None:
    Coordinator(database, "other").register_world(WorldRecord("other", executor=True))
    recovery = Recovery(store, coordinator, lambda envelope: None, lambda envelope: None)

    recovery.invalidate("other", audit=an_audit("invalidate world other", None))
    recovery.invalidate("other", audit=an_audit("invalidate world other", None, "late"))
    recovery.invalidate("nobody", audit=an_audit("invalidate world nobody", None))

    assert deeds(store) == [(None, "invalidate world other", "ann")]


def test_what_is_written_in_doubt_is_written_once(store: Store, coordinator: Coordinator) -> None:
    audit = an_audit("asked to halt")

    for _ in range(2):
        store.add_audit(audit, coordinator.fence)
    repeated(lambda in_doubt: store.add_audit(audit, coordinator.fence), patience_s=0)

    assert deeds(store) == [(PLAN, "asked to halt", "ann")]


# -- read ------------------------------------------------------------------------------------------


def test_the_latest_are_read_first_and_pages_go_on(library: Library, store: Store) -> None:
    for number in range(5):
        store.add_audit(an_audit(f"deed {number}", by="ann" if number % 2 else "bob"))

    first = library.audits(most=2)
    then = library.audits(most=2, before=first[-1].id)

    assert [one.deed for one in first + then] == ["deed 4", "deed 3", "deed 2", "deed 1"]
    assert [one.deed for one in library.audits(by="ann")] == ["deed 3", "deed 1"]
    assert library.audits(since=datetime(2100, 1, 1, tzinfo=UTC)) == []
    assert library.audits(plan_id(9)) == []
    assert first[0].time.tzinfo is UTC


@pytest.mark.parametrize("wrong", [{"most": 0}, {"most": 10_000}, {"since": datetime(2026, 1, 1)}])
def test_what_cannot_be_asked_is_said(library: Library, wrong: dict[str, object]) -> None:
    with pytest.raises(QueryError):
        library.audits(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_names_and_deeds_of_any_writing_come_back_as_they_were(store: Store) -> None:
    store.add_audit(an_audit("edit input of step 3: keys 名前, <script>", by="Zoë 🐙"))

    assert deeds(store) == [(PLAN, "edit input of step 3: keys 名前, <script>", "Zoë 🐙")]


# -- gone with its plan ----------------------------------------------------------------------------


def test_what_was_done_to_a_plan_goes_with_it_and_that_it_went_stays(
    store: Store, library: Library, tmp_path: Path
) -> None:
    store.save_plan(a_plan())
    store.save_plan(a_plan(plan_id(2)))
    for number in (1, 2):
        store.add_audit(an_audit("asked to halt", plan_id(number)))

    assert library.delete_execution_plans({"id": PLAN}, tmp_path, by="ann") == 1

    assert deeds(store) == [(plan_id(2), "asked to halt", "ann"), (None, "delete 1 plan", "ann")]
    (kept,) = [row for path in tmp_path.glob("*/audits.jsonl") for row in read_back(path)]
    assert (kept["execution_plan_id"], kept["deed"], kept["done_by"]) == (PLAN, "asked to halt", "ann")


def test_nothing_is_deleted_by_what_is_no_name(store: Store, library: Library) -> None:
    store.save_plan(a_plan())

    with pytest.raises(BadArgument):
        library.delete_execution_plans({"id": PLAN}, by="a\nb")

    assert library.count_execution_plans() == 1


# -- who ran a step --------------------------------------------------------------------------------


def test_a_step_keeps_the_process_that_ran_it_last(store: Store, library: Library, turn: Turn) -> None:
    store.save_plan(a_plan())
    turn(claim(), mark(STEP), mark(run_step(1)))
    turn(outcome(STEP, worker_pid=4711), outcome(run_step(1)))

    plan = library.load_execution_plan(PLAN)

    assert [plan.steps[run_step(number)].worker_pid for number in range(3)] == [4711, None, None]


def test_of_an_attempt_of_which_nobody_knows_who_ran_it_nobody_is_named(store: Store, turn: Turn) -> None:
    store.save_plan(a_plan())
    turn(claim(), mark(STEP))
    turn(outcome(STEP, state=StepState.SUSPENDED, worker_pid=4711))
    turn(mark(STEP, from_state=StepState.SUSPENDED, attempt=2))
    turn(outcome(STEP, attempt=2))

    assert store.load_steps(PLAN, [STEP])[0].worker_pid is None


def test_many_outcomes_at_once_each_keep_their_own(store: Store, turn: Turn) -> None:
    """Enough of them for the one statement that stands for many on some servers."""
    count = 12
    store.save_plan(a_plan(run_steps=count))
    turn(claim(), *(mark(run_step(number)) for number in range(count)))
    turn(
        *(
            outcome(run_step(number), worker_pid=100 + number if number % 3 else None)
            for number in range(count)
        )
    )

    found = store.load_steps(PLAN, [run_step(number) for number in range(count)])

    assert [step.worker_pid for step in found] == [100 + n if n % 3 else None for n in range(count)]
