"""Plans that are to start later: checked, stored, and told to whoever has them planned."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.middleware import CLASSES_ONLY, MiddlewareRules
from dynflow_mp.actions.registry import is_out_of_reach, name_of, short_name
from dynflow_mp.clock import now_us
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.errors import BadArgument, PlanningError
from dynflow_mp.model.plans import DelayRecord, HistoryEntry
from dynflow_mp.persistence.schedule import Schedule, Within
from dynflow_mp.planning.delaying import schedule
from dynflow_mp.planning.ids import new_plan_id, plan_id_of
from dynflow_mp.reading.trigger_result import Scheduled
from dynflow_mp.world import arguments


class Times(NamedTuple):
    """Between which moments a plan may start; ``frozen``: not before somebody lets it."""

    start_at: datetime | None = None
    start_before: datetime | None = None
    frozen: bool = False


AT_ONCE = Times()


NOTHING = object()
"""What a plan comes after that is not chained."""


class Scheduling:
    """One world's way to schedule plans. Any thread may call it; ``tell`` says that there is something to look at."""

    def __init__(
        self,
        schedule: Schedule,
        coordinator: Coordinator,
        tell: Callable[[], None],
        max_payload: int,
        middleware: MiddlewareRules = CLASSES_ONLY,
    ) -> None:
        self._schedule, self._coordinator = schedule, coordinator
        self._tell, self._max_payload, self._middleware = tell, max_payload, middleware

    def schedule(
        self,
        action_class: type[Action],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        times: Times = AT_ONCE,
        after: object = NOTHING,
    ) -> Scheduled:
        """Store a plan that waits. Whatever is wrong with what is given is raised, and nothing is stored."""
        record, prerequisites = _record(times), [] if after is NOTHING else _plan_ids(after)
        if isinstance(action_class, type) and is_out_of_reach(name_of(action_class)):
            raise PlanningError(
                f"{short_name(name_of(action_class))} was defined interactively, where worker processes "
                "cannot find it; put it into a module"
            )
        now = now_us()
        made = schedule(
            action_class,
            args,
            kwargs,
            times._asdict(),
            plan_id=new_plan_id(now, os.urandom),
            max_payload=self._max_payload,
            middleware=self._middleware,
        )
        plan = made.plan._replace(history=(HistoryEntry(now, "delay", self._coordinator.world_id),))
        record = record._replace(arguments=made.arguments)
        self._schedule.save(plan, record, prerequisites, now, self._coordinator.fence)
        self._tell()
        return Scheduled(plan.id)

    def set_frozen(self, plan_id: str, frozen: bool, new_start_at: int | None, within: Within) -> None:
        """Keep a plan from starting, or let it; the time in microseconds UTC. Raises :class:`NotScheduled`.

        ``within`` is done in the same transaction.
        """
        self._schedule.set_frozen(plan_id, frozen, new_start_at, self._coordinator.fence, within)
        if not frozen:
            self._tell()

    def cancel(self, plan_id: str, within: Within | None = None) -> bool:
        """Stop a plan that waits for its time or is being planned; false when it does neither.

        ``within`` is done in the same transaction.
        """
        world_id, fence = self._coordinator.world_id, self._coordinator.fence
        cancelled = self._schedule.cancel(plan_id, world_id, now_us(), fence, within)
        if cancelled:
            self._tell()  # others may come after it
        return cancelled


def _record(times: Times) -> DelayRecord:
    """The times as they are stored; the arguments are not known yet."""
    start_at = arguments.moment("start_at", times.start_at)
    start_before = arguments.moment("start_before", times.start_before)
    if start_at is not None and start_before is not None and start_before < start_at:
        raise BadArgument(
            f"start_before={times.start_before}: is before start_at={times.start_at}; it could never start"
        )
    if not isinstance(times.frozen, bool):
        raise BadArgument(f"frozen={times.frozen!r}: must be true or false")
    return DelayRecord(start_at, start_before, times.frozen, b"")


def _plan_ids(given: object) -> list[str]:
    """The ids of one plan or several, each once. Raises :class:`BadArgument` for none."""
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        given = [given]
    given = list(given)
    if not given:
        raise BadArgument("plan_ids=[]: chain needs a plan to come after; plan_elsewhere comes after none")
    return list(dict.fromkeys(plan_id_of(plan_id) for plan_id in given))
