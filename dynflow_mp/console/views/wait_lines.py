"""Why a plan does not go on, in a few lines: steps that wait for the same stand together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from dynflow_mp.model.states import PlanState

MOST_LINES = 5
MOST_STEPS = 4


class WaitLine(NamedTuple):
    """Some steps, none of them for the plan as a whole; ``left`` more of them are not named."""

    step_ids: tuple[int, ...]
    left: int
    sentence: str
    since: datetime | None


def wait_lines(waits: Sequence[Any], plan_state: str) -> tuple[list[WaitLine], int]:
    """The lines, and how many steps wait for something else again."""
    whole = [WaitLine((), 0, wait.sentence, wait.since) for wait in waits if wait.step_id is None]
    if whole and plan_state != PlanState.RUNNING:
        return whole, 0  # its steps wait with it
    groups: dict[tuple[bool, str], list[Any]] = {}
    for wait in waits:
        if wait.step_id is not None:
            groups.setdefault((wait.kind == "step", wait.sentence), []).append(wait)
    # That a step waits for the one before it is seen in every picture: it comes last.
    lines = [_line(groups[key]) for key in sorted(groups, key=lambda one: one[0])]
    left = sum(len(line.step_ids) + line.left for line in lines[MOST_LINES:])
    return whole + lines[:MOST_LINES], left


def waits_of_step(waits: Sequence[Any], step_id: int) -> list[WaitLine]:
    """Those of one step."""
    return [WaitLine((), 0, wait.sentence, wait.since) for wait in waits if wait.step_id == step_id]


def _line(waits: list[Any]) -> WaitLine:
    ids = tuple(wait.step_id for wait in waits)
    since = min((wait.since for wait in waits if wait.since is not None), default=None)
    return WaitLine(ids[:MOST_STEPS], max(0, len(ids) - MOST_STEPS), waits[0].sentence, since)
