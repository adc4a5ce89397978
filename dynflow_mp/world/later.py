"""Plans for later: at a time, after others, or at once but planned by a worker."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from dynflow_mp.actions.action import Action
from dynflow_mp.planning.ids import plan_id_of
from dynflow_mp.reading.trigger_result import Scheduled
from dynflow_mp.world import arguments
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
        self,
        plan_id: str,
        frozen: bool = True,
        new_start_at: datetime | None = None,
        *,
        by: str | None = None,
    ) -> None:
        """Keep a delayed plan from starting, or let it, perhaps at another time. ``by``: who wants it, which is then written down.

        Raises :class:`NotScheduled` for a plan that does not wait for its time.
        """
        scheduling = self._scheduling()
        kept, start_at = arguments.flag("frozen", frozen), arguments.moment("new_start_at", new_start_at)
        plan_id = plan_id_of(plan_id)
        audit = self._noted(by, plan_id, _freezing(kept, new_start_at))
        noted = partial(self._parts.store.add_audit_within, audit=audit)
        scheduling.set_frozen(plan_id, kept, start_at, noted)


def _freezing(frozen: bool, new_start_at: datetime | None) -> str:
    """What it is called where it is written down."""
    deed = "freeze" if frozen else "let go"
    if new_start_at is None:
        return deed
    return f"{deed}, to start at {new_start_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
