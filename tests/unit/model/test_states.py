"""States and their tables of moves."""

import pytest

from dynflow_mp.errors import IllegalMove
from dynflow_mp.model.states import (
    PLAN_MOVES,
    STEP_MOVES,
    Phase,
    PlanState,
    Result,
    StepState,
    check_plan_move,
    check_step_move,
    result_of,
)

S = StepState


@pytest.mark.parametrize("current", list(PlanState))
@pytest.mark.parametrize("wanted", list(PlanState))
def test_a_plan_moves_only_as_its_table_says(current, wanted):
    if wanted in PLAN_MOVES[current]:
        check_plan_move("p", current, wanted)
    else:
        with pytest.raises(IllegalMove):
            check_plan_move("p", current, wanted)


@pytest.mark.parametrize("phase", [Phase.PLAN, Phase.RUN, Phase.FINALIZE])
def test_every_step_state_can_be_asked_about(phase):
    for current in StepState:
        for wanted in StepState:
            allowed = wanted in STEP_MOVES[phase].get(current, ())
            if allowed:
                check_step_move("p", 1, phase, current, wanted)
            else:
                with pytest.raises(IllegalMove):
                    check_step_move("p", 1, phase, current, wanted)


def test_an_illegal_move_tells_the_story():
    with pytest.raises(IllegalMove) as raised:
        check_step_move("abc", 7, Phase.RUN, S.SUCCESS, S.RUNNING)

    assert str(raised.value) == (
        "run step 7 of plan abc cannot go from success to running (from success: nowhere: it is final)"
    )
    assert (raised.value.current, raised.value.wanted) == (S.SUCCESS, S.RUNNING)


def test_b061_a_running_plan_may_pause_and_go_on():
    check_plan_move("p", PlanState.RUNNING, PlanState.PAUSED)
    check_plan_move("p", PlanState.PAUSED, PlanState.RUNNING)


@pytest.mark.parametrize(
    ("states", "result"),
    [
        ([], Result.SUCCESS),
        ([S.SUCCESS, S.SUCCESS], Result.SUCCESS),
        ([S.SUCCESS, S.ERROR, S.SKIPPED], Result.ERROR),  # B023
        ([S.SUCCESS, S.PENDING], Result.PENDING),  # B025
        ([S.SUCCESS, S.SKIPPED], Result.WARNING),  # B026
        ([S.SKIPPING, S.PENDING], Result.WARNING),
        ([S.CANCELLED, S.ERROR], Result.CANCELLED),
        ([S.RUNNING], Result.PENDING),
        ([S.SUSPENDED, S.SUCCESS], Result.PENDING),
    ],
)
def test_the_result_is_computed_from_all_steps(states, result):
    assert result_of(states) is result


def test_states_are_texts():
    assert PlanState.PAUSED == "paused"
    assert f"{StepState.ERROR} {Result.WARNING}" == "error warning"
    assert str(Phase.RUN) == "run"
    assert {"running": 1}[StepState.RUNNING] == 1
    assert {PlanState.PAUSED} == {"paused"}
