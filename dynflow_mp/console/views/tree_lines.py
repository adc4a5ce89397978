"""A flow in words: a line for each step and each group, for those who read rather than look."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from dynflow_mp.console.views.flow_picture import (
    IN_ORDER,
    SEQUENCE,
    TOGETHER,
    StepFacts,
    fold_counts,
    fold_params,
)
from dynflow_mp.console.views.level_of_detail import Folded, Shown, ShownStep
from dynflow_mp.console.views.words import counted


class Line(NamedTuple):
    """``kind`` is step, open, close (of a group) or folded."""

    kind: str
    words: str = ""
    aside: str = ""
    step_id: int | None = None
    state: str = ""
    together: bool = False
    params: tuple[tuple[str, str], ...] = ()


def tree_lines(shown: Shown, facts: Callable[[int], StepFacts]) -> list[Line]:
    """The lines of what is visible, in order."""
    return list(_lines(shown, facts))


def _lines(shown: Shown, facts: Callable[[int], StepFacts]) -> Iterator[Line]:
    if isinstance(shown, ShownStep):
        told = facts(shown.step_id)
        yield Line("step", told.name, told.aside, shown.step_id, told.state)
    elif isinstance(shown, Folded):
        rest = "" if shown.start is None else " more"
        rule = IN_ORDER if shown.kind == SEQUENCE else TOGETHER
        words = f"{counted(shown.total, 'step')}{rest}, {rule}"
        yield Line("folded", words, fold_counts(shown), params=fold_params(shown.path, shown.start))
    elif len(shown.children) == 1:
        yield from _lines(shown.children[0], facts)
    else:
        together = shown.kind != SEQUENCE
        yield Line("open", TOGETHER if together else IN_ORDER, together=together)
        for child in shown.children:
            yield from _lines(child, facts)
        yield Line("close")
