"""Who planned whom: the plan steps of a plan as a tree, flattened to lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from dynflow_mp.model.states import Phase

DEEPEST_INDENT = 12


class MadeStep(NamedTuple):
    """A run or finalize step that an action's planning made."""

    step_id: int
    phase: str


class PlannedLine(NamedTuple):
    """One action. ``depth`` counts from 0, the entry action."""

    step_id: int
    depth: int
    words: str
    state: str
    execution_time: float
    made: tuple[MadeStep, ...]

    @property
    def indent(self) -> str:
        """What stands before it."""
        return "" if not self.depth else "  " * (min(self.depth, DEEPEST_INDENT) - 1) + "└ "


def planned_order(root: int, steps: Mapping[int, Any]) -> list[tuple[int, int]]:
    """Ids of plan steps with their depths, each before those it planned, whatever is missing or damaged."""
    found: list[tuple[int, int]] = []
    seen: set[int] = set()
    stack = [(root, 0)]
    while stack:
        step_id, depth = stack.pop()
        if step_id in seen or step_id not in steps:
            continue
        seen.add(step_id)
        found.append((step_id, depth))
        stack.extend((child, depth + 1) for child in reversed(steps[step_id].children))
    return found


def planned_lines(
    order: Iterable[tuple[int, int]], steps: Mapping[int, Any], made: Mapping[int, tuple[MadeStep, ...]]
) -> list[PlannedLine]:
    """The lines of these; ``made`` is by action."""
    return [
        PlannedLine(
            step_id,
            depth,
            steps[step_id].action_class,
            str(steps[step_id].state),
            steps[step_id].execution_time,
            made.get(steps[step_id].action_id, ()),
        )
        for step_id, depth in order
    ]


def made_steps(steps: Iterable[Any]) -> dict[int, tuple[MadeStep, ...]]:
    """The run and finalize steps of each action."""
    found: dict[int, list[MadeStep]] = {}
    for step in _later(steps):
        found.setdefault(step.action_id, []).append(MadeStep(step.id, str(step.phase)))
    return {action_id: tuple(made) for action_id, made in found.items()}


def _later(steps: Iterable[Any]) -> Iterator[Any]:
    return (step for step in steps if step.phase != Phase.PLAN)
