"""A lock as programs are told it, by the command line and by the console's API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynflow_mp.coordinator.records import world_of_owner

if TYPE_CHECKING:
    from dynflow_mp.coordinator.records import Lock
    from dynflow_mp.reading.data_shape import Shape


def lock_shape(lock: Lock) -> Shape:
    """A lock and who holds it; ``plan_id`` of one about a plan, or that a plan holds; ``world_id`` of one that a world holds."""
    return {
        "class": lock.class_name,
        "id": lock.id,
        "owner_id": lock.owner_id,
        "epoch": lock.epoch,
        "plan_id": getattr(lock, "plan_id", None),
        "world_id": world_of_owner(lock.owner_id),
    }
