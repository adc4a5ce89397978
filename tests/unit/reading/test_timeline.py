"""When steps ran, and what the end waited for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from actions_for_tests import ISSUES, IncomingIssues
from hypothesis import given
from hypothesis import strategies as st
from plan_shelf import PLAN_ID, PlanShelf, shelf_with

from dynflow_mp import ExecutionPlan, StepState
from dynflow_mp.model.flows import Concurrence, Flow, Sequence, step_ids
from dynflow_mp.reading.timeline import Span, critical_path, timeline

BEGIN = datetime(2026, 11, 26, 2, 0, tzinfo=UTC)


def second(number: float) -> datetime:
    return BEGIN + timedelta(seconds=number)


def us(number: float) -> int:
    return int(second(number).timestamp() * 1_000_000)


def numbered(shape: Flow, numbers: list[int]) -> Flow:
    """The same flow with a step of its own at each place."""
    if isinstance(shape, int):
        numbers.append(len(numbers) + 1)
        return numbers[-1]
    return type(shape)(numbered(part, numbers) for part in shape)


shapes = st.recursive(
    st.just(0),
    lambda inner: (
        st.builds(Sequence, st.lists(inner, max_size=5)) | st.builds(Concurrence, st.lists(inner, max_size=5))
    ),
    max_leaves=40,
)
flows = shapes.map(lambda shape: numbered(shape, []))


def run(flow: Flow, lasts: Mapping[int, int], begin: int, spans: dict[int, Span]) -> int:
    """As if there were a worker for each step: everything begins as soon as it may. When the flow ends."""
    if isinstance(flow, int):
        spans[flow] = Span(flow, second(begin), second(begin + lasts[flow]))
        return begin + lasts[flow]
    if isinstance(flow, Concurrence):
        return max((run(part, lasts, begin, spans) for part in flow), default=begin)
    for part in flow:
        begin = run(part, lasts, begin, spans)
    return begin


@given(flows, st.data())
def test_the_critical_path_is_as_long_as_the_whole_run_and_without_a_gap(
    flow: Flow, data: st.DataObject
) -> None:
    ids = list(step_ids(flow))
    lasts = {step_id: data.draw(st.integers(0, 9)) for step_id in ids}
    spans: dict[int, Span] = {}
    end = run(flow, lasts, 0, spans)

    path = critical_path(flow, spans)

    assert sum(lasts[step_id] for step_id in path) == end
    for before, after in pairwise(path):
        assert spans[before].end == spans[after].start


def test_steps_that_took_no_time_are_on_it_as_well() -> None:
    spans = {number: Span(number, second(5), second(5)) for number in (2, 3, 4)} | {
        1: Span(1, second(0), second(5))
    }

    assert critical_path(Sequence((1, Sequence((2, 3)), 4)), spans) == [1, 2, 3, 4]


def test_it_leads_through_the_outputs_that_a_step_needs() -> None:
    spans = {
        number: Span(number, second(begin), second(end))
        for number, begin, end in [(1, 0, 9), (2, 0, 1), (3, 9, 12)]
    }

    assert critical_path(Concurrence((1, 2, 3)), spans, lambda step_id: [2, 1] if step_id == 3 else []) == [
        1,
        3,
    ]


def test_steps_that_never_ran_are_waited_for_by_nobody() -> None:
    spans = {1: Span(1, second(0), second(2)), 4: Span(4, second(3), second(5))}

    assert critical_path(Sequence((1, Concurrence((2, 3)), 4)), spans) == [1, 4]
    assert critical_path(Sequence((1, 2)), {}) == []


def a_shelf() -> PlanShelf:
    """Two sequences of three steps each side by side, then finalize steps; by two workers."""
    shelf = shelf_with(IncomingIssues, ISSUES)
    for step_id, begin, end, pid in [
        (4, 0, 2, 17),
        (13, 0, 5, 18),
        (7, 2, 3, 17),
        (16, 5, 6, 18),
        (9, 3, 8, 17),
    ]:
        shelf.change_step(
            step_id, state=StepState.SUCCESS, started_at=us(begin), ended_at=us(end), worker_pid=pid
        )
    return shelf


def test_bars_lie_in_lanes_of_their_workers() -> None:
    shelf = a_shelf()
    shelf.change_step(18, state=StepState.RUNNING, started_at=us(6), ended_at=None, worker_pid=None)

    shown = timeline(ExecutionPlan.load(PLAN_ID, shelf), now=second(10))

    assert [(lane.number, lane.worker_pid) for lane in shown.lanes] == [(0, 17), (1, 18), (2, None)]
    assert [(bar.step_id, bar.lane) for bar in shown.bars] == [
        (4, 0),
        (13, 1),
        (7, 0),
        (9, 0),
        (16, 1),
        (18, 2),
    ]
    assert (shown.bars[-1].end, shown.bars[-1].state) == (second(10), "running")
    assert (shown.start, shown.end) == (second(0), second(10))
    assert shown.critical_path == [13, 16, 18]
    assert [bar.step_id for bar in shown.bars if bar.critical] == [13, 16, 18]


def test_a_worker_has_more_lanes_while_it_has_steps_that_are_suspended() -> None:
    shelf = a_shelf()
    shelf.change_step(16, state=StepState.SUSPENDED, worker_pid=17)

    shown = timeline(ExecutionPlan.load(PLAN_ID, shelf), now=second(9))

    assert [(lane.number, lane.worker_pid) for lane in shown.lanes] == [(0, 17), (1, 18), (2, 17)]
    assert {bar.step_id: bar.lane for bar in shown.bars}[16] == 2


def test_a_plan_of_which_nothing_has_run_has_no_bars() -> None:
    shown = timeline(ExecutionPlan.load(PLAN_ID, shelf_with(IncomingIssues, ISSUES)))

    assert shown == ([], [], [], None, None)


def test_ten_thousand_steps_in_wide_stages_are_no_square_of_that() -> None:
    stages = [Concurrence(range(first, first + 2_500)) for first in range(1, 10_001, 2_500)]
    spans = {
        number: Span(
            number, second((number - 1) // 2_500 * 10), second((number - 1) // 2_500 * 10 + number % 7)
        )
        for number in range(1, 10_001)
    }
    looked_at = 0

    def needs(_step_id: int) -> list[int]:
        nonlocal looked_at
        looked_at += 1
        return []

    path = critical_path(Sequence(stages), spans, needs)

    assert len(path) == looked_at == 4
