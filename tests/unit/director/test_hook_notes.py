"""Hooks are noted in the turn that stores what they are about, under numbers that grow with the epoch."""

from plans_for_tests import PLAN, a_skeleton, failure, only, success

from dynflow_mp.director.abandoned import settle
from dynflow_mp.director.protocol import Asker
from dynflow_mp.director.stimuli import DrainEnded
from dynflow_mp.model.flows import Sequence
from dynflow_mp.model.policies import ActionPolicy
from dynflow_mp.model.states import PlanState, StepState
from dynflow_mp.model.writes import ClaimPlan, NoteHooks, SavePlan

ALL = {"A": ActionPolicy(hooks="running paused stopped success failure")}


def noted(driver):
    return [(note.id, note.kinds, note.state, note.result) for note in only(NoteHooks, driver.said)]


def test_a_plan_that_is_claimed_and_stops_notes_both(driver):
    claim, *_ = only(ClaimPlan, driver.start(a_skeleton(Sequence([2]), policies=ALL)))
    driver.run(success(2))

    assert claim.plan_id == PLAN
    assert noted(driver) == [
        (4, ("running",), "running", "pending"),
        (5, ("stopped", "success"), "stopped", "success"),
    ]
    last = driver.said.index(only(NoteHooks, driver.said)[-1])
    assert isinstance(driver.said[last - 1], SavePlan)


def test_a_resumed_plan_notes_under_higher_numbers(driver):
    skeleton = a_skeleton(
        Sequence([2]),
        states={2: StepState.ERROR},
        policies=ALL,
        state=PlanState.PAUSED,
        lock_epoch=1,
    )
    driver.start(skeleton)
    driver.run(failure(2))

    assert noted(driver) == [(8, ("running",), "running", "pending"), (9, ("paused",), "paused", "error")]


def test_only_what_classes_ask_for_is_noted(driver):
    driver.start(
        a_skeleton(Sequence([2]), policies={"A": ActionPolicy(hooks="failure"), "B": ActionPolicy()})
    )
    driver.run(success(2))

    assert noted(driver) == []


def test_a_plan_that_is_handed_over_is_not_paused_for_anybody(driver):
    driver.start(a_skeleton(Sequence([2]), policies=ALL))
    driver.tell(DrainEnded())

    assert [kinds for _, kinds, _, _ in noted(driver)] == [("running",)]


def test_a_plan_whose_executor_died_notes_its_pause_under_another_number_than_its_beginning():
    dead = a_skeleton(
        Sequence([2]), states={2: StepState.RUNNING}, policies=ALL, state=PlanState.RUNNING, lock_epoch=1
    )
    said = settle(dead._replace(owner_id="gone"), Asker("", ""), 9)

    (note,) = only(NoteHooks, said)
    assert (note.id, note.kinds) == (5, ("paused",))
