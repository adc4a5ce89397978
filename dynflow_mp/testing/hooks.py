"""Hooks in an in-thread world: the hook caller without its thread, looking when it is woken."""

from __future__ import annotations

from dynflow_mp.maintenance.hook_caller import HookCaller
from dynflow_mp.persistence.hook_store import HookStore
from dynflow_mp.testing.core import InThreadCore


class InThreadHooks(HookCaller):
    """Has the hooks that are noted called by one executor's workers."""

    def __init__(self, store: HookStore, core: InThreadCore) -> None:
        super().__init__(store, core.coordinator, core.run_errand, interval_s=0.0)
        self.wake()

    def start(self) -> None:
        """There is no thread to start."""

    @property
    def pending(self) -> bool:
        """Whether there may be something to do now."""
        return self._woken.is_set()

    def go_on(self) -> None:
        """Look once."""
        self._woken.clear()
        self.round()

    def close(self) -> None:
        """Calls that were not made are given back."""
        self._end()
