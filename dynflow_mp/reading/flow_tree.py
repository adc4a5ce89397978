"""A plan's flow as a tree with counts in every node, so that what is large can be shown closed.

sequence 2/4 ─┬─ step 3
              ├─ concurrence 1/2 ─┬─ step 5
              │                   └─ step 7
              └─ step 9
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from dynflow_mp.model.flows import Concurrence, Flow, Sequence
from dynflow_mp.model.states import Phase, StepState

if TYPE_CHECKING:
    from dynflow_mp.reading.execution_plan import ExecutionPlan

T = TypeVar("T")

_DONE = (StepState.SUCCESS, StepState.SKIPPED)
_FAILED = (StepState.ERROR, StepState.CANCELLED)


class NodeKind(StrEnum):
    """What stands at a place of the tree."""

    SEQUENCE = "sequence"
    CONCURRENCE = "concurrence"
    STEP = "step"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Node:
    """One step, or several under one rule; the counts are of the steps in it, itself included."""

    kind: NodeKind
    step_id: int | None
    children: tuple[Node, ...]
    total: int
    done: int
    """Succeeded or skipped."""
    failed: int
    running: int
    suspended: int

    @property
    def pending(self) -> int:
        """Steps that nobody has begun, or that are to be tried again."""
        return self.total - self.done - self.failed - self.running - self.suspended

    def walk(self) -> Iterator[tuple[int, Node]]:
        """Every node with its depth, each before what is in it."""
        todo: list[tuple[int, Node]] = [(0, self)]
        while todo:
            depth, node = todo.pop()
            yield depth, node
            todo.extend((depth + 1, child) for child in reversed(node.children))

    def __repr__(self) -> str:
        name = self.kind if self.step_id is None else f"{self.kind} {self.step_id}"
        return f"<{name} {self.done}/{self.total}>"


def flow_tree(plan: ExecutionPlan, phase: Phase) -> Node:
    """How the steps of a phase are to run; of phase plan, which action planned which.

    Raises :class:`~dynflow_mp.errors.InvalidPlan` for a plan that cannot be read.
    """
    states = {step.id: step.state for step in plan.steps.values()}
    if phase is Phase.PLAN:
        children = {step.id: step.children for step in plan.plan_steps}
        return plan_tree(plan.root_plan_step.id, children, states)
    return tree_of(plan.run_flow if phase is Phase.RUN else plan.finalize_flow, states)


def tree_of(flow: Flow, states: Mapping[int, StepState]) -> Node:
    """A flow with these states of its steps, however deep it nests; a step without a state counts as pending."""

    def parts(item: Flow) -> tuple[Flow, ...]:
        return () if isinstance(item, int) else tuple(item)

    def joined(item: Flow, children: tuple[Node, ...]) -> Node:
        if isinstance(item, (Sequence, Concurrence)):
            return _composed(NodeKind(item.word), None, children)
        return _leaf(item, states.get(item))

    return _built(flow, parts, joined)


def plan_tree(root: int, children: Mapping[int, list[int]], states: Mapping[int, StepState]) -> Node:
    """Plan steps, each with those of the actions that it planned."""
    seen: set[int] = set()

    def parts(step_id: int) -> tuple[int, ...]:
        own = tuple(child for child in children.get(step_id, ()) if child not in seen)
        seen.update(own)  # rows that were damaged may name a step twice, or in a circle
        return own

    def joined(step_id: int, below: tuple[Node, ...]) -> Node:
        return _composed(NodeKind.STEP, step_id, (*below, _leaf(step_id, states.get(step_id))), below)

    seen.add(root)
    return _built(root, parts, joined)


def _built(
    root: T, parts: Callable[[T], tuple[T, ...]], joined: Callable[[T, tuple[Node, ...]], Node]
) -> Node:
    """Every item joined with what was made of its parts; without recursion, since flows nest as deep as they like."""
    open_items: list[tuple[T, Iterator[T], list[Node]]] = [(root, iter(parts(root)), [])]
    while True:
        item, left, made = open_items[-1]
        for part in left:
            open_items.append((part, iter(parts(part)), []))
            break
        else:
            open_items.pop()
            node = joined(item, tuple(made))
            if not open_items:
                return node
            open_items[-1][2].append(node)


def _leaf(step_id: int, state: StepState | None) -> Node:
    return Node(
        NodeKind.STEP,
        step_id,
        (),
        1,
        int(state in _DONE),
        int(state in _FAILED),
        int(state is StepState.RUNNING),
        int(state is StepState.SUSPENDED),
    )


def _composed(
    kind: NodeKind, step_id: int | None, counted: tuple[Node, ...], children: tuple[Node, ...] | None = None
) -> Node:
    """A node that counts what is in ``counted``; its children are the same unless told otherwise."""
    return Node(
        kind,
        step_id,
        counted if children is None else children,
        sum(node.total for node in counted),
        sum(node.done for node in counted),
        sum(node.failed for node in counted),
        sum(node.running for node in counted),
        sum(node.suspended for node in counted),
    )
