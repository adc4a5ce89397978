"""A plan changed by hand while the connection is lost, and by somebody else in just that moment (G5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from failing_connections import Failures, failing_statements, lost_connection, unanswered_commits
from stored_plans import PLAN, WORLD, a_plan, claim, end, mark, outcome, plan_id, run_step

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.maintenance.amendments import Amendments
from dynflow_mp.model.audits import Audit
from dynflow_mp.model.codec import decode
from dynflow_mp.model.states import PlanState, Result, StepState
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.persistence import retries
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.store import Store
from dynflow_mp.reading.audits import noted

Turn = Callable[..., frozenset[str]]
STEP = run_step(0)
OTHER = plan_id(2)


@pytest.fixture
def amendments(store: Store, coordinator: Coordinator) -> Amendments:
    return Amendments(store, coordinator, 1_000_000)


@pytest.fixture
def two_paused(store: Store, turn: Turn) -> None:
    """Two plans alike, each paused by the error of its first step."""
    error = ErrorRecord("OSError", "no disk").to_bytes()
    for one in (PLAN, OTHER):
        store.save_plan(a_plan(one))
        turn(claim(one), mark(STEP, one))
        turn(
            outcome(STEP, one, state=StepState.ERROR, error=error),
            end(one, state=PlanState.PAUSED, result=Result.ERROR, ended_at=None),
        )


def by(author: str, deed: str) -> Audit:
    audit = noted(author, PLAN, deed, WORLD)
    assert audit is not None
    return audit


def input_of(store: Store) -> Any:
    (action,) = store.load_actions(PLAN, [store.load_skeleton(PLAN).steps.action_id(STEP)])
    return decode(action.input)


def meanwhile(monkeypatch: pytest.MonkeyPatch, deed: Callable[[], object]) -> None:
    """Somebody else does this just before the first repeat."""
    left = [deed]

    def pause(_seconds: float) -> None:
        if left:
            left.pop()()

    monkeypatch.setattr(retries, "sleep", pause)


def last_statement_of(database: Database, kind: str, deed: Callable[[], object]) -> int:
    counting = Failures(0, lost_connection(kind))
    with failing_statements(database, counting):
        deed()
    return counting.happened


@pytest.mark.usefixtures("two_paused")
def test_g5_an_edit_that_was_not_stored_is_not_taken_for_another_s_of_the_same_epoch(
    store: Store,
    amendments: Amendments,
    database: Database,
    database_kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    last = last_statement_of(
        database, database_kind, lambda: amendments.edit_input(OTHER, STEP, {"mine": 1}, False)
    )
    meanwhile(
        monkeypatch,
        lambda: amendments.edit_input(PLAN, STEP, {"theirs": 2}, False, by("bob", "edit theirs")),
    )

    with failing_statements(database, Failures(last, lost_connection(database_kind))):
        amendments.edit_input(PLAN, STEP, {"mine": 1}, False, by("ann", "edit mine"))

    found = input_of(store)
    assert (found.get("mine"), found.get("theirs")) == (1, 2)
    deeds = sorted(one.deed for one in store.latest_audits(PLAN, None, None, None, 10))
    assert deeds == ["edit mine", "edit theirs"]


@pytest.mark.usefixtures("two_paused")
def test_g5_a_skip_that_was_not_stored_is_not_taken_for_another_s_edit(
    store: Store,
    amendments: Amendments,
    database: Database,
    database_kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    last = last_statement_of(database, database_kind, lambda: amendments.skip(OTHER, STEP))
    meanwhile(monkeypatch, lambda: amendments.edit_input(PLAN, STEP, {"theirs": 2}, False))

    with failing_statements(database, Failures(last, lost_connection(database_kind))):
        skipped = amendments.skip(PLAN, STEP)

    assert STEP in skipped
    assert input_of(store)["theirs"] == 2
    assert store.load_skeleton(PLAN).steps.state(STEP) is StepState.SKIPPING


@pytest.mark.usefixtures("two_paused")
def test_g5_an_edit_whose_commit_was_not_answered_is_done_once(
    store: Store, amendments: Amendments, database: Database, database_kind: str
) -> None:
    before = store.load_skeleton(PLAN).lock_epoch
    counting = Failures(0, lost_connection(database_kind))
    with unanswered_commits(database, counting):
        amendments.edit_input(OTHER, STEP, {"mine": 1}, False)

    with unanswered_commits(database, Failures(counting.happened, lost_connection(database_kind))):
        amendments.edit_input(PLAN, STEP, {"mine": 1}, False, by("ann", "edit mine"))

    assert input_of(store)["mine"] == 1
    assert store.load_skeleton(PLAN).lock_epoch == before + 1
    assert len(store.latest_audits(PLAN, None, None, None, 10)) == 1
