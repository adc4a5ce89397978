"""What an executor has done is counted: calls of steps, plans that leave, transactions, messages."""

from __future__ import annotations

from dynflow_mp.executor.counts import MOST_CLASSES, Counts
from dynflow_mp.model.messages import Envelope, Ping, Pong
from dynflow_mp.model.states import Phase, PlanState, Result
from dynflow_mp.model.throughput import OTHER, Throughput
from dynflow_mp.model.writes import SavePlan


def save(plan_id: str, state: PlanState, result: Result, *, handed_over: bool = False) -> SavePlan:
    return SavePlan(plan_id, 1, state, result, (), None, 0.0, 0.0, keep_requested=handed_over)


def told(counts: Counts) -> Throughput:
    return counts.told({})


def test_calls_are_counted_by_class_phase_and_state_with_their_durations() -> None:
    counts = Counts()
    for state, seconds in (("success", 0.002), ("suspended", 0.2), ("success", 40.0), ("error", None)):
        counts.step("shop.Order", Phase.RUN, state, seconds)
    counts.step("shop.Order", Phase.FINALIZE, "success", 0.001)

    run, finalize = told(counts).steps

    assert run[:3] == ("shop.Order", "run", {"success": 2, "suspended": 1, "error": 1})
    assert sum(run.durations.counts) == 3  # nobody knows how long the one that died took
    assert run.durations.total == 40.202
    assert run.durations.counts[run.durations.bounds.index(0.005)] == 1
    assert finalize.durations.counts[0] == 1  # a bound belongs to what is below it


def test_classes_beyond_the_first_are_counted_together_and_no_count_ever_falls() -> None:
    counts = Counts()
    for number in range(MOST_CLASSES + 10):
        counts.step(f"shop.Order{number}", Phase.RUN, "success", 0.1)
    counts.step("shop.Order0", Phase.RUN, "success", 0.1)

    steps = {one.action_class: one.states["success"] for one in told(counts).steps}

    assert len(steps) == MOST_CLASSES + 1
    assert (steps["shop.Order0"], steps[OTHER]) == (2, 10)


def test_plans_count_once_it_is_stored_that_they_have_stopped() -> None:
    counts = Counts()
    counts.leaves("shop.Order", save("a", PlanState.STOPPED, Result.SUCCESS))
    assert told(counts).plans == ()

    counts.leaves("shop.Order", save("b", PlanState.PAUSED, Result.ERROR))
    counts.leaves("shop.Order", save("c", PlanState.STOPPED, Result.SUCCESS))
    counts.committed(0.01, 7, {"c"})
    counts.committed(0.01, 1, ())

    (plans,) = told(counts).plans
    assert (plans.results, plans.pauses) == ({"success": 1}, 1)
    assert told(counts).lost_plans == 1


def test_a_plan_that_is_handed_over_has_neither_stopped_nor_paused() -> None:
    counts = Counts()
    counts.leaves("shop.Order", save("a", PlanState.PAUSED, Result.PENDING, handed_over=True))
    counts.committed(0.01, 1, ())

    assert told(counts).plans == ()


def test_classes_of_plans_are_limited_too() -> None:
    counts = Counts()
    for number in range(MOST_CLASSES + 5):
        counts.leaves(f"shop.Order{number}", save(str(number), PlanState.STOPPED, Result.SUCCESS))
    counts.committed(0.01, 1, ())

    plans = {one.action_class: one.results["success"] for one in told(counts).plans}

    assert len(plans) == MOST_CLASSES + 1
    assert plans[OTHER] == 5


def test_transactions_and_messages_are_counted() -> None:
    counts = Counts()
    counts.committed(0.02, 12, ())
    counts.heard(Envelope("a", "b", "1", Ping()))
    counts.said(Envelope("b", "a", "1", Pong()))

    done = told(counts)

    assert (done.commits.total, done.writes.total) == (0.02, 12)
    assert done.messages == {("in", "Ping"): 1, ("out", "Pong"): 1}


def test_all_of_it_survives_the_way() -> None:
    counts = Counts()
    counts.step("shop.Order", Phase.RUN, "success", 0.002)
    counts.leaves("shop.Order", save("a", PlanState.STOPPED, Result.SUCCESS))
    counts.committed(0.02, 12, ())
    counts.heard(Envelope("a", "b", "1", Ping()))

    assert Throughput.from_data(told(counts).to_data()) == told(counts)
