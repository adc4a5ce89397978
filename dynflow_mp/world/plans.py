"""How a call in this process becomes a plan that workers can run."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.registry import is_out_of_reach, short_name
from dynflow_mp.clock import now_us
from dynflow_mp.errors import PlanningError
from dynflow_mp.planning.ids import new_plan_id
from dynflow_mp.planning.planner import Planned, plan


def plan_here(
    action_class: type[Action],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    plan_id: str | None,
    max_payload: int,
) -> Planned:
    """Run ``plan`` now. Raises :class:`PlanningError` for a plan that no worker could run any of."""
    planned = plan(
        action_class,
        args,
        kwargs,
        plan_id=plan_id,
        now=now_us,
        new_id=lambda: new_plan_id(now_us(), os.urandom),
        max_payload=max_payload,
    )
    _check_workers_can_load(planned.plan.policies)
    return planned


def _check_workers_can_load(classes: Iterable[str]) -> None:
    """Refuse a plan of classes that live only in this process."""
    for name in filter(is_out_of_reach, classes):
        raise PlanningError(
            f"{short_name(name)} was defined interactively, where worker processes cannot find it; "
            "put it into a module"
        )
