"""One answer to the question why something does not go on."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class WaitKind(StrEnum):
    """What is waited for."""

    STEP = "step"
    """Other steps of the plan, that stand before."""
    EVENT = "event"
    SLOT = "slot"
    """A worker that is free, or room among sub-plans."""
    LOCK = "lock"
    """What another world holds, dead or alive."""
    DUE = "due"
    """A time that was set."""
    RETRY = "retry"
    """The time of the next attempt."""
    QUEUE = "queue"
    """Workers of a queue that is not there, or whose workers fail."""
    EXECUTOR = "executor"
    """An executor to be there, or to see to it."""
    PREREQUISITE = "prerequisite"
    """Another plan to stop."""
    FROZEN = "frozen"
    """Somebody to let it go."""
    SUB_PLANS = "sub_plans"
    RESUME = "resume"
    """Somebody to decide: to run it, to resume it, to skip what failed."""


class Wait(NamedTuple):
    """One answer; ``step_id`` None where it is about the whole plan. ``since`` None only where nobody has written it down."""

    step_id: int | None
    kind: WaitKind
    sentence: str
    since: datetime | None
