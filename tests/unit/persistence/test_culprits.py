"""Finding out whose row was not what the turn took it for."""

from __future__ import annotations

from dynflow_mp.model.states import StepState
from dynflow_mp.model.writes import MarkRunning, MoveStep, ResetStep, SaveOutcome, UnmarkRunning
from dynflow_mp.persistence.culprits import Step, StepWrite
from dynflow_mp.persistence.culprits import culprits as found_guilty


def culprits(before: dict[Step, tuple[str, int]], *writes: StepWrite) -> set[str]:
    return found_guilty(
        list(writes), lambda wanted: {step: before[step] for step in wanted if step in before}
    )


def mark(plan_id: str, from_state: StepState = StepState.PENDING, attempt: int = 1) -> MarkRunning:
    return MarkRunning(plan_id, 1, 3, from_state, attempt, 0)


def outcome(plan_id: str, state: StepState = StepState.SUCCESS, attempt: int = 1) -> SaveOutcome:
    return SaveOutcome(
        plan_id, 1, 3, 2, StepState.RUNNING, attempt, state, 0, 0.0, 0.0, 1.0, 1.0, None, None, None
    )


def test_rows_that_fit_blame_nobody():
    before = {("a", 3): ("pending", 0), ("b", 3): ("running", 1)}

    assert culprits(before, mark("a"), outcome("b")) == set()


def test_another_state_another_attempt_or_no_row_at_all_is_blamed():
    before = {("a", 3): ("running", 1), ("b", 3): ("pending", 4)}

    assert culprits(before, mark("a"), mark("b"), mark("c")) == {"a", "b", "c"}


def test_a_steps_writes_are_followed_one_after_the_other():
    before = {("a", 3): ("running", 1)}

    assert culprits(before, outcome("a", StepState.SUSPENDED), mark("a", StepState.SUSPENDED, 2)) == set()
    assert culprits(before, outcome("a", StepState.SUSPENDED), mark("a", StepState.ERROR, 2)) == {"a"}


def test_steps_sent_back_and_reset_are_followed_too():
    before = {("a", 3): ("running", 1), ("b", 3): ("success", 1)}

    assert culprits(before, UnmarkRunning("a", 1, 3, StepState.PENDING, 1), mark("a")) == set()
    assert culprits(before, ResetStep("b", 1, 3), mark("b", attempt=2)) == set()
    assert culprits(before, ResetStep("a", 1, 3)) == {"a"}
    assert culprits(before, UnmarkRunning("b", 1, 3, StepState.PENDING, 1)) == {"b"}


def test_steps_that_move_are_followed_too():
    before = {("a", 3): ("running", 1)}
    failed = outcome("a", StepState.ERROR)
    again = MoveStep("a", 1, 3, StepState.ERROR, 1, StepState.PENDING, 1)

    assert culprits(before, failed, again, mark("a", attempt=2)) == set()
    assert culprits(before, again) == {"a"}
    assert culprits(before, failed, again._replace(from_attempts=2)) == {"a"}
