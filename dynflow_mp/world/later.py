"""Plans for later: at a time, after others, or at once but planned by a worker."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dynflow_mp.actions.action import Action
from dynflow_mp.reading.trigger_result import Scheduled
from dynflow_mp.world.ground import Ground
from dynflow_mp.world.scheduling import Times


class Later(Ground):
    """A world's methods for plans that somebody else plans, when their time has come."""

    def delay(
        self,
        action_class: type[Action],
        /,
        *args: Any,
        start_at: datetime | None = None,
        start_before: datetime | None = None,
        frozen: bool = False,
        **kwargs: Any,
    ) -> Scheduled:
        """Store a plan that is planned, by a worker, and run at ``start_at`` (none, or one that has passed: at once).

        One that could not be planned until ``start_before`` stops with an error; a ``frozen`` one waits until
        :meth:`set_delayed_plan_frozen` lets it. Times have a time zone. Raises :class:`DataError` for arguments that
        cannot be stored, and what the action's own ``delay`` raises: then nothing is stored.
        """
        times = Times(start_at, start_before, frozen)
        return self._scheduling().schedule(action_class, args, kwargs, times)

    def plan_elsewhere(self, action_class: type[Action], /, *args: Any, **kwargs: Any) -> Scheduled:
        """Have the plan made, by a worker, and run as soon as possible: ``plan`` does not run in this process."""
        return self._scheduling().schedule(action_class, args, kwargs)

    def chain(
        self, plan_ids: str | Sequence[str], action_class: type[Action], /, *args: Any, **kwargs: Any
    ) -> Scheduled:
        """Have the plan made and run once all these plans have stopped.

        If one of them ended in error, or was cancelled, this one stops with an error that names it.
        Raises :class:`PlanNotFound` for one that is not stored.
        """
        return self._scheduling().schedule(action_class, args, kwargs, after=plan_ids)

    def set_delayed_plan_frozen(
        self, plan_id: str, frozen: bool = True, new_start_at: datetime | None = None
    ) -> None:
        """Keep a delayed plan from starting, or let it, perhaps at another time.

        Raises :class:`NotScheduled` for a plan that does not wait for its time.
        """
        self._scheduling().set_frozen(plan_id, frozen, new_start_at)
