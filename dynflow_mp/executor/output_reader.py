"""A thread that empties the pipes of all workers, whatever else the core is waiting for.

A pipe that nobody empties stops its worker after 64 KiB, and the core may stand still for as long as its
database does.
"""

from __future__ import annotations

import select
from collections import deque
from threading import Thread

from dynflow_mp.bell import Bell
from dynflow_mp.executor.output import WorkerOutput
from dynflow_mp.telemetry import logger

log = logger("executor.output")

_JOIN_S = 5.0


class OutputReader:
    """Owns a thread, and the poll object in it; others leave a note and ring."""

    def __init__(self) -> None:
        self._bell = Bell()
        self._notes: deque[tuple[WorkerOutput, bool]] = deque()
        self._stopping = False
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin to read."""
        self._thread = Thread(target=self._run, name="dynflow output", daemon=True)
        self._thread.start()

    def watch(self, output: WorkerOutput) -> None:
        """Empty this one, too."""
        self._notes.append((output, True))
        self._bell.ring()

    def forget(self, output: WorkerOutput) -> None:
        """Its descriptor is closed, or about to be."""
        output.close()
        self._notes.append((output, False))
        self._bell.ring()

    def stop(self) -> None:
        """End the thread. Twice is fine."""
        self._stopping = True
        self._bell.ring()
        if self._thread is not None:
            self._thread.join(_JOIN_S)
            self._thread = None
        self._bell.close()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._bell.fd, select.POLLIN)
        outputs: dict[int, WorkerOutput] = {}
        while not self._stopping:
            for fd, _ in poll.poll():
                if fd == self._bell.fd:
                    self._bell.silence()
                    self._take_notes(poll, outputs)
                elif fd in outputs:
                    self._empty(poll, outputs, outputs[fd])

    def _take_notes(self, poll: select.poll, outputs: dict[int, WorkerOutput]) -> None:
        while self._notes:
            output, wanted = self._notes.popleft()
            if wanted:
                outputs[output.fd] = output
                poll.register(output.fd, select.POLLIN)
            else:
                _drop(poll, outputs, output)

    def _empty(self, poll: select.poll, outputs: dict[int, WorkerOutput], output: WorkerOutput) -> None:
        try:
            going_on = output.take()
        except OSError:
            going_on = False  # there is nothing to read it from any more
        except Exception:
            # Without this thread every worker that prints would stand still one day.
            log.exception("a worker's output could not be kept", extra={"action": "output_lost"})
            going_on = True
        if not going_on:
            _drop(poll, outputs, output)


def _drop(poll: select.poll, outputs: dict[int, WorkerOutput], output: WorkerOutput) -> None:
    """Unless its number is another's by now."""
    if outputs.get(output.fd) is output:
        del outputs[output.fd]
        poll.unregister(output.fd)
