"""Which workers there are, and which of them a route or a descriptor belongs to."""

from __future__ import annotations

from collections import deque
from contextlib import suppress

import zmq

from dynflow_mp.executor import wire
from dynflow_mp.executor.output_reader import OutputReader
from dynflow_mp.executor.worker_process import WorkerProcess

_TAILS_KEPT = 32
_READS_AT_THE_END = 64


class Roster:
    """Every worker from its start to its burial, with its end in the core's poller and its output in its reader's."""

    def __init__(self, poller: zmq.Poller, reader: OutputReader) -> None:
        self.by_id: dict[str, WorkerProcess] = {}
        self.by_route: dict[bytes, tuple[WorkerProcess, int]] = {}
        """The worker and which of its lanes."""
        self.by_end: dict[int, WorkerProcess] = {}
        """By the descriptor that is readable once it is over."""
        self.starting: dict[str, WorkerProcess] = {}
        """Those that have not said hello on both lanes."""
        self.pids: dict[str, int] = {}
        self._poller, self._reader = poller, reader
        self._tails: deque[tuple[str, str]] = deque(maxlen=_TAILS_KEPT)

    def add(self, worker: WorkerProcess) -> None:
        """A worker was started."""
        self.by_id[worker.id] = self.starting[worker.id] = worker
        self.pids[worker.id] = worker.child.pid
        self.by_route[worker.routes["work"]] = worker, wire.WORK_LANE
        self.by_route[worker.routes["control"]] = worker, wire.CONTROL_LANE
        self.by_end[worker.child.end_fd] = worker
        self.watch(worker.child.end_fd)
        self._reader.watch(worker.output)

    def remove(self, worker: WorkerProcess) -> None:
        """A worker's process is over: forget it but for the last it printed."""
        worker.output.take(_READS_AT_THE_END)
        self._reader.forget(worker.output)
        self._tails.append((worker.id, worker.output.tail))
        for registry in (self.by_id, self.starting, self.pids):
            registry.pop(worker.id, None)
        for route in worker.routes.values():
            self.by_route.pop(route, None)
        del self.by_end[worker.child.end_fd]
        self.forget(worker.child.end_fd)

    def output_tail(self, worker_id: str) -> str:
        """The last a worker printed; of dead workers only the latest are kept."""
        worker = self.by_id.get(worker_id)
        return worker.output.tail if worker is not None else dict(self._tails).get(worker_id, "")

    def watch(self, fd: int) -> None:
        """Have the core woken when ``fd`` is readable."""
        self._poller.register(fd, zmq.POLLIN)

    def forget(self, fd: int) -> None:
        """Not any more."""
        with suppress(KeyError):
            self._poller.unregister(fd)
