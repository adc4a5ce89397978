"""Every place for a worker is to be filled: at the beginning, and again when one is gone, perhaps later."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event

from dynflow_mp.clock import monotonic
from dynflow_mp.errors import WorkerStartFailed
from dynflow_mp.executor.crew import Crew, Post
from dynflow_mp.executor.news import StartFailed
from dynflow_mp.executor.timers import Timers
from dynflow_mp.executor.workforce import Workforce
from dynflow_mp.telemetry import logger

log = logger("executor.floor")


class Staffing:
    """Owned by the core's thread. ``complete`` is set once the first crew has said hello."""

    def __init__(self, processes: Workforce, pools: Mapping[str, int], complete: Event) -> None:
        self._processes, self._complete = processes, complete
        self._crew = Crew(pools)
        self._refills: Timers[str] = Timers()

    def start(self) -> None:
        """Start the first crew."""
        self._processes.start()
        for queue in self._crew.first_posts():
            self._spawn(queue)

    def ready(self, worker_id: str) -> None:
        """A worker has said hello."""
        self._crew.ready(worker_id)
        if self._crew.complete:
            self._complete.set()

    def ended(self, worker_id: str, queue: str, *, by_us: bool) -> None:
        """A worker is gone; its place is filled, now or later."""
        self._refill(self._crew.ended(worker_id, queue, monotonic(), by_us))

    def failed_to_start(self, news: StartFailed, *, replace: bool) -> None:
        """One of the first crew: raises :class:`WorkerStartFailed`. A later one is tried again."""
        if not self._complete.is_set():
            raise WorkerStartFailed(news.exit_code, news.reason)
        log.error(
            "a worker could not start: %s",
            news.reason,
            extra={"action": "worker_start_failed", "exit_code": news.exit_code},
        )
        if replace:
            self._refill(self._crew.failed_to_start(news.queue))

    def _refill(self, post: Post) -> None:
        if post.delay_s:
            self._refills.add(monotonic() + post.delay_s, post.queue)
        else:
            self._spawn(post.queue)

    def _spawn(self, queue: str) -> None:
        self._crew.started(self._processes.spawn(queue), monotonic())

    def fill(self, now: float, *, replace: bool) -> None:
        """Fill places whose time has come, or forget them."""
        for queue in list(self._refills.due(now)):
            if replace:
                self._spawn(queue)

    @property
    def next_due(self) -> float | None:
        """When a place is to be filled (steady clock); None while none waits."""
        return self._refills.next_due

    def wait(self, now: float, longest: float) -> float:
        """How long until a place is to be filled (seconds), ``longest`` at most."""
        return self._refills.wait(now, longest)
