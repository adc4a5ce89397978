"""Stands for a plan that is stored and cannot be read: what its own row says can be shown, and why not more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dynflow_mp.errors import DynflowError, InvalidPlan
from dynflow_mp.model.states import Result
from dynflow_mp.reading.execution_plan import ExecutionPlan, PastEvent
from dynflow_mp.reading.plan_source import PlanSource

if TYPE_CHECKING:
    from dynflow_mp.persistence.rows import PlanRow


class DamagedPlan(ExecutionPlan):
    """A plan with label, state, times and history. Asked for its steps or actions, it raises what is wrong with it."""

    valid = False

    def __init__(self, row: PlanRow, source: PlanSource, exception: InvalidPlan) -> None:
        super().__init__(row, source)
        self.exception = self._reason = exception

    @property
    def result(self) -> Result:
        """What was stored last, and cannot be checked."""
        return self._row.result

    @property
    def execution_history(self) -> list[PastEvent]:
        """Who executed it when; nothing where that is what is damaged."""
        try:
            return super().execution_history
        except (DynflowError, TypeError, ValueError):
            return []

    @property
    def steps(self) -> Any:
        raise self._reason

    @property
    def run_flow(self) -> Any:
        raise self._reason

    @property
    def finalize_flow(self) -> Any:
        raise self._reason

    @property
    def dependencies(self) -> Any:
        raise self._reason

    @property
    def entry_action(self) -> Any:
        raise self._reason

    def action(self, action_id: int) -> Any:
        raise self._reason

    def __repr__(self) -> str:
        return f"<invalid plan {self.id} {self.label}: {self.exception}>"


def load(plan_id: str, source: PlanSource, *more: Any) -> ExecutionPlan:
    """One plan, or what stands for it if it cannot be read. Raises :class:`PlanNotFound`."""
    try:
        return ExecutionPlan.load(plan_id, source, *more)
    except InvalidPlan as error:
        rows = source.find_execution_plans({"id": plan_id})
        if not rows:
            raise
        return DamagedPlan(rows[0], source, error)
