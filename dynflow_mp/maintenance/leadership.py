"""What one world of all does for the others, as long as it holds a lock."""

from __future__ import annotations

from collections.abc import Callable

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import Lock, owner_of_world
from dynflow_mp.errors import LockLost, LockTaken


class Leadership:
    """Whether this world is the one. Used by one thread; every look asks the database.

    The lock goes with its world: when it ends, and when it is declared dead (``recovery``). Then whoever looks
    first has it. ``may``: whether this world is fit to lead; one that is not (any more) lets others.
    """

    def __init__(self, coordinator: Coordinator, lock: Lock, may: Callable[[], bool] = lambda: True) -> None:
        self._coordinator, self._lock, self._may = coordinator, lock, may
        self.held = False
        """What the last look found."""

    def look(self) -> bool:
        """Whether this world leads, from now on if nobody did. Raises :class:`InactiveWorld` while it ends."""
        holder = self.holder()
        if not self._may():
            if holder == self._lock.owner_id:
                self.let_go()
            self.held = False
        elif holder is None:
            self.held = self._try()
        else:
            self.held = holder == self._lock.owner_id
        return self.held

    def holder(self) -> str | None:
        """The owner of the lock, None if nobody leads."""
        found = self._coordinator.find_locks(class_name=self._lock.class_name, id=self._lock.id)
        return found[0].owner_id if found else None

    def let_go(self) -> None:
        """Let another world lead; not to lead is fine."""
        self.held = False
        try:
            self._coordinator.release(self._lock)
        except LockLost:
            return

    def _try(self) -> bool:
        try:
            self._coordinator.acquire(self._lock)
        except LockTaken:
            return False
        return True


def led_by(coordinator: Coordinator, lock: Lock) -> str | None:
    """The id of the world that holds the lock of this class and id, whoever is named in ``lock``."""
    for found in coordinator.find_locks(class_name=lock.class_name, id=lock.id):
        return found.owner_id.removeprefix(owner_of_world(""))
    return None
