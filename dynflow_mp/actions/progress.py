"""Numbers that tell how much of an action is done, as users' classes give them."""

from __future__ import annotations

from math import isfinite
from typing import Any

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.unwinding import Failed


def weight_of(action: Action, attribute: str) -> float:
    """A weight as the class gives it: a number, or a method to ask; what fails or makes no sense weighs nothing."""
    try:
        weight: Any = getattr(action, attribute)
        return finite(weight() if callable(weight) else weight)
    except (Exception, Failed):
        return 0.0


def finite(value: Any) -> float:
    """``value`` as a number, 0 where it is none that can be counted with."""
    number = float(value)
    return number if isfinite(number) else 0.0
