"""A flow as lines: all of it where there is room, else what matters before what does not."""

from __future__ import annotations

from dynflow_mp.cli.plans.tree import Counts, Line, tree_lines
from dynflow_mp.model.flows import Concurrence, Flow, Sequence
from dynflow_mp.model.states import StepState
from dynflow_mp.reading.flow_tree import Node, tree_of

RUNNING, ERROR, SUCCESS = StepState.RUNNING, StepState.ERROR, StepState.SUCCESS


def test_where_there_is_room_all_of_it_is_there_in_its_order():
    lines = tree_lines(a_tree(Sequence([3, Concurrence([5, 7]), 9])))

    assert [told(line) for line in lines] == [
        "sequence",
        "  3",
        "  concurrence",
        "    5",
        "    7",
        "  9",
    ]


def test_what_failed_and_what_runs_goes_before_what_is_done():
    flow = Concurrence(range(1, 101))
    states = {**dict.fromkeys(range(1, 90), SUCCESS), 40: ERROR, 95: RUNNING}

    lines = tree_lines(a_tree(flow, states), room=5)

    assert [told(line) for line in lines] == ["concurrence", "  40", "  90", "  95", "  … 97"]
    assert str(lines[-1].counts) == "88 of 97 done"


def test_a_branch_that_fails_is_opened_first():
    flow = Concurrence([Sequence(range(1, 6)), Sequence(range(6, 11)), Sequence(range(11, 16))])

    lines = tree_lines(a_tree(flow, {8: ERROR}), room=9)

    assert [told(line) for line in lines] == [
        "concurrence",
        "  sequence",
        "  sequence",
        *[f"    {step}" for step in range(6, 11)],
        "  sequence",
    ]


def test_no_more_lines_than_there_is_room_for():
    flow = Sequence([Concurrence([Sequence(range(n, n + 7)) for n in range(0, 700, 7)]), *range(1000, 1400)])

    for room in range(1, 60):
        assert len(tree_lines(a_tree(flow, {3: ERROR, 650: RUNNING}), room)) <= room


def test_a_flow_may_nest_deeper_than_python_recurses():
    flow: Flow = 1
    for step in range(2, 5_000):
        flow = Sequence([step, flow])

    assert len(tree_lines(a_tree(flow))) == 2 * 4_998 + 1
    assert len(tree_lines(a_tree(flow), room=30)) <= 30


def test_counts_are_told_as_far_as_there_is_anything_to_tell():
    assert str(Counts(1200, 3, 0, 0, 0)) == "3 of 1,200 done"
    assert str(Counts(4, 0, 1, 2, 1)) == "0 of 4 done, 2 running, 1 suspended, 1 failed"


def a_tree(flow: Flow, states: dict[int, StepState] | None = None) -> Node:
    return tree_of(flow, states or {})


def told(line: Line) -> str:
    if line.node is None:
        return f"{'  ' * line.depth}… {line.more}"
    what = line.node.step_id if line.node.step_id is not None else str(line.node.kind)
    return f"{'  ' * line.depth}{what}"
