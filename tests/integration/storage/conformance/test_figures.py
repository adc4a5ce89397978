"""Whether a plan has moved, and how many plans of which kind there are, on every database."""

from __future__ import annotations

from collections.abc import Callable

from stored_plans import NOW, a_plan, claim, mark, outcome, plan_id

from dynflow_mp.model.codec import encode_own
from dynflow_mp.model.states import Phase, PlanState, Result, StepState
from dynflow_mp.model.work import OutputChunk
from dynflow_mp.model.writes import AddChunks
from dynflow_mp.persistence.store import Store
from dynflow_mp.reading.library import Library

ONE, TWO, THREE = plan_id(1), plan_id(2), plan_id(3)
Turn = Callable[..., frozenset[str]]


def test_a_plan_that_stands_has_the_same_pulse_and_one_that_moves_another(store: Store, turn: Turn):
    store.save_plan(a_plan(ONE, run_steps=2))
    seen = [store.pulses([ONE])[ONE], store.pulses([ONE])[ONE]]
    assert seen[0] == seen[1]
    assert seen[0].state == PlanState.PLANNED
    assert dict(seen[0].steps) == {"pending": 2, "success": 3}

    for writes in ([claim(ONE), mark(3, ONE)], [outcome(3, ONE)], [mark(5, ONE)]):
        turn(*writes)
        seen.append(store.pulses([ONE])[ONE])

    assert len(set(map(repr, seen[1:]))) == 4
    assert dict(seen[-1].steps) == {"running": 1, "success": 4}
    assert [pulse.progress for pulse in seen[1:]] == [0.0, 0.0, 0.5, 0.5]


def test_steps_come_in_pages_of_one_phase_or_state(store: Store, turn: Turn):
    store.save_plan(a_plan(ONE, run_steps=5))
    turn(claim(ONE), mark(3, ONE))

    runs, total = store.step_page(ONE, Phase.RUN, None, 1, 2)
    pending, left = store.step_page(ONE, Phase.RUN, StepState.PENDING, 0, 10)

    assert ([step.id for step in runs], total) == ([7, 9], 5)
    assert ([step.id for step in pending], left) == ([5, 7, 9, 11], 4)
    assert store.step_page(TWO, None, None, 0, 10) == ([], 0)
    assert store.step_page(ONE, None, None, 9, 10) == ([], 11)


def test_what_an_action_wrote_comes_in_pages_and_the_last_of_it_first(store: Store, turn: Turn):
    store.save_plan(a_plan(ONE, run_steps=2))
    pieces = tuple(OutputChunk(encode_own(number), "log", NOW, number) for number in range(1, 8))
    turn(claim(ONE), mark(3, ONE))
    turn(AddChunks(ONE, 1, 2, 0, pieces))

    def page(start: int | None, most: int) -> tuple[list[int], int]:
        found, total = Library(store).page_of_chunks(ONE, 2, start, most)
        return [chunk.value for chunk in found], total

    assert page(None, 3) == ([5, 6, 7], 7)
    assert page(0, 3) == ([1, 2, 3], 7)
    assert page(6, 3) == ([7], 7)
    assert page(7, 3) == ([], 7)
    assert Library(store).page_of_chunks(ONE, 3) == ([], 0)


def test_pulses_of_plans_that_are_not_stored_are_left_out(store: Store):
    store.save_plan(a_plan(ONE))

    assert set(store.pulses([ONE, TWO])) == {ONE}
    assert store.pulses([]) == {}


def test_plans_are_counted_by_state_by_class_and_by_whether_somebody_waits(store: Store):
    store.save_plan(a_plan(ONE), requested_at=NOW)
    store.save_plan(a_plan(TWO, state=PlanState.PAUSED, result=Result.ERROR))
    store.save_plan(a_plan(THREE, state=PlanState.STOPPED, result=Result.SUCCESS))

    figures = store.figures(10)

    assert figures.plans == {
        ("planned", "pending"): 1,
        ("paused", "error"): 1,
        ("stopped", "success"): 1,
    }
    assert figures.open_plans == {("shop.Root", "planned"): 1, ("shop.Root", "paused"): 1}
    assert (figures.requests, figures.oldest_request) == (1, NOW)
    assert store.figures(0).open_plans == {("other", "planned"): 1, ("other", "paused"): 1}


def test_nothing_is_counted_where_nothing_is(store: Store):
    figures = store.figures(10)

    assert (figures.plans, figures.open_plans, figures.requests, figures.oldest_request) == ({}, {}, 0, None)
