"""Putting right what went wrong: steps that failed, worlds that died."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynflow_mp.coordinator.records import WorldRecord
from dynflow_mp.errors import BadArgument, RequestError
from dynflow_mp.model.audits import edit_of
from dynflow_mp.planning.ids import plan_id_of
from dynflow_mp.world import arguments
from dynflow_mp.world.ground import Ground


class Repairs(Ground):
    """A world's methods for whoever looks after plans and other worlds."""

    def skip(self, plan_id: str, step_id: int, *, by: str | None = None) -> list[int]:
        """Skip a failed step of a paused plan: with it all steps that need its output, and their finalize steps.

        Returns the ids of all that are skipped. ``execute`` then goes on without them; an action whose ``run``
        takes an event is told first. Raises :class:`NotSkippable`, or :class:`AlreadyRunning` while the plan is
        executed. ``by``, here and elsewhere: who does it, which is then written down with what was done.
        """
        self._check_alive()
        arguments.number("step_id", step_id)
        plan_id = plan_id_of(plan_id)
        return self._parts.amendments.skip(plan_id, step_id, self._noted(by, plan_id, f"skip step {step_id}"))

    def edit_input(
        self,
        plan_id: str,
        step_id: int,
        changes: Mapping[str, Any],
        *,
        replace: bool = False,
        by: str | None = None,
    ) -> None:
        """Change keys of a failed step's input (with ``replace`` all of it), before its plan is resumed.

        Written into the plan's history. Raises :class:`NotEditable`, :class:`AlreadyRunning` while the plan is
        executed, :class:`DataError` for what cannot be stored.
        """
        self._check_alive()
        arguments.number("step_id", step_id)
        if not isinstance(changes, Mapping):
            raise BadArgument(f"changes={changes!r}: must be a mapping")
        plan_id = plan_id_of(plan_id)
        audit = self._noted(by, plan_id, edit_of(step_id, changes, replace))
        self._parts.amendments.edit_input(plan_id, step_id, changes, replace, audit)

    def invalidate(self, world: WorldRecord | str, *, by: str | None = None) -> int:
        """Declare another world (its record or id) dead and take its plans over; how many it had.

        If it lives it writes nothing any more and ends itself. Steps it was running are errors; plans
        without any go on in another executor, and whoever waits for them still does. Raises
        :class:`LockTaken` while another world invalidates the same one.
        """
        self._check_alive()
        world_id = arguments.world_id(world.id if isinstance(world, WorldRecord) else world)
        if world_id == self.id:
            raise RequestError(f"world {self.id} does not invalidate itself; terminate() ends it")
        return self._parts.recovery.invalidate(
            world_id, audit=self._noted(by, None, f"invalidate world {world_id}")
        )

    def validity_check(self) -> dict[str, str]:
        """Every other world by id: ``valid``, or ``invalidated`` since its process is known to be gone.

        Of a process on another host nothing can be known at once: executors watch its lease.
        """
        self._check_alive()
        return self._parts.recovery.validity_check()
