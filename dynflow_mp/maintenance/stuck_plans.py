"""Why a plan does not go on, from all that its database says and this host knows: also of worlds that nobody has missed yet."""

from __future__ import annotations

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import DelayedExecutorLock, WorldInvalidationLock, plan_lock_id
from dynflow_mp.maintenance.processes_alive import gone
from dynflow_mp.planning.ids import plan_id_of
from dynflow_mp.reading.library import Library
from dynflow_mp.reading.wait import Wait


def why_waiting(library: Library, coordinator: Coordinator, plan_id: str) -> list[Wait]:
    """What a plan waits for, first, and each of its steps that waits, by id; nothing if it goes on, or is over.

    Raises :class:`PlanNotFound`, or :class:`InvalidPlan` for a plan that cannot be read.
    """
    plan_id = plan_id_of(plan_id)
    about = coordinator.find_locks(id=[plan_lock_id(plan_id), DelayedExecutorLock.ID])
    takeovers = coordinator.find_locks(class_name=WorldInvalidationLock.__name__)
    worlds = coordinator.find_worlds()
    ended = {world.id for world in worlds if world.state != "dead" and gone(world)}
    return library.why_waiting(plan_id, worlds, [*about, *takeovers], ended)
