"""The flow builder does what the rule says, as a literal reading of it does: compared on random programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dynflow_mp.errors import PlanningError
from dynflow_mp.model.flows import Concurrence, Flow, Sequence
from dynflow_mp.planning.flow_builder import FlowBuilder

# -- the rule, word by word ------------------------------------------------------------------------


@dataclass(eq=False)
class Written:
    """One flow of the literal reading: ``kind`` is Sequence or Concurrence."""

    kind: type
    flows: list[Any] = field(default_factory=list)


def steps_of(flow: Any) -> list[int]:
    return [flow] if isinstance(flow, int) else [step for inner in flow.flows for step in steps_of(inner)]


def flatten(flow: Any) -> None:
    if isinstance(flow, int):
        return
    for position in reversed(range(len(flow.flows))):
        child = flow.flows[position]
        if isinstance(child, int):
            continue
        if child.kind is flow.kind:
            flow.flows[position : position + 1] = child.flows
        elif len(child.flows) == 1:
            flow.flows[position] = child.flows[0]
    for child in flow.flows:
        flatten(child)


class LiteralBuilder:
    def __init__(self) -> None:
        self.root = Written(Concurrence)
        self.stack = [self.root]
        self.graph: dict[int, list[int]] = {}

    def open_sequence(self) -> Written:
        return self._opened(Written(Sequence))

    def open_concurrence(self) -> Written:
        return self._opened(Written(Concurrence))

    def open_around_last(self, child_was_added: bool) -> Written:
        return self._opened(Written(Concurrence, [self.stack[-1].flows.pop()] if child_was_added else []))

    def _opened(self, flow: Written) -> Written:
        self.stack.append(flow)
        return flow

    def close(self, flow: Written) -> bool:
        assert self.stack.pop() is flow
        self.add(self.stack[-1], flow)
        return bool(flow.flows)

    def add_run_step(self, step_id: int, needs: Any = ()) -> None:
        self.graph[step_id] = list(dict.fromkeys(needs))
        self.add(self.stack[-1], step_id)

    def add(self, target: Written, new: Any) -> None:
        if not isinstance(new, int) and not new.flows:
            return
        found: list[Any] = []
        for step in steps_of(new):
            for needed in list(self.graph[step]):
                for child in target.flows:
                    if needed in steps_of(child):
                        if not any(child is other for other in found):
                            found.append(child)
                        self.graph[step].remove(needed)
                        break
        if target.kind is Sequence or not found:
            target.flows.append(new)
        else:
            target.flows = [child for child in target.flows if not any(child is other for other in found)]
            target.flows.append(Written(Sequence, [Written(Concurrence, found), new]))
        flatten(target)

    def run_flow(self) -> Flow:
        assert not any(self.graph.values())
        flow = frozen(self.root)
        return flow[0] if isinstance(flow, Concurrence) and len(flow) == 1 else flow


def frozen(flow: Any) -> Flow:
    return flow if isinstance(flow, int) else flow.kind(map(frozen, flow.flows))


# -- random programs -------------------------------------------------------------------------------

references = st.lists(st.integers(min_value=0, max_value=10_000), max_size=3)
programs = st.recursive(
    st.tuples(st.just("step"), references),
    lambda inner: st.one_of(
        st.tuples(st.just("sequence"), st.lists(inner, max_size=5)),
        st.tuples(st.just("concurrence"), st.lists(inner, max_size=5)),
        st.tuples(st.just("subscribed"), st.lists(inner, max_size=3), st.lists(inner, max_size=3)),
    ),
    max_leaves=25,
)


def play(program: Any, builder: Any, made: list[int]) -> None:
    """Run one program on a builder; references wrap around the steps there are so far."""
    word, body = program[0], program[1]
    if word == "step":
        needs = [made[number % len(made)] for number in body] if made else []
        made.append(len(made) + 1)
        builder.add_run_step(made[-1], needs)
        return
    container = builder.open_sequence() if word == "sequence" else builder.open_concurrence()
    for inner in body:
        play(inner, builder, made)
    added = builder.close(container)
    if word == "subscribed":
        around = builder.open_around_last(added)
        for inner in program[2]:
            play(inner, builder, made)
        builder.close(around)


def flow_of(*programs: Any) -> Flow:
    builder = FlowBuilder()
    made: list[int] = []
    for program in programs:
        play(program, builder, made)
    return builder.run_flow()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(programs, max_size=6))
def test_every_program_gives_the_flow_of_the_literal_rule(sequence_of_programs: list[Any]) -> None:
    literal, builder = LiteralBuilder(), FlowBuilder()

    for program in sequence_of_programs:
        made = sorted(literal.graph)
        play(program, literal, list(made))
        play(program, builder, list(made))

    assert builder.run_flow() == literal.run_flow()


# -- the rows of the specification's table ---------------------------------------------------------


def step(*needs: int) -> tuple[str, list[int]]:
    """A step that needs the steps of these numbers."""
    return "step", [number - 1 for number in needs]


def sequence(*inner: Any) -> tuple[str, list[Any]]:
    return "sequence", list(inner)


def concurrence(*inner: Any) -> tuple[str, list[Any]]:
    return "concurrence", list(inner)


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ([step(), step(), step(1), step(1, 2), step(3)], "sequence(concurrence(sequence(1, 3), 2), 4, 5)"),
        ([step(), step(), sequence(step(), step()), step()], "concurrence(1, 2, sequence(3, 4), 5)"),
        (
            [
                step(),
                sequence(step(), step(1)),
                concurrence(step(), sequence(step(), concurrence(step(), step()))),
            ],
            "concurrence(sequence(1, 2, 3), 4, sequence(5, concurrence(6, 7)))",
        ),
        (
            [sequence(step(), step(1), concurrence(step(), step()), concurrence(step(), step()))],
            "sequence(1, 2, concurrence(3, 4), concurrence(5, 6))",
        ),
        (
            [sequence(step(), concurrence(step(), step(), step(2)), step()), step()],
            "concurrence(sequence(1, concurrence(3, sequence(2, 4)), 5), 6)",
        ),
        (
            [step(), step(), sequence(step(), concurrence(step(1), step()))],
            "concurrence(2, sequence(1, 3, concurrence(4, 5)))",
        ),
        ([sequence(concurrence(step(), step(), step()), step())], "sequence(concurrence(1, 2, 3), 4)"),
    ],
)
def test_the_examples_of_the_specification(program: list[Any], expected: str) -> None:
    assert str(flow_of(concurrence(*program))) == expected


def test_an_empty_plan_has_an_empty_concurrence_and_an_empty_sequence() -> None:
    builder = FlowBuilder()

    builder.close(builder.open_concurrence())

    assert (str(builder.run_flow()), str(builder.finalize_flow())) == ("concurrence()", "sequence()")


def test_a_single_step_is_the_run_flow_itself() -> None:
    assert flow_of(concurrence(step())) == 1


def test_five_thousand_nested_sequences_are_one() -> None:
    builder = FlowBuilder()
    opened = []
    for number in range(5_000):
        opened.append(builder.open_sequence())
        builder.add_run_step(number + 1)

    for container in reversed(opened):
        builder.close(container)

    assert builder.run_flow() == Sequence(range(1, 5_001))


def test_thousands_of_alternating_levels_do_not_overflow_the_stack() -> None:
    builder = FlowBuilder()
    opened = []
    for number in range(5_000):
        opened.append(builder.open_sequence() if number % 2 else builder.open_concurrence())
        builder.add_run_step(number + 1)

    for container in reversed(opened):
        builder.close(container)

    flow = builder.run_flow()
    assert isinstance(flow, Concurrence)
    assert flow.step_ids == list(range(1, 5_001))


def test_a_step_that_nothing_holds_is_named() -> None:
    builder = FlowBuilder()

    builder.add_run_step(1, needs=[99])

    with pytest.raises(PlanningError, match=r"1: \[99\]"):
        builder.require_resolved()


def test_closing_twice_is_refused() -> None:
    builder = FlowBuilder()
    container = builder.open_sequence()
    builder.close(container)

    with pytest.raises(PlanningError, match="closed twice"):
        builder.close(container)


def test_closing_an_outer_container_closes_what_was_left_open_in_it() -> None:
    builder = FlowBuilder()
    outer = builder.open_sequence()
    builder.add_run_step(1)
    builder.open_concurrence()
    builder.add_run_step(2)

    builder.close(outer)

    assert str(builder.run_flow()) == "sequence(1, 2)"
