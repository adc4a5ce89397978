"""What one call of ``run`` triggers."""

import pytest

from dynflow_mp import Action, PlanningError, WrongPhase
from dynflow_mp.actions import sub_plan
from dynflow_mp.actions.phases import run_step
from dynflow_mp.actions.registry import name_of
from dynflow_mp.model.codec import EMPTY, encode
from dynflow_mp.model.planned_codec import plan_from_bytes
from dynflow_mp.model.states import PlanState, StepState
from dynflow_mp.model.sub_plans import NewSubPlan
from dynflow_mp.model.work import ErrorRecord, StepJob
from dynflow_mp.planning.planner import plan
from dynflow_mp.planning.sub_plans import sub_planner

NOW = 1_700_000_000_000_000


class Child(Action):
    def plan(self, n, fails=False):
        if fails:
            raise ValueError("cannot be planned")
        self.plan_self(n=n)

    def run(self):
        pass


class Triggering(Action):
    made = ()

    def run(self):
        type(self).made = [self.trigger(Child, **given) for given in self.input["children"]]
        if self.input.get("fails"):
            raise OSError("afterwards")


class OfLongQueue(Child):
    queue = "q" * 101


class TriggersLongQueue(Action):
    def run(self):
        self.trigger(OfLongQueue, 1)


class TriggersInPlan(Action):
    def plan(self):
        self.trigger(Child, 1)


def call(kind, **given):
    data = encode(given, "input") if given else EMPTY
    job = StepJob("parent", 2, 7, 1, name_of(kind), data)
    return run_step(job, plan_sub_plan=sub_planner(lambda: NOW, lambda n: bytes(n)))


def error_of(outcome):
    assert outcome.state is StepState.ERROR
    return ErrorRecord.from_bytes(outcome.error)


def test_sub_plans_come_with_the_outcome_and_know_their_caller():
    outcome = call(Triggering, children=[{"n": 1}, {"n": 2}])

    new = [NewSubPlan.from_bytes(data) for data in outcome.plans]
    plans = [plan_from_bytes(one.plan) for one in new]
    assert outcome.state is StepState.SUCCESS
    assert [one.id for one in new] == [one.id for one in plans] == [made.id for made in Triggering.made]
    assert len({one.id for one in new}) == 2
    assert all(one.start for one in new)
    assert {(one.caller_plan_id, one.caller_action_id, one.state) for one in plans} == {
        ("parent", 7, PlanState.PLANNED)
    }
    assert (plans[0].actions[0].caller_plan_id, plans[0].actions[0].caller_action_id) == ("parent", 7)


def test_one_that_cannot_be_planned_is_stored_stopped_and_said_to_have_failed():
    outcome = call(Triggering, children=[{"n": 1, "fails": True}])

    (made,) = Triggering.made
    new = NewSubPlan.from_bytes(outcome.plans[0])
    assert (made.failed, made.planned, made.triggered) == (True, False, False)
    assert isinstance(made.error, ValueError)
    assert not new.start
    assert plan_from_bytes(new.plan).state is PlanState.STOPPED
    assert outcome.state is StepState.SUCCESS


def test_a_call_that_fails_has_triggered_nothing():
    outcome = call(Triggering, children=[{"n": 1}], fails=True)

    assert outcome.state is StepState.ERROR
    assert outcome.plans == ()


def test_more_than_can_be_stored_with_one_outcome_is_an_error_that_says_so(monkeypatch):
    monkeypatch.setattr(sub_plan, "MAX_TRIGGERED_BYTES", 2_000)

    error = error_of(call(Triggering, children=[{"n": n} for n in range(50)]))

    assert error.exception_class == "dynflow_mp.errors.TooMuchTriggered"
    assert "WithBulkSubPlans" in error.message


def test_a_queue_that_no_row_can_hold_is_named():
    error = error_of(call(TriggersLongQueue))

    assert error.exception_class.endswith("PlanningError")
    assert "OfLongQueue.queue has a name of" in error.message


def test_while_planning_there_is_no_trigger():
    made = plan(TriggersInPlan, (), {}, now=lambda: NOW, new_id=lambda: "p")

    assert isinstance(made.error, WrongPhase)


def test_what_is_no_action_class_cannot_be_triggered():
    class TriggersNonsense(Action):
        def run(self):
            self.trigger(int)

    assert error_of(call(TriggersNonsense)).exception_class.endswith(PlanningError.__name__)


@pytest.mark.parametrize("name", ["sub_plans", "sub_plans_count", "root_action"])
def test_a_running_action_has_no_database_to_look_into(name):
    class Looks(Action):
        def run(self):
            found = getattr(self, name)
            self.output["found"] = found() if callable(found) else found

    assert error_of(call(Looks)).exception_class.endswith(WrongPhase.__name__)
