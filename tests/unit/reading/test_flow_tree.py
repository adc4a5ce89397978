"""Flows as trees with counts."""

from __future__ import annotations

from actions_for_tests import ISSUES, IncomingIssues
from hypothesis import given
from hypothesis import strategies as st
from plan_shelf import PLAN_ID, shelf_with

from dynflow_mp import ExecutionPlan, Phase, StepState
from dynflow_mp.model.flows import Concurrence, Flow, Sequence, step_ids
from dynflow_mp.reading.flow_tree import NodeKind, flow_tree, plan_tree, tree_of

flows = st.recursive(
    st.integers(1, 300),
    lambda inner: st.builds(Sequence, st.lists(inner)) | st.builds(Concurrence, st.lists(inner)),
    max_leaves=60,
)


@given(flows, st.dictionaries(st.integers(1, 300), st.sampled_from(StepState)))
def test_the_tree_has_the_steps_of_the_flow_in_their_order_and_counts_them_at_every_node(
    flow: Flow, states: dict[int, StepState]
) -> None:
    tree = tree_of(flow, states)

    nodes = [node for _, node in tree.walk()]
    assert [node.step_id for node in nodes if node.kind is NodeKind.STEP] == list(step_ids(flow))
    for node in nodes:
        below = [one.step_id for _, one in node.walk() if one.kind is NodeKind.STEP]
        found = [states.get(step_id or 0) for step_id in below]
        assert node.total == len(below)
        assert node.done == found.count(StepState.SUCCESS) + found.count(StepState.SKIPPED)
        assert node.failed == found.count(StepState.ERROR) + found.count(StepState.CANCELLED)
        assert node.running == found.count(StepState.RUNNING)
        assert node.suspended == found.count(StepState.SUSPENDED)
        assert node.pending >= 0


def test_a_flow_may_nest_deeper_than_calls_may() -> None:
    flow: Flow = 1
    for _ in range(20_000):
        flow = Sequence((flow,))

    tree = tree_of(flow, {1: StepState.SUCCESS})

    assert (tree.done, tree.total, repr(tree)) == (1, 1, "<sequence 1/1>")
    assert max(depth for depth, _ in tree.walk()) == 20_000


def test_a_plan_tells_the_trees_of_its_three_phases() -> None:
    plan = ExecutionPlan.load(PLAN_ID, shelf_with(IncomingIssues, ISSUES))

    run, finalize = flow_tree(plan, Phase.RUN), flow_tree(plan, Phase.FINALIZE)
    planned = flow_tree(plan, Phase.PLAN)

    assert (run.kind, [child.kind for child in run.children]) == ("concurrence", ["sequence"] * 2)
    assert (run.total, run.pending, finalize.total, finalize.kind) == (6, 6, 5, "sequence")
    assert planned.step_id == plan.root_plan_step.id
    assert (planned.total, planned.done) == (len(plan.plan_steps), len(plan.plan_steps))
    assert [child.step_id for child in planned.children] == plan.root_plan_step.children


def test_plan_steps_that_name_each_other_in_a_circle_are_shown_once() -> None:
    tree = plan_tree(1, {1: [2, 3], 2: [1, 3], 3: [2]}, {})

    assert sorted(node.step_id or 0 for _, node in tree.walk()) == [1, 2, 3]
