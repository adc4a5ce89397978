"""One action in words and numbers, as its class presents it: user code, which may fail without keeping anybody from reading."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.failure import exception_name, message_of


class Presentation(NamedTuple):
    """What an action shows of itself; where its own method fails, the text of the error."""

    state: str
    summary: str
    progress: float
    """How much of its run and finalize is done, from 0 to 1."""


def presentation_of(action: Action) -> Presentation:
    """Ask the action's own methods."""
    return Presentation(_said(action.humanized_state), _said(action.summary), _progress(action))


def _said(ask: Callable[[], Any]) -> str:
    try:
        return str(ask())
    except Exception as error:
        return f"cannot be shown: {exception_name(type(error))}: {message_of(error)}"


def _progress(action: Action) -> float:
    counted = [step for step in action.steps[1:] if step is not None]
    weight = sum(step.progress_weight for step in counted)
    if not weight:
        return 1.0
    return float(sum(step.progress_done * step.progress_weight for step in counted) / weight)
