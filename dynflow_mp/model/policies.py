"""What an action class asks of the engine, frozen once per class per plan when the plan is made.

A class may change in the code while plans made with its old form still run: those keep what they
were planned with (decisions.md 15).
"""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

DEFAULT_QUEUE = "default"


class RescueStrategy(str, Enum):
    """What to do about a failed step (dynflow-core.md §11.4)."""

    SKIP = "skip"
    PAUSE = "pause"
    FAIL = "fail"

    __str__ = str.__str__


class ActionPolicy(NamedTuple):
    """One action class's facts, as data."""

    queue: str | None = None
    """Named pool for its run and finalize steps; None takes the triggering action's, then ``default``."""
    accepts_event: bool = False
    """Whether ``run`` has a parameter besides ``self``."""
    rescue_strategy: str = RescueStrategy.PAUSE.value
    idempotent: bool = False
    cancellable: bool = False
    """Whether its steps can be sent Cancel and Abort."""
    run_timeout_s: float | None = None
    """How long one call of ``run`` may take."""
    memory_limit: int | None = None
    """How many bytes its worker may have resident while ``run`` is called."""
    with_sub_plans: bool = False
    """Whether ``run`` is told how the sub-plans of its action stand."""
    singleton: bool = False
    """Whether no two plans with an action of the class may be active."""
    hooks: str = ""
    """What its hooks are called for, parted by spaces."""

    def to_data(self) -> list[Any]:
        return list(self)

    @classmethod
    def from_data(cls, data: list[Any]) -> ActionPolicy:
        return cls(*data[: len(cls._fields)])
