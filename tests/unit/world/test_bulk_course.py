"""Which plans can have it done, what counts as failed, and when it is enough."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynflow_mp.errors import (
    AlreadyRunning,
    BadArgument,
    DynflowError,
    NoExecutor,
    NotCancellable,
    PersistenceError,
    PlanStopped,
)
from dynflow_mp.model.states import PlanState, Result
from dynflow_mp.world.bulk_course import (
    SKIPPED,
    SUCCEEDED,
    BulkPreview,
    Course,
    Deed,
    End,
    deed_of,
    end_of_refused,
    end_of_resumed,
    preview,
    why_not,
)


class Stands(NamedTuple):
    """How a plan stands."""

    state: PlanState = PlanState.PAUSED
    result: Result = Result.ERROR
    owner_id: str | None = None
    requested_at: int | None = None


PAUSED = Stands()


@pytest.mark.parametrize("deed", list(Deed))
def test_to_a_plan_that_is_not_there_or_has_stopped_nothing_can_be_done(deed: Deed) -> None:
    assert why_not(deed, None) == "is not stored"
    assert why_not(deed, Stands(PlanState.STOPPED)) == "is stopped"


@pytest.mark.parametrize("deed", [Deed.RESUME, Deed.SKIP_AND_RESUME])
def test_only_a_paused_plan_that_nobody_runs_is_resumed(deed: Deed) -> None:
    assert why_not(deed, PAUSED) is None
    assert why_not(deed, Stands(PlanState.PLANNED, Result.PENDING)) == "is planned, not paused"
    assert why_not(deed, Stands(PlanState.RUNNING, owner_id="x")) == "is running"
    assert why_not(deed, PAUSED._replace(owner_id="x")) == "is running"
    assert why_not(deed, PAUSED._replace(requested_at=7)) == "is resumed already, and waits for an executor"


def test_a_plan_without_a_failed_step_has_nothing_to_skip() -> None:
    assert why_not(Deed.SKIP_AND_RESUME, Stands(result=Result.PENDING)) == "has no failed step"
    assert why_not(Deed.RESUME, Stands(result=Result.PENDING)) is None


def test_only_what_runs_or_waits_for_its_time_is_cancelled() -> None:
    assert why_not(Deed.CANCEL, Stands(PlanState.RUNNING, owner_id="x")) is None
    assert why_not(Deed.CANCEL, Stands(PlanState.SCHEDULED)) is None
    assert why_not(Deed.CANCEL, PAUSED) == "is paused: nothing of it can be cancelled"


@given(st.sampled_from([state for state in PlanState if state is not PlanState.STOPPED]))
def test_whatever_has_not_stopped_is_halted(state: PlanState) -> None:
    assert why_not(Deed.HALT, Stands(state)) is None


def test_a_preview_counts_reasons() -> None:
    stands = {"a": PAUSED, "b": PAUSED, "c": Stands(PlanState.STOPPED), "d": Stands(PlanState.STOPPED)}

    told = preview(Deed.RESUME, ["a", "b", "c", "d", "e"], stands)

    assert told == BulkPreview(5, 2, {"is stopped": 2, "is not stored": 1})


def test_a_word_that_is_no_deed_is_refused() -> None:
    assert deed_of("resume") is Deed.RESUME
    for word in ("delete", None, 3):
        with pytest.raises(BadArgument, match="must be one of resume, cancel, skip_and_resume, halt"):
            deed_of(word)


@pytest.mark.parametrize(
    ("state", "result", "error", "end"),
    [
        (PlanState.STOPPED, Result.SUCCESS, None, SUCCEEDED),
        (PlanState.STOPPED, Result.WARNING, None, SUCCEEDED),
        (PlanState.PAUSED, Result.ERROR, "no disk", End("failed", "no disk")),
        (PlanState.STOPPED, Result.ERROR, "no disk", End("failed", "no disk")),
        (PlanState.PAUSED, Result.PENDING, None, End("failed", "it is paused, its result pending")),
    ],
)
def test_a_resumed_plan_has_succeeded_or_failed(
    state: PlanState, result: Result, error: str | None, end: End
) -> None:
    assert end_of_resumed(state, result, error) == end


@pytest.mark.parametrize("error", [AlreadyRunning("x"), PlanStopped("x"), NotCancellable("x")])
def test_where_others_were_quicker_nothing_has_failed(error: DynflowError) -> None:
    assert end_of_refused(error) == SKIPPED


@pytest.mark.parametrize("error", [NoExecutor("x"), PersistenceError("x", "connection"), ValueError("x")])
def test_what_could_not_be_asked_for_has_failed(error: Exception) -> None:
    assert end_of_refused(error) == End("failed", type(error).__name__)


def run(course: Course, *ends: End) -> None:
    for end in ends:
        course.begun()
        course.ended(end)


def test_the_same_error_several_times_is_enough() -> None:
    course = Course(10, 3)

    run(course, End("failed", "no disk"), SUCCEEDED, End("failed", "no net"), End("failed", "no disk"))
    before = course.stopped
    run(course, End("failed", "no disk"))

    assert not before
    assert course.progress.stopped_because == "the same error came back 3 times: no disk"
    assert (course.progress.succeeded, course.progress.failed, course.progress.left) == (1, 4, 5)


def test_without_a_limit_it_never_is() -> None:
    course = Course(100, None)

    run(course, *[End("failed", "no disk")] * 100)

    assert course.progress.stopped_because is None


def test_the_first_reason_stands_and_after_the_end_there_is_none() -> None:
    course = Course(2, 1)
    run(course, End("failed", "no disk"))
    course.stop("it was told to")
    course.finish()
    other = Course(0, 1)
    other.finish()
    other.stop("it was told to")

    assert course.progress.stopped_because == "the same error came back 1 time: no disk"
    assert other.progress.stopped_because is None


@given(st.lists(st.sampled_from(["succeeded", "failed", "skipped", "refused", "runs on"]), max_size=30))
def test_every_plan_is_counted_exactly_once(fates: list[str]) -> None:
    course = Course(len(fates) + 2, None)
    for fate in fates:
        if fate == "refused":
            course.refused()
        else:
            course.begun()
            if fate != "runs on":
                course.ended(End(fate))

    progress = course.progress
    assert progress.total == progress.done + progress.running + progress.left
    assert (progress.left, progress.running) == (2, fates.count("runs on"))
