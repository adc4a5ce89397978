"""Each rule of the history checker is broken by a made-up history, and by no other than the one it names."""

from __future__ import annotations

import pytest
from chaos.effects import Effect
from chaos.history import History, PlanFacts, StepFacts, doubled, violations

PLAN = "p"


def start(step, at, attempt=1, pid=1):
    return Effect(PLAN, step, attempt, pid, "start", at)


def end(step, at, attempt=1, pid=1, how="done"):
    return Effect(PLAN, step, attempt, pid, "end", at, how)


def call(step, at, attempt=1, pid=1, how="done"):
    return [start(step, at, attempt, pid), end(step, at + 5, attempt, pid, how)]


def a_plan(state="stopped", result="success", **changes):
    steps = {
        1: StepFacts("run", "success", 1),
        2: StepFacts("run", "success", 1, after=frozenset({1})),
        3: StepFacts("finalize", "success", 1),
    }
    steps.update({int(name.removeprefix("step")): step for name, step in changes.items()})
    return PlanFacts(state, result, steps)


GOOD = [*call(1, 10), *call(2, 20), *call(3, 30)]


def a_history(effects=GOOD, plan=None, **changes):
    return History(frozenset({PLAN}), {PLAN: plan or a_plan()}, effects, **changes)


def rules(history):
    return {found.rule for found in violations(history)}


def test_a_history_in_which_everything_went_well_breaks_no_rule():
    assert violations(a_history()) == []


def test_a_history_with_a_crash_that_is_recorded_breaks_no_rule():
    plan = a_plan(step2=StepFacts("run", "success", 2, frozenset({1}), frozenset({1})))
    effects = [*call(1, 10), start(2, 20), *call(2, 40, attempt=2, pid=2), *call(3, 50)]

    assert violations(a_history(effects, plan)) == []


def test_a_step_that_suspended_may_be_called_again():
    plan = a_plan(step1=StepFacts("run", "success", 2))
    effects = [*call(1, 1, how="suspended"), *call(1, 10, attempt=2), *call(2, 20), *call(3, 30)]

    assert violations(a_history(effects, plan)) == []


def test_a_finalize_phase_may_start_over():
    """Once for each failure of one of its parts; what another part had done is done again."""
    plan = a_plan(
        step3=StepFacts("finalize", "success", 1), step4=StepFacts("finalize", "success", 2, frozenset({1}))
    )
    effects = [*GOOD, start(4, 40), *call(3, 50, pid=2), *call(4, 60, attempt=2, pid=2)]

    assert violations(a_history(effects, plan)) == []
    assert rules(a_history([*effects, start(3, 70)], plan)) == {"C5"}


@pytest.mark.parametrize(
    ("rule", "history"),
    [
        ("C1", a_history()._replace(acknowledged=frozenset({PLAN, "lost"}))),
        ("C2", a_history(plan=a_plan("running", "pending"))),
        ("C2", a_history(plan=a_plan("paused", "pending"))),
        ("C3", a_history([*GOOD, *call(1, 50, attempt=2)])),
        (  # the attempt that was given up begins after the next has succeeded
            "C3",
            a_history(
                [*call(1, 10, attempt=2), *call(2, 20), *call(3, 30), *call(1, 50)],
                a_plan(step1=StepFacts("run", "success", 2, frozenset({1}))),
            ),
        ),
        ("C4", a_history([*GOOD, Effect(PLAN, 1, 1, 2, "overlap", 11)])),
        ("C5", a_history([*GOOD, start(3, 60)])),
        ("C5", a_history([*GOOD, start(1, 60, attempt=2)])),
        ("C5", a_history([*GOOD, Effect(PLAN, 9, 1, 1, "start", 70)])),
        (
            "C5",
            a_history(
                [start(1, 5), *call(1, 10, attempt=2), *call(2, 20), *call(3, 30)],
                a_plan(step1=StepFacts("run", "success", 2)),
            ),
        ),
        ("C6", a_history([*call(1, 10), start(2, 20), *call(3, 30)])),
        ("C6", a_history([*call(1, 10), *call(2, 20, how="suspended"), *call(3, 30)])),
        ("C7", a_history([*call(2, 5), *call(1, 10), *call(3, 30)])),
        ("C8", a_history(rows_left=["ExecutionLock of p"])),
        ("C9", a_history(things_left=["zombie 17"])),
        ("C10", a_history([*GOOD, Effect(PLAN, 1, 1, 1, "entry", 12, "rent -40")])),
    ],
)
def test_a_rule_that_is_broken_is_named(rule, history):
    assert rule in rules(history)


def test_two_calls_of_one_step_whose_times_cross_are_seen_without_the_lock():
    plan = a_plan(step1=StepFacts("run", "success", 2, frozenset({1})))
    effects = [start(1, 10), start(1, 12, attempt=2, pid=2), end(1, 14, attempt=2, pid=2)]
    effects += [end(1, 20), *call(2, 30), *call(3, 40)]

    assert rules(a_history(effects, plan)) == {"C4"}


def test_a_history_that_breaks_one_rule_breaks_no_other():
    assert rules(a_history(things_left=["zombie 17"])) == {"C9"}
    assert rules(a_history([*GOOD, Effect(PLAN, 1, 1, 2, "overlap", 11)])) == {"C4"}


def test_entries_that_a_crash_had_made_twice_count_once():
    moves = [Effect(PLAN, 1, 1, 1, "entry", 12, "rent -40"), Effect(PLAN, 1, 2, 2, "entry", 13, "rent -40")]
    moves += [Effect(PLAN, 2, 1, 1, "entry", 22, "savings 40")]

    assert violations(a_history([*GOOD, *moves])) == []


def test_what_is_doubled_is_counted_by_place():
    assert doubled(a_history()) == 0
    assert doubled(a_history([*GOOD, start(3, 60), Effect(PLAN, 1, 1, 2, "overlap", 11)])) == 2
