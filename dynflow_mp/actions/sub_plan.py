"""What one call of ``run`` triggers: planned at once, stored and started with what comes of the call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from dynflow_mp.errors import StepError, TooMuchTriggered
from dynflow_mp.model.planned_codec import plan_to_bytes
from dynflow_mp.model.plans import PlannedPlan
from dynflow_mp.model.sub_plans import MAX_TRIGGERED_BYTES, NewSubPlan, Orders

if TYPE_CHECKING:
    from dynflow_mp.actions.action import Action


class SubPlan(NamedTuple):
    """A sub-plan that was triggered: it is stored, and then started, with what comes of the call.

    ``error`` is why it could not be planned; then it is stored stopped, and never started.
    """

    id: str
    error: BaseException | None = None

    @property
    def planned(self) -> bool:
        """Whether there is something to run."""
        return self.error is None

    @property
    def triggered(self) -> bool:
        """As of what ``World.trigger`` returns: whether it was planned."""
        return self.error is None

    @property
    def failed(self) -> bool:
        """Whether planning it failed."""
        return self.error is not None


class PlannedSubPlan(NamedTuple):
    """A new plan, and the error that stopped its planning if one did."""

    plan: PlannedPlan
    error: BaseException | None


SubPlanner: TypeAlias = (
    "Callable[[type[Action], tuple[Any, ...], dict[str, Any], tuple[str, int], int], PlannedSubPlan]"
)
"""Plans an action class with arguments and keywords for a caller (plan id, action id), payloads up to a size."""


class Triggering:
    """The sub-plans of one call, and what it wants done with earlier ones."""

    __slots__ = ("_caller", "_max_payload", "_plan_sub_plan", "_size", "orders", "plans")

    def __init__(self, plan_sub_plan: SubPlanner | None, caller: tuple[str, int], max_payload: int) -> None:
        self._plan_sub_plan, self._caller, self._max_payload = plan_sub_plan, caller, max_payload
        self._size = 0
        self.plans: list[bytes] = []
        self.orders: Orders | None = None

    def trigger(
        self, kind: type[Action], args: tuple[Any, ...], kwargs: dict[str, Any], held_back: bool
    ) -> SubPlan:
        """Plan ``kind``; one that is held back is stored, and started only by an order."""
        if self._plan_sub_plan is None:
            raise StepError("trigger: nothing here can plan sub-plans")
        plan, error = self._plan_sub_plan(kind, args, kwargs, self._caller, self._max_payload)
        packed = NewSubPlan(plan.id, error is None and not held_back, plan_to_bytes(plan)).to_bytes()
        if self._size + len(packed) > MAX_TRIGGERED_BYTES:
            raise TooMuchTriggered(len(self.plans) + 1, self._size + len(packed), MAX_TRIGGERED_BYTES)
        self._size += len(packed)
        self.plans.append(packed)
        return SubPlan(plan.id, error)
