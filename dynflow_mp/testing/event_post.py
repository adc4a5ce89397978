"""Events between plans of an in-thread world: the event post without its thread, looking when it is woken."""

from __future__ import annotations

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.maintenance.event_post import EventPost, Send
from dynflow_mp.persistence.posted_events import PostedEvents


class InThreadEventPost(EventPost):
    """Brings what one executor's actions have sent, and what one before it has left."""

    def __init__(self, store: PostedEvents, coordinator: Coordinator, send: Send) -> None:
        super().__init__(store, coordinator, send, interval_s=0.0)

    def start(self) -> None:
        """There is no thread to start."""

    @property
    def pending(self) -> bool:
        """Whether there may be something to do now."""
        return self._woken.is_set()

    def go_on(self) -> None:
        """Look once: a round when a world has died, else at the answers that came."""
        self._woken.clear()
        if self._round_due == 0.0:
            self._round_due = 1.0
            self.round()
        else:
            self.settle()
