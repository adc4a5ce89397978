"""Planning on behalf of a running action, in its worker: what it triggers is planned where it stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.middleware import world_middleware
from dynflow_mp.actions.sub_plan import PlannedSubPlan, SubPlanner
from dynflow_mp.actions.unique_key import with_key
from dynflow_mp.errors import PlanningError
from dynflow_mp.model.plans import PlannedPlan
from dynflow_mp.planning.ids import new_plan_id
from dynflow_mp.planning.planner import plan

_LONGEST_NAME = 255


def sub_planner(now: Callable[[], int], random: Callable[[int], bytes]) -> SubPlanner:
    """Who plans sub-plans; ``now`` tells microseconds UTC, ``random`` gives so many bytes."""

    def plan_sub_plan(
        kind: type[Action],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        caller: tuple[str, int],
        max_payload: int,
    ) -> PlannedSubPlan:
        planned = plan(
            kind,
            args,
            kwargs,
            now=now,
            new_id=lambda: new_plan_id(now(), random),
            caller=caller,
            max_payload=max_payload,
            middleware=world_middleware(),
        )
        _check_names(planned.plan)
        return PlannedSubPlan(with_key(planned.plan, planned.root), planned.error)

    return plan_sub_plan


def _check_names(planned: PlannedPlan) -> None:
    """What no row can hold is found here, where its action can be told: later it would sink a turn."""
    for name in planned.policies:
        if len(name) > _LONGEST_NAME:
            raise PlanningError(
                f"trigger: the class name {name[:60]}… is longer than {_LONGEST_NAME} letters"
            )
