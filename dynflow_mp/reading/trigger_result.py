"""What triggering came to: a plan on its way, a plan that could not be planned, or one that waits for its time."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from dynflow_mp.reading.execution_plan import ExecutionPlan


@dataclass(frozen=True, slots=True)
class Triggered:
    """The plan is stored and asked for; ``finished`` ends with the plan when the attempt at it ended."""

    id: str
    finished: Future[ExecutionPlan]

    planned: ClassVar[bool] = True
    triggered: ClassVar[bool] = True
    scheduled: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class PlanningFailed:
    """The plan could not be planned; it is stored, stopped, with the error on its steps."""

    id: str
    error: BaseException

    planned: ClassVar[bool] = False
    triggered: ClassVar[bool] = False
    scheduled: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Scheduled:
    """The plan is stored and waits for its time."""

    id: str

    planned: ClassVar[bool] = False
    triggered: ClassVar[bool] = False
    scheduled: ClassVar[bool] = True
