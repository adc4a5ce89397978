"""What a plan is called: a line of text that every database keeps and every screen can show."""

from __future__ import annotations

import unicodedata
from typing import Any

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.unwinding import Failed
from dynflow_mp.errors import PlanningError

MAX_LABEL = 255
"""Longer ones are cut."""

_UNFIT = {"Cc": "a control character", "Cs": "half a character"}


def label_of(action: Action) -> str:
    """The action's label. Raises :class:`PlanningError` for one that is no line of text, and what ``label`` raises."""
    given: Any = action.label  # a method, or a plain text
    try:
        label = str(given() if callable(given) else given)[:MAX_LABEL]
    except Failed as failed:
        raise failed.unwrapped() from None
    for position, character in enumerate(label):
        unfit = _UNFIT.get(unicodedata.category(character))
        if unfit is not None:
            raise PlanningError(
                f"the label of {type(action).__name__} has {unfit} ({character!a}) at position {position}; "
                "a label is one line of text"
            )
    return label
