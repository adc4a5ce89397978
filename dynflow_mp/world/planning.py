"""Calls become stored plans here and now; a trigger also asks for them to be run."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from dynflow_mp.actions.action import Action
from dynflow_mp.clock import now_us
from dynflow_mp.model.held_by_plans import OnConflict
from dynflow_mp.model.states import PlanState
from dynflow_mp.persistence.held_by_plans import Holder
from dynflow_mp.reading.execution_plan import ExecutionPlan
from dynflow_mp.reading.trigger_result import PlanningFailed, Scheduled, Triggered
from dynflow_mp.world import arguments
from dynflow_mp.world.plans import NewPlan, plan_here, store_planned
from dynflow_mp.world.requests import Requests


class Planning(Requests):
    """A world's methods that plan in the calling thread."""

    def trigger(
        self, action_class: type[Action], /, *args: Any, **kwargs: Any
    ) -> Triggered | PlanningFailed | Scheduled:
        """Plan ``action_class`` with these arguments and ask an executor to run the plan.

        ``plan`` runs here and now; when this returns the plan is stored. What then happens to it
        shows in the returned future.
        """
        return self.trigger_with_options(action_class, args, kwargs)

    def trigger_with_options(
        self,
        action_class: type[Action],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,  # noqa: A002 - Dynflow's name for it
        unique_key: str | None = None,
        on_conflict: OnConflict | str | None = None,
        deadline_s: float | None = None,
    ) -> Triggered | PlanningFailed | Scheduled:
        """Like :meth:`trigger`, under an id of the caller's own choice, with a key that no other plan holds, or a deadline.

        ``on_conflict`` says what becomes of it when another does: ``raise`` :class:`UniqueKeyTaken`, ``return`` what
        has been triggered already, ``replace`` it, which works as long as nobody runs it. Nothing is stored of a
        plan that is not wanted. Raises :class:`BadUniqueKey` for a key that cannot be kept, and
        :class:`TooManyRequests` when ``max_open_requests`` futures are open and stay so for half a minute.
        """
        self._check_room()
        new = self._store_new(
            action_class, args, kwargs, id, unique_key, on_conflict, now_us(), deadline_s=deadline_s
        )
        if new.holder is not None:
            return Triggered(new.id, self._waiting_for(new.holder))
        if new.error is not None:
            return PlanningFailed(new.id, new.error)
        return Triggered(new.id, self._parts.client.execute(new.id, new.queue))

    def _waiting_for(self, holder: Holder) -> Future[ExecutionPlan]:
        """The end of a plan that was there before, asked for by whom ever."""
        if holder.state == PlanState.PLANNED and holder.requested_at is None:
            return self.execute(holder.plan_id)
        return self._parts.client.watch(holder.plan_id)

    def plan(self, action_class: type[Action], /, *args: Any, **kwargs: Any) -> ExecutionPlan:
        """Only plan and store; ``execute`` runs it."""
        return self.plan_with_options(action_class, args, kwargs)

    def plan_with_options(
        self,
        action_class: type[Action],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,  # noqa: A002 - Dynflow's name for it
        unique_key: str | None = None,
        on_conflict: OnConflict | str | None = None,
        deadline_s: float | None = None,
    ) -> ExecutionPlan:
        """Plan under an id of the caller's own choice (a UUID as text), with a unique key, with a deadline of its own."""
        new = self._store_new(action_class, args, kwargs, id, unique_key, on_conflict, deadline_s=deadline_s)
        return self.persistence.load_execution_plan(new.id)

    def _store_new(
        self,
        action_class: type[Action],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any] | None,
        plan_id: str | None,
        unique_key: str | None,
        on_conflict: OnConflict | str | None,
        requested_at: int | None = None,
        deadline_s: float | None = None,
    ) -> NewPlan:
        self._check_alive()
        args, keywords = arguments.call(args, kwargs)
        within_s = None if deadline_s is None else arguments.span("deadline_s", deadline_s)
        middleware = self._parts.middleware.rules
        planned = plan_here(
            action_class, args, keywords, plan_id, self.config.max_payload, middleware, within_s
        )
        store, fence = self._parts.store, self.coordinator.fence
        return store_planned(store, fence, planned, unique_key, on_conflict, requested_at)
