"""When a scheduled plan may start and what it is to be planned with, as people see it."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Any

from dynflow_mp.model.plans import DelayRecord
from dynflow_mp.planning.delaying import decode_arguments
from dynflow_mp.reading.step import at


class DelayedPlan:
    """The delay record of one plan: as it was when it was read."""

    def __init__(self, plan_id: str, record: DelayRecord, prerequisites: list[str]) -> None:
        self.execution_plan_id = plan_id
        self.prerequisites = prerequisites
        """The plans it comes after."""
        self._record = record

    @property
    def start_at(self) -> datetime | None:
        """Not before; None: at once."""
        return at(self._record.start_at)

    @property
    def start_before(self) -> datetime | None:
        """Not afterwards; None: whenever."""
        return at(self._record.start_before)

    @property
    def frozen(self) -> bool:
        """Whether it waits until somebody lets it go."""
        return self._record.frozen

    @property
    def args(self) -> list[Any]:
        """The arguments without names; tuples have become lists."""
        return self._arguments[0]

    @property
    def kwargs(self) -> dict[str, Any]:
        """The arguments with names."""
        return self._arguments[1]

    @cached_property
    def _arguments(self) -> tuple[list[Any], dict[str, Any]]:
        return decode_arguments(self._record.arguments)

    def __repr__(self) -> str:
        return f"<DelayedPlan {self.execution_plan_id}: {self.start_at or 'at once'}>"
