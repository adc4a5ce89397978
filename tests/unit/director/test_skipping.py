"""What goes with a skipped step, and what people may change about a paused plan."""

import pytest
from plans_for_tests import PLAN, WORLD, a_skeleton

from dynflow_mp.director.amending import edit, skip
from dynflow_mp.director.skipping import skipped_with
from dynflow_mp.errors import AlreadyRunning, NotEditable, NotSkippable
from dynflow_mp.model.flows import Concurrence, Sequence
from dynflow_mp.model.plans import StepKind, StepTable
from dynflow_mp.model.states import PlanState, Result, StepState
from dynflow_mp.model.writes import ClaimPlan, MoveStep, SavePlan

S = StepState


def issues(states=None, **changes):
    """Two issues: Triage 4 and 13, Update 7 and 16, Notify 9 and 18; finalize 5, 10, 14, 19, and the root's 20.

    Update and Notify need their Triage's output (core 27).
    """
    actions = {4: 2, 5: 2, 7: 3, 9: 4, 10: 4, 13: 5, 14: 5, 16: 6, 18: 7, 19: 7, 20: 1}
    skeleton = a_skeleton(
        Concurrence([Sequence([4, 7, 9]), Sequence([13, 16, 18])]),
        (5, 10, 14, 19, 20),
        dependencies={3: (2,), 4: (2,), 6: (5,), 7: (5,)},
        state=PlanState.PAUSED,
    )
    table = StepTable(20)
    for step_id, action_id in actions.items():
        table.add(step_id, (states or {}).get(step_id, S.PENDING), 1, action_id, StepKind("A", "default"))
    return skeleton._replace(steps=table, **changes)


FAILED = {4: S.SUCCESS, 7: S.SUCCESS, 9: S.SUCCESS, 13: S.ERROR}


def moves(amendment):
    return {
        one.step_id: (one.from_state, one.to_state) for one in amendment.writes if isinstance(one, MoveStep)
    }


def test_b075_b077_all_that_need_its_output_go_with_it_and_their_finalize_steps():
    assert skipped_with(issues(), [13]) == [13, 14, 16, 18, 19]


def test_a_finalize_step_goes_alone():
    assert skipped_with(issues(), [14]) == [14]


def test_what_only_stands_behind_it_does_not_go_with_it():
    """W23: order is no need."""
    assert skipped_with(a_skeleton(Sequence([2, 4])), [2]) == [2]


def test_data_that_leads_in_a_long_line_is_followed_to_its_end():
    length = 5000
    skeleton = a_skeleton(
        Sequence(range(1, length)), dependencies={step: (step - 1,) for step in range(2, length)}
    )

    assert skipped_with(skeleton, [1]) == list(range(1, length))


def test_b074_a_skip_is_one_turn_that_leaves_the_plan_as_it_was():
    amendment = skip(issues(FAILED, lock_epoch=7), 13, WORLD, 99)

    assert amendment.step_ids == [13, 14, 16, 18, 19]
    assert moves(amendment) == {
        13: (S.ERROR, S.SKIPPING),
        14: (S.PENDING, S.SKIPPED),
        16: (S.PENDING, S.SKIPPED),
        18: (S.PENDING, S.SKIPPED),
        19: (S.PENDING, S.SKIPPED),
    }
    claim, *_, save = amendment.writes
    assert isinstance(claim, ClaimPlan)
    assert isinstance(save, SavePlan)
    assert (claim.epoch_read, save.epoch) == (7, 8)
    assert (save.state, save.result, save.release, save.keep_requested) == (
        PlanState.PAUSED,
        Result.WARNING,
        True,
        True,
    )
    assert save.history == claim.history == ()


def test_what_is_skipped_already_stays_so():
    states = {**FAILED, 13: S.SKIPPING, 14: S.SKIPPED, 16: S.SKIPPED, 18: S.SKIPPED, 19: S.SKIPPED}

    amendment = skip(issues(states), 13, WORLD, 99)

    assert amendment.step_ids == [13, 14, 16, 18, 19]
    assert moves(amendment) == {}


@pytest.mark.parametrize(
    ("step_id", "text"),
    [(4, "is success"), (16, "is pending"), (1, "no run or"), (0, "no run or"), (99, "no")],
)
def test_what_did_not_fail_is_neither_skipped_nor_edited(step_id, text):
    with pytest.raises(NotSkippable, match=text):
        skip(issues(FAILED), step_id, WORLD, 99)
    with pytest.raises(NotEditable, match=text):
        edit(issues(FAILED), step_id, WORLD, 99)


@pytest.mark.parametrize("state", [PlanState.PLANNED, PlanState.STOPPED, PlanState.SCHEDULED])
def test_only_a_paused_plan_is_changed(state):
    with pytest.raises(NotSkippable, match=f"is {state}"):
        skip(issues(FAILED, state=state), 13, WORLD, 99)
    with pytest.raises(NotEditable, match=f"is {state}"):
        edit(issues(FAILED, state=state), 13, WORLD, 99)


@pytest.mark.parametrize("changes", [{"owner_id": "other"}, {"state": PlanState.RUNNING}])
def test_a_plan_that_somebody_runs_is_not_changed(changes):
    with pytest.raises(AlreadyRunning):
        skip(issues(FAILED, **changes), 13, WORLD, 99)
    with pytest.raises(AlreadyRunning):
        edit(issues(FAILED, **changes), 13, WORLD, 99)


def test_an_edit_is_a_line_of_the_history_that_says_whose():
    amendment = edit(issues(FAILED), 13, WORLD, 99)

    (entry,) = amendment.writes[-1].history
    assert (amendment.writes[-1].plan_id, entry) == (PLAN, (99, "edit input of step 13", WORLD))
