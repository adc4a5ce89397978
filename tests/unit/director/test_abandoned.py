"""What becomes of a plan whose executor died: decided from what is stored, written under its epoch."""

import pytest
from plans_for_tests import PLAN, a_skeleton, only

from dynflow_mp.director.abandoned import settle
from dynflow_mp.director.instructions import Answer, HandOver
from dynflow_mp.director.protocol import Asker
from dynflow_mp.model.flows import Concurrence, Sequence
from dynflow_mp.model.messages import Done, Failed
from dynflow_mp.model.plans import HistoryEntry, StepTimes, StoredEvent
from dynflow_mp.model.states import PlanState, Result, StepState
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.model.writes import ForgetEvents, SaveOutcome, SavePlan

DEAD, EPOCH, NOW = "dead-world", 7, 9_000_000
ASKER = Asker("client", "client-3")
START = HistoryEntry(1, "start execution", DEAD)


def left(states, finalize=(), **changes):
    """The plan as its owner left it, steps in these states."""
    run_steps = [step_id for step_id in states if step_id not in finalize]
    changes = {
        "state": PlanState.RUNNING,
        "lock_epoch": EPOCH,
        "owner_id": DEAD,
        "started_at": 1,
        "history": (START,),
        **changes,
    }
    attempts = {step_id: 0 if state is StepState.PENDING else 2 for step_id, state in states.items()}
    flow = changes.pop("flow", None) or Concurrence(run_steps)
    return a_skeleton(flow, finalize, states=states, attempts=attempts, **changes)


def test_a_step_that_was_running_is_an_abnormal_termination():
    skeleton = left(
        {1: StepState.SUCCESS, 2: StepState.RUNNING, 3: StepState.PENDING},
        step_times={2: StepTimes(1_000_000, 0.5)},
    )

    (save,) = only(SaveOutcome, settle(skeleton, ASKER, NOW))

    assert (save.plan_id, save.epoch, save.step_id) == (PLAN, EPOCH, 2)
    assert (save.from_state, save.attempt, save.state) == (StepState.RUNNING, 2, StepState.ERROR)
    assert (save.ended_at, save.execution_time, save.real_time) == (NOW, 0.5, 8.0)
    error = ErrorRecord.from_bytes(save.error)
    assert error.exception_class == "dynflow_mp.errors.AbnormalTermination"
    assert error.message == "abnormal termination (previous state: running)"
    assert error.cause == "supervisor_lost"


def test_a_plan_with_such_a_step_is_paused_and_its_asker_told():
    told = settle(left({1: StepState.RUNNING, 2: StepState.SUSPENDED}), ASKER, NOW)

    (save,) = only(SavePlan, told)
    assert (save.state, save.result, save.epoch) == (PlanState.PAUSED, Result.ERROR, EPOCH)
    assert save.release
    assert not save.keep_requested
    assert save.history == (START, HistoryEntry(NOW, "terminate execution", DEAD))
    assert only(Answer, told) == [Answer("client", "client-3", Done(), PLAN)]
    assert only(HandOver, told) == []


@pytest.mark.parametrize(
    "states",
    [
        {1: StepState.SUSPENDED},
        {1: StepState.SUCCESS, 2: StepState.PENDING},
        {1: StepState.SKIPPED, 2: StepState.SUSPENDED},
    ],
)
def test_a_plan_without_one_stays_requested_and_is_handed_over(states):
    told = settle(left(states), ASKER, NOW)

    (save,) = only(SavePlan, told)
    assert (save.state, save.release, save.keep_requested) == (PlanState.PAUSED, True, True)
    assert save.result in (Result.PENDING, Result.WARNING)
    assert only(SaveOutcome, told) == []
    assert only(HandOver, told) == [HandOver(PLAN, "client", "client-3")]
    assert only(Answer, told) == []


def test_an_older_error_keeps_the_plan_from_going_on():
    told = settle(left({1: StepState.ERROR, 2: StepState.SUSPENDED}), ASKER, NOW)

    (save,) = only(SavePlan, told)
    assert (save.result, save.keep_requested) == (Result.ERROR, False)
    assert only(HandOver, told) == []


@pytest.mark.parametrize(
    ("state", "goes_on"), [(StepState.RUNNING, False), (StepState.ERROR, False), (StepState.PENDING, True)]
)
def test_finalize_steps_count_like_the_others(state, goes_on):
    told = settle(left({1: StepState.SUCCESS, 5: state}, finalize=(5,)), ASKER, NOW)

    (save,) = only(SavePlan, told)
    assert save.keep_requested is goes_on
    assert [write.step_id for write in only(SaveOutcome, told)] == [5] * (state is StepState.RUNNING)


def test_events_for_a_step_that_ended_so_are_dropped_and_those_of_others_kept():
    events = (
        StoredEvent("e1", 1, b"x", "client"),
        StoredEvent("e2", 1, b"x", "client", NOW * 2),
        StoredEvent("e3", 2, b"x", "client"),
    )
    told = settle(left({1: StepState.RUNNING, 2: StepState.SUSPENDED}, events=events), ASKER, NOW)

    (forget,) = only(ForgetEvents, told)
    assert (set(forget.ids), forget.epoch) == ({"e1", "e2"}, EPOCH)
    refused = [answer for answer in only(Answer, told) if isinstance(answer.response, Failed)]
    assert {answer.request_id for answer in refused} == {"e1", "e2"}
    assert {answer.response.error_class for answer in refused} == {"EventDropped"}


def test_every_step_that_was_running_is_charged_and_no_other():
    states = {1: StepState.RUNNING, 2: StepState.SUCCESS, 3: StepState.RUNNING, 4: StepState.PENDING}
    told = settle(left(states, flow=Sequence([Concurrence([1, 2, 3]), 4])), ASKER, NOW)

    assert [write.step_id for write in only(SaveOutcome, told)] == [1, 3]
    assert only(SavePlan, told)[0].result is Result.ERROR
