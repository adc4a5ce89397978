"""How a call in this process becomes a plan that workers can run."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, NamedTuple

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.middleware import MiddlewareRules
from dynflow_mp.actions.registry import is_out_of_reach, short_name
from dynflow_mp.actions.unique_key import mode_of, unique_key_of
from dynflow_mp.clock import now_us
from dynflow_mp.errors import AlreadyActive, PlanningError
from dynflow_mp.failpoints import failpoint
from dynflow_mp.model.held_by_plans import OnConflict
from dynflow_mp.model.plans import PlannedPlan
from dynflow_mp.model.policies import DEFAULT_QUEUE
from dynflow_mp.model.states import PlanState
from dynflow_mp.persistence.database import Fence
from dynflow_mp.persistence.held_by_plans import Holder, KeyHeld
from dynflow_mp.persistence.store import Store
from dynflow_mp.planning.ids import new_plan_id
from dynflow_mp.planning.planner import Planned, plan


def plan_here(
    action_class: type[Action],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    plan_id: str | None,
    max_payload: int,
    middleware: MiddlewareRules,
    deadline_s: float | None = None,
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
        middleware=middleware,
        deadline_s=deadline_s,
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


class NewPlan(NamedTuple):
    """What became of a plan that was to be stored."""

    id: str
    queue: str = DEFAULT_QUEUE
    """The queue of its first step."""
    error: BaseException | None = None
    """Why it could not be planned."""
    holder: Holder | None = None
    """The plan that has its unique key, and is wanted instead; then ``id`` is that one's."""


def store_planned(
    store: Store,
    fence: Fence,
    planned: Planned,
    unique_key: str | None = None,
    on_conflict: OnConflict | str | None = None,
    requested_at: int | None = None,
) -> NewPlan:
    """Store a plan that was just made, with its unique key. Raises :class:`UniqueKeyTaken`, :class:`BadUniqueKey`."""
    mode = mode_of(type(planned.root), on_conflict)
    new = planned.plan
    if planned.error is None:
        key = unique_key_of(planned.root, unique_key)
        new = new if key is None else new._replace(unique_key=key)
    failpoint("plan_planned")
    try:
        stored = store.save_plan(new, requested_at=requested_at, fence=fence, on_conflict=mode)
    except KeyHeld as held:
        return NewPlan(held.holder.plan_id, holder=held.holder)
    failpoint("plan_stored")
    return NewPlan(stored.id, stored.first_queue, _error_of(planned, stored))


def _error_of(planned: Planned, stored: PlannedPlan) -> BaseException | None:
    if stored.state is PlanState.PLANNED:
        return None
    if planned.error is not None:
        return planned.error
    failed = next(step.action_class for step in stored.steps if step.error is not None)
    return AlreadyActive(failed)
