"""What passes between an action and its sub-plans, there and back."""

import pytest

from dynflow_mp.errors import DamagedData
from dynflow_mp.model.flows import Concurrence, Sequence
from dynflow_mp.model.planned_codec import plan_from_bytes, plan_to_bytes
from dynflow_mp.model.plans import HistoryEntry, PlannedAction, PlannedPlan, PlannedStep
from dynflow_mp.model.policies import ActionPolicy
from dynflow_mp.model.states import Phase, PlanState, Result, StepState
from dynflow_mp.model.sub_plans import Briefing, Ending, NewSubPlan, Orders, SubPlanCount


def a_plan():
    return PlannedPlan(
        id="p",
        label="Root",
        state=PlanState.PLANNED,
        result=Result.PENDING,
        root_plan_step_id=1,
        run_flow=Sequence([2, Concurrence([4, Sequence([5, 6])])]),
        finalize_flow=Sequence([]),
        actions=[PlannedAction(1, "m.Root", 1, 2, None, "caller", 7, b"in", None)],
        steps=[
            PlannedStep(
                1, Phase.PLAN, StepState.SUCCESS, 1, "m.Root", None, 0.0, (2, 4), b"e", 1, 2, 0.5, 0.5
            ),
            PlannedStep(2, Phase.RUN, StepState.PENDING, 1, "m.Root", "slow", 1.5),
        ],
        policies={"m.Root": ActionPolicy("slow", True, "skip", with_sub_plans=True)},
        dependencies=[(3, (1, 2))],
        history=(HistoryEntry(5, "start", "w"),),
        started_at=3,
        ended_at=None,
        execution_time=0.0,
        real_time=0.0,
        caller_plan_id="caller",
        caller_action_id=7,
        deadline_at=9,
    )


def test_a_plan_arrives_as_it_was_sent():
    sent = a_plan()

    arrived = plan_from_bytes(plan_to_bytes(sent))

    assert arrived == sent
    assert type(arrived.steps[0].state) is StepState
    assert type(arrived.state) is PlanState
    assert type(arrived.policies["m.Root"]) is ActionPolicy


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x93\x01\x02\x03", plan_to_bytes(a_plan())[:-3]])
def test_what_is_no_plan_is_named(data):
    with pytest.raises(DamagedData):
        plan_from_bytes(data)


@pytest.mark.parametrize("orders", [Orders(), Orders(("a", "b")), Orders(end=Ending.ABORT)])
def test_orders_arrive_as_they_were_given(orders):
    assert Orders.from_bytes(orders.to_bytes()) == orders


def test_a_briefing_arrives_as_it_was_counted():
    count = SubPlanCount(PlanState.STOPPED, Result.WARNING, True, False, 3)
    briefing = Briefing((count,), ("id",))

    arrived = Briefing.from_bytes(briefing.to_bytes())

    assert arrived == briefing
    assert arrived.counts[0].result is Result.WARNING


def test_a_new_sub_plan_arrives_with_its_plan_unread():
    new = NewSubPlan("id", True, plan_to_bytes(a_plan()))

    assert NewSubPlan.from_bytes(new.to_bytes()) == new
