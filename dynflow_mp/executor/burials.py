"""Workers whose processes are over: their last frames are read, then their death is news.

end seen ─▶ over ─▶ (nothing of it is on its way any more) ─▶ page read ─▶ WorkerDied | StartFailed
"""

from __future__ import annotations

import signal
from time import monotonic

from dynflow_mp.executor.death_certificates import of_a_dead_worker
from dynflow_mp.executor.endings import PROTOCOL_ERROR, Ending, OomKills, crashed, ending_of
from dynflow_mp.executor.guard import Guard
from dynflow_mp.executor.news import StartFailed, WorkerDied
from dynflow_mp.executor.reception import Reception
from dynflow_mp.executor.roster import Roster
from dynflow_mp.executor.worker_process import WorkerProcess
from dynflow_mp.executor.workers_socket import WorkersSocket
from dynflow_mp.telemetry import logger

log = logger("executor.burials")

_ALL_FRAMES = 10_000
"""More than the queues can hold: what a dead worker left is read to its end."""
_LAST_FRAMES_PATIENCE_S = 0.5


class Burials:
    """Owned by the thread that owns the workers."""

    def __init__(self, roster: Roster, socket: WorkersSocket, reception: Reception, guard: Guard) -> None:
        self.waiting: dict[str, WorkerProcess] = {}
        """Whose end was seen and who is not reported yet."""
        self._roster, self._socket = roster, socket
        self._reception, self._guard = reception, guard
        self._oom_kills = OomKills()

    def note_end(self, worker: WorkerProcess) -> None:
        """Its descriptor says that it is over."""
        if worker.over_since is None:
            worker.over_since = monotonic()
            self.waiting[worker.id] = worker
            # What it started goes with it; a child of it may also hold its end of our socket open.
            worker.child.signal_group(signal.SIGKILL)

    def bury(self) -> None:
        """Report those whose last frames are read; the others' descriptors stay readable, so we come again soon."""
        gone = [worker for worker in self.waiting.values() if self._is_silent(worker)]
        reception = self._reception
        if gone and self._socket.receive(_ALL_FRAMES, reception.take, reception.refuse):
            for worker in gone:
                self._report(worker)

    def _is_silent(self, worker: WorkerProcess) -> bool:
        """Whether all that a dead worker sent has reached our socket."""
        assert worker.over_since is not None
        if monotonic() - worker.over_since > _LAST_FRAMES_PATIENCE_S:
            return True
        return not any(self._socket.reaches(route) for route in worker.routes.values())

    def _report(self, worker: WorkerProcess) -> None:
        exit_code = self.remove(worker)
        if not worker.ready:
            self._reception.news.append(_failed_start(worker, exit_code))
            return
        remains = worker.remains
        self._reception.read_outbox(worker, remains.frames)
        self._reception.give_back(worker, remains.given_back)
        ending = self._ending(worker, exit_code)
        message = f"worker {worker.id} (pid {worker.child.pid}) {ending.text}"
        self._reception.news.append(
            WorkerDied(
                worker.id,
                worker.queue,
                remains.begun,
                remains.finished,
                remains.part,
                ending.cause,
                message,
                of_a_dead_worker(worker, exit_code, ending.cause, message),
            )
        )

    def remove(self, worker: WorkerProcess) -> int | None:
        """Forget a worker whose process is over; returns its exit code."""
        self.waiting.pop(worker.id, None)
        self._roster.remove(worker)
        worker.outlived_lease = self._guard.has_killed(worker.child.pid)
        # Before the process is reaped: afterwards its number may be somebody else's.
        self._guard.drop(worker.child.pid)
        exit_code = worker.child.bury()
        worker.close()
        return exit_code

    def _ending(self, worker: WorkerProcess, exit_code: int | None) -> Ending:
        if worker.fault is not None:
            return Ending(PROTOCOL_ERROR, f"was killed for a frame that could not be read: {worker.fault}")
        out_of_memory = exit_code == -signal.SIGKILL and self._oom_kills.happened()
        reason = worker.remains.reason
        return ending_of(
            exit_code,
            asked=worker.asked_to_end,
            out_of_memory=out_of_memory,
            lease_lost=worker.outlived_lease,
            reason=reason,
        )


def _failed_start(worker: WorkerProcess, exit_code: int | None) -> StartFailed:
    reason = worker.fault or worker.said.reason or _silent_end(worker, exit_code)
    # Whoever hears of it says the reason; what the process printed (a traceback) is for the log.
    log.info(
        "a worker could not start: %s\n%s",
        reason,
        worker.output.tail,
        extra={"action": "worker_start_failed", "exit_code": exit_code},
    )
    killed = worker.fault is None and exit_code is not None and exit_code < 0 and not crashed(exit_code)
    return StartFailed(worker.queue, None if worker.fault else exit_code, reason, worker.id, killed)


def _silent_end(worker: WorkerProcess, exit_code: int | None) -> str:
    """What can be said of a worker that ended without a word of its own: ``os._exit`` in a user's module."""
    where = f" while {worker.said.at}" if worker.said.at else ""
    printed = f": {worker.last_line}" if worker.last_line else ""
    return f"a worker {ending_of(exit_code).text}{where}{printed}"
