"""What reading a plan needs of wherever plans are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from dynflow_mp.model.audits import Audit
    from dynflow_mp.persistence.rows import ActionRow, AttemptRow, ChunkRow, PlanRow, StepRow


class PlanSource(Protocol):
    """Where plans are read from."""

    def load_whole_plan(
        self, plan_id: str, up_to_steps: int
    ) -> tuple[PlanRow, list[StepRow], list[ActionRow]]: ...

    def load_steps(self, plan_id: str, step_ids: Sequence[int] | None = None) -> list[StepRow]: ...

    def load_actions(self, plan_id: str, action_ids: Sequence[int] | None = None) -> list[ActionRow]: ...

    def load_output_chunks(self, plan_id: str, action_id: int, kind: str | None = None) -> list[ChunkRow]: ...

    def load_attempts(self, plan_id: str, step_id: int | None = None) -> list[AttemptRow]: ...

    def load_audits(self, plan_id: str) -> list[Audit]: ...

    def find_execution_plans(self, filters: Mapping[str, Any] | None = None) -> list[PlanRow]: ...

    def count_execution_plans(self, filters: Mapping[str, Any] | None = None) -> int: ...
