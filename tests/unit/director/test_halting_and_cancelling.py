"""Halt and cancel, as the director decides them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans_for_tests import CLIENT, PLAN, WORLD, Driver, a_skeleton, failure, only, success, suspended

from dynflow_mp.director.abandoned import halt as halt_unowned
from dynflow_mp.director.instructions import (
    Answer,
    DropPlan,
    EventUndelivered,
    HandOver,
    ReadyEvent,
    ReadyFinalize,
    ReadySteps,
    StopStep,
)
from dynflow_mp.director.protocol import FINALIZE
from dynflow_mp.director.stimuli import (
    CancelRequested,
    DrainEnded,
    EventArrived,
    HaltRequested,
    StepLost,
    StepsReturned,
)
from dynflow_mp.model.codec import decode
from dynflow_mp.model.flows import Concurrence, Sequence
from dynflow_mp.model.messages import Done, Told
from dynflow_mp.model.plans import StoredEvent
from dynflow_mp.model.policies import ActionPolicy
from dynflow_mp.model.signals import Signal
from dynflow_mp.model.states import PlanState, StepState
from dynflow_mp.model.work import ErrorRecord, PlannedEvent
from dynflow_mp.model.writes import (
    ClaimPlan,
    ForgetEvents,
    MarkEventsTaken,
    RecordEvent,
    SaveOutcome,
    SavePlan,
)

HALT = HaltRequested(PLAN, "admin", "h1")
CANCEL = CancelRequested(PLAN, "admin", "c1")
CANCELLABLE = {"A": ActionPolicy(cancellable=True)}


def saved(said):
    (save,) = only(SavePlan, said)
    return save


# -- halt ------------------------------------------------------------------------------------------


def test_b285_a_plan_whose_steps_are_suspended_is_halted_at_once(driver):
    driver.start(a_skeleton(Sequence([2, 4])))
    driver.run(suspended(2))

    said = driver.tell(HALT)

    assert (saved(said).state, saved(said).result, saved(said).release) == ("stopped", "pending", True)
    assert saved(said).history[-1].name == "halt execution"
    assert driver.stored == {2: StepState.SUSPENDED, 4: StepState.PENDING}
    assert driver.answers("h1") == [Done()]
    assert driver.answers("r1")[-1] == Done()
    assert only(DropPlan, said)


def test_code_that_runs_is_stopped_first_and_then_the_plan(driver):
    driver.start(a_skeleton(Sequence([Concurrence([2, 4]), 6])))
    driver.send(2, 4)

    said = driver.tell(HALT)
    assert sorted(stop.step_id for stop in only(StopStep, said)) == [2, 4]
    assert {stop.cause for stop in only(StopStep, said)} == {"halted"}
    assert only(DropPlan, said), "what waits of it is not to be sent any more"
    assert only(SavePlan, said) == []

    said = driver.tell(StepLost(PLAN, 2, 0, "halted", "it was halted"))
    assert only(SavePlan, said) == []
    error = ErrorRecord.from_bytes(only(SaveOutcome, said)[0].error)
    assert (error.exception_class, error.cause) == ("dynflow_mp.errors.StepHalted", "halted")

    said = driver.finish(success(4))
    assert (saved(said).state, saved(said).result) == ("stopped", "error")
    assert only(ReadySteps, said) == []
    assert driver.answers("h1") == [Done()]


def test_a_plan_that_is_done_in_time_is_stopped_all_the_same(driver):
    driver.start(a_skeleton(2, finalize=[3]))
    driver.send(2)
    driver.tell(HALT)

    said = driver.finish(success(2))

    assert only(ReadyFinalize, said) == []
    assert (saved(said).state, saved(said).result) == ("stopped", "pending")


def test_steps_that_were_sent_and_never_begun_stay_pending(driver):
    driver.start(a_skeleton(Concurrence([2, 4])))
    driver.send(2, 4)
    driver.tell(HALT)
    driver.finish(failure(2))

    said = driver.tell(StepsReturned(PLAN, [4]))

    assert saved(said).state == "stopped"
    assert driver.director.plan_ids == []


def test_a_finalize_phase_is_stopped(driver):
    driver.start(a_skeleton(2, finalize=[3, 5]))
    driver.run(success(2))
    driver.send(FINALIZE)

    said = driver.tell(HALT)
    assert [stop.step_id for stop in only(StopStep, said)] == [FINALIZE]

    said = driver.tell(StepLost(PLAN, FINALIZE, 0, "halted", "it was halted"))
    assert (saved(said).state, saved(said).result) == ("stopped", "error")


def test_a_finalize_phase_that_was_not_sent_is_nothing_to_wait_for(driver):
    driver.start(a_skeleton(2, finalize=[3]))
    driver.run(success(2))

    assert saved(driver.tell(HALT)).state == "stopped"


@pytest.mark.parametrize("first_fails", [False, True])
def test_a_plan_with_a_failed_step_is_halted_to_stopped(driver, first_fails):
    """W14."""
    driver.start(a_skeleton(Concurrence([2, 4])))
    driver.send(2, 4)
    driver.finish(failure(2) if first_fails else suspended(2))
    driver.tell(HALT)

    assert saved(driver.finish(success(4))).state == "stopped"


def test_a_second_halt_gets_the_same_answer(driver):
    driver.start(a_skeleton(2))
    driver.send(2)
    driver.tell(HALT)

    assert driver.tell(HALT._replace(request_id="h2")) == []
    assert driver.tell(HALT) == []
    driver.finish(success(2))

    assert driver.answers("h1") == driver.answers("h2") == [Done()]


def test_while_a_plan_is_halted_it_takes_nothing_new(driver):
    driver.start(a_skeleton(Concurrence([2, 4]), policies=CANCELLABLE))
    driver.send(2, 4)
    driver.finish(suspended(2))
    driver.tell(HALT)

    driver.tell(EventArrived(PLAN, 2, CLIENT, "e1", b"go"))
    driver.tell(CANCEL)
    planned = driver.finish(suspended(4, events=(PlannedEvent(PLAN, 2, b"x", None, False),)))

    assert driver.answers("e1")[0].message == f"plan {PLAN} is being halted"
    assert driver.answers("c1")[0].error_class == "NotCancellable"
    assert only(RecordEvent, planned) == only(EventUndelivered, planned) == []


def test_events_of_a_halted_plan_are_dropped_and_their_senders_told(driver):
    driver.start(a_skeleton(Concurrence([2, 4])))
    driver.run(suspended(2), suspended(4))
    driver.tell(EventArrived(PLAN, 2, CLIENT, "e1", b"go", due_at=10**9))
    driver.tell(EventArrived(PLAN, 4, CLIENT, "e2", b"go", due_at=10**9))

    said = driver.tell(HALT)

    assert {id_ for forget in only(ForgetEvents, said) for id_ in forget.ids} == {"e1", "e2"}
    assert [driver.answers(name)[0].error_class for name in ("e1", "e2")] == ["EventDropped"] * 2


def test_a_world_that_ends_meanwhile_ends_the_plan_stopped(driver):
    driver.start(a_skeleton(2))
    driver.send(2)
    driver.tell(HALT)

    said = driver.tell(DrainEnded())

    assert saved(said).state == "stopped"
    assert only(HandOver, said) == []
    assert driver.answers("h1") == [Done()]


@pytest.mark.parametrize("request_", [HALT, CANCEL])
def test_a_plan_that_is_not_here_is_to_be_looked_for_elsewhere(driver, request_):
    (answer,) = driver.tell(request_)

    assert isinstance(answer, Answer)
    assert answer.response.error_class == "NoExecutor"


@pytest.mark.parametrize(
    "state", [PlanState.PENDING, PlanState.SCHEDULED, PlanState.PLANNING, PlanState.PLANNED, PlanState.PAUSED]
)
def test_b287_b288_b289_a_plan_that_nobody_runs_is_stopped_whatever_its_state(state):
    skeleton = a_skeleton(Concurrence([2, 4]), state=state, states={4: StepState.SUSPENDED}, attempts={4: 1})
    skeleton = skeleton._replace(events=(StoredEvent("e1", 4, b"x", CLIENT, 10**15),))

    said = halt_unowned(skeleton, WORLD, 5)

    (claim,) = only(ClaimPlan, said)
    assert (claim.epoch_read, claim.started_at) == (0, None)
    assert (saved(said).state, saved(said).epoch, saved(said).release) == ("stopped", 1, True)
    assert only(ForgetEvents, said)[0].ids == ("e1",)
    assert only(SaveOutcome, said) == []


# -- cancel ----------------------------------------------------------------------------------------


def cancelling(driver, request=CANCEL):
    said = driver.tell(request)
    return said, [decode(record.data) for record in only(RecordEvent, said)]


def test_cancel_is_recorded_and_sent_to_every_step_that_can_take_it(driver):
    driver.start(a_skeleton(Concurrence([2, 4, Sequence([6, 8])]), policies=CANCELLABLE))
    driver.send(2, 4, 6)
    driver.finish(suspended(2))
    driver.finish(success(4))

    said, signals = cancelling(driver)

    assert [record.step_id for record in only(RecordEvent, said)] == [2, 6]
    assert all(signal is Signal.CANCEL for signal in signals)
    assert [ready.step_id for ready in only(ReadyEvent, said)] == [2]
    assert driver.answers("c1") == [Told([2, 6])]
    assert [ready.step_id for ready in only(ReadyEvent, driver.finish(suspended(6)))] == [6]


def test_cancelling_by_force_is_abort(driver):
    driver.start(a_skeleton(2, policies=CANCELLABLE))
    driver.run(suspended(2))

    _, signals = cancelling(driver, CANCEL._replace(force=True))

    assert signals == [Signal.ABORT]
    assert signals[0] is Signal.ABORT


def test_the_same_request_again_tells_nobody_twice(driver):
    driver.start(a_skeleton(2, policies=CANCELLABLE))
    driver.run(suspended(2))
    driver.tell(CANCEL)

    said, signals = cancelling(driver)

    assert signals == []
    assert only(ReadyEvent, said) == []
    assert driver.answers("c1") == [Told([2]), Told([2])]


@pytest.mark.parametrize("policies", [{}, {"A": ActionPolicy()}])
def test_without_a_step_that_can_take_it_nothing_changes(driver, policies):
    driver.start(a_skeleton(2, policies=policies))
    driver.run(suspended(2))

    said, signals = cancelling(driver)

    assert signals == []
    assert len(said) == 1
    assert driver.answers("c1")[0].error_class == "NotCancellable"


def test_a_step_that_waits_for_its_turn_is_not_told(driver):
    driver.start(a_skeleton(2, policies=CANCELLABLE))

    cancelling(driver)

    assert driver.answers("c1")[0].error_class == "NotCancellable"


# -- events that actions plan ----------------------------------------------------------------------


@pytest.mark.parametrize(("optional", "remarks"), [(False, 1), (True, 0)])
def test_an_action_s_event_that_nobody_takes_is_remarked_on_unless_it_is_optional(
    driver: Driver, optional, remarks
):
    driver.start(a_skeleton(2))
    driver.send(2)

    said = driver.finish(success(2, events=(PlannedEvent(PLAN, 99, b"x", None, optional),)))

    assert len(only(EventUndelivered, said)) == remarks
    assert [answer.request_id for answer in only(Answer, said)] == ["r1"]


def test_a_step_s_end_costs_nothing_for_the_events_of_others(driver):
    """W29: and its own timers are gone with it."""
    driver.start(a_skeleton(Concurrence([2, 4])))
    timer = PlannedEvent(PLAN, 2, b"later", 3600.0, True)
    driver.run(suspended(2, events=(timer,)), suspended(4, events=(timer._replace(step_id=4),)))
    driver.tell(EventArrived(PLAN, 2, CLIENT, "e1", b"go"))
    driver.send(2)

    said = driver.finish(success(2))

    assert [len(taken.ids) for taken in only(MarkEventsTaken, said)] == [1]
    assert [len(forget.ids) for forget in only(ForgetEvents, said)] == [1]
    assert driver.answers("e1") == [Done()]


# -- at any moment ---------------------------------------------------------------------------------


def flows(ids):
    """Some nesting of sequences and concurrences over these steps."""
    if len(ids) == 1:
        return st.just(ids[0])
    return st.integers(1, len(ids) - 1).flatmap(
        lambda cut: st.builds(
            lambda kind, left, right: kind([left, right]),
            st.sampled_from([Sequence, Concurrence]),
            flows(ids[:cut]),
            flows(ids[cut:]),
        )
    )


@given(st.integers(1, 8).flatmap(lambda count: flows(list(range(2, 2 + count)))), st.data())
def test_whenever_a_plan_is_halted_it_ends_stopped_once_and_begins_nothing_more(flow, data):
    driver = Driver()
    driver.start(a_skeleton(flow, finalize=[50], policies=CANCELLABLE))
    out, halted, saves = set(), False, []

    def told(said):
        saves.extend(only(SavePlan, said))
        assert not (halted and only(ReadySteps, said) + only(ReadyEvent, said) + only(ReadyFinalize, said))

    for number in range(40):
        running = sorted(step for step in out if driver.stored[step] is StepState.RUNNING)
        choices = [("halt", 0)] * (not halted)
        choices += [("send", step) for step in driver.ready if not halted and step not in running]
        choices += [
            (what, step)
            for step in running
            for what in ("success", "failure", "suspended", "lost", "returned")
        ]
        choices += [("cancel", 0), ("event", 2)]
        if saves or (halted and not running):
            break
        what, step = data.draw(st.sampled_from(choices))
        if what == "halt":
            halted = True
            told(driver.tell(HALT))
        elif what == "send":
            out.add(step)
            told(driver.send(step))
        elif what == "lost":
            told(driver.tell(StepLost(PLAN, step, 0, "halted", "x")))
        elif what == "returned":
            told(driver.tell(StepsReturned(PLAN, [step])))
            driver.stored[step] = StepState.PENDING
            driver.attempts[step] -= 1
            out.discard(step)
            if not halted:
                driver.ready.append(step)
        elif what == "cancel":
            told(driver.tell(CANCEL._replace(request_id=f"c{number}")))
        elif what == "event":
            told(driver.tell(EventArrived(PLAN, step, CLIENT, f"e{number}", b"x")))
        else:
            told(driver.finish({"success": success, "failure": failure, "suspended": suspended}[what](step)))

    if not saves:
        halted = True
        told(driver.tell(HALT))
        for step in sorted(step for step in out if driver.stored[step] is StepState.RUNNING):
            told(driver.tell(StepLost(PLAN, step, 0, "halted", "x")))
    assert len(saves) == 1
    assert saves[0].release
    if halted:
        assert saves[0].state == "stopped"
    assert driver.director.plan_ids == []
