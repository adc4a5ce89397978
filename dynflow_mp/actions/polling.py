"""Following something that goes on elsewhere without holding a worker: start it, look now and then.

run() ──▶ invoke_external_task ─┬─ done() ─▶ on_finish, success
run(Poll) ─▶ poll_external_task ┘   │
                    ▲               └─ not yet: Poll in poll_interval() seconds, suspend
                    └───────────────────────────┘
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.next_run import unrecognized
from dynflow_mp.actions.timeouts import Timeouts
from dynflow_mp.model.policies import RescueStrategy
from dynflow_mp.model.signals import Signal


class Polling(Timeouts, abstract=True):
    """Define ``done``, ``invoke_external_task`` and ``poll_external_task``.

    What the latter two return is ``external_task``, kept in ``output["task"]`` between the calls. A call
    that is resumed looks how the old task is getting on, and starts another only if it cannot tell.
    """

    poll_intervals: Sequence[float] = (0.5, 1, 2, 4, 8, 16)
    """Seconds from one look to the next; the last one repeats."""
    attempts_before_next_interval: int = 5
    """How often each of them is used."""
    poll_max_retries: int = 3
    """The so many-th look in a row that raises fails the step; those before it are tolerated."""

    def run(self, event: Any = None) -> None:
        if event is RescueStrategy.SKIP:
            return
        if event is None:
            self._begin_or_resume()
        elif event is Signal.POLL:
            self._poll()
        elif event is Signal.TIMEOUT:
            self.process_timeout()
            self.suspend()
        else:
            raise unrecognized(self, event)
        if self.done():
            self.on_finish()
        else:
            self.plan_event(Signal.POLL, self.poll_interval())
            self.suspend()

    # -- to be defined -----------------------------------------------------------------------------

    def done(self) -> bool:
        """Whether the task is over, as ``external_task`` shows it."""
        raise self._lacks("done")

    def invoke_external_task(self) -> Any:
        """Start the task; what it is known by."""
        raise self._lacks("invoke_external_task")

    def poll_external_task(self) -> Any:
        """How the task is now."""
        raise self._lacks("poll_external_task")

    def on_finish(self) -> None:
        """The task is over: the last thing to do in ``run``."""

    def _lacks(self, name: str) -> NotImplementedError:
        return NotImplementedError(f"{type(self).__name__} is Polling and does not define {name}()")

    # -- what is kept ------------------------------------------------------------------------------

    @property
    def external_task(self) -> Any:
        """What is known of the task; None before it is started."""
        return self.output.get("task")

    @external_task.setter
    def external_task(self, task: Any) -> None:
        self.output["task"] = task

    @property
    def poll_attempts(self) -> dict[str, int]:
        """How many looks there were in ``total``, and how many of the last in a row ``failed``."""
        attempts: dict[str, int] = self.output.setdefault("poll_attempts", {"total": 0, "failed": 0})
        return attempts

    def poll_interval(self) -> float:
        """Seconds to the next look: by how many there were."""
        level = self.poll_attempts["total"] // self.attempts_before_next_interval
        return self.poll_intervals[min(level, len(self.poll_intervals) - 1)]

    # -- the way -----------------------------------------------------------------------------------

    def _begin_or_resume(self) -> None:
        if not self.external_task:
            self._invoke()
            return
        try:
            self._poll()
        except Exception:
            self._invoke()

    def _invoke(self) -> None:
        self.external_task = self.invoke_external_task()
        self.poll_attempts["failed"] = 0

    def _poll(self) -> None:
        attempts = self.poll_attempts
        attempts["total"] += 1
        try:
            self.external_task = self.poll_external_task()
        except Exception as error:
            attempts["failed"] += 1
            if attempts["failed"] >= self.poll_max_retries:
                raise
            _tell(self, error)
        else:
            attempts["failed"] = 0


def _tell(action: Action, error: Exception) -> None:
    from dynflow_mp.telemetry import logger  # only a look that fails needs it: it costs an idle worker memory

    logger("actions.polling").warning(
        "a look at the external task failed, the next may do better: %s: %s",
        type(error).__name__,
        error,
        extra={"action": "poll_failed", "plan_id": action.execution_plan_id},
    )
