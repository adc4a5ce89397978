"""What workers say: each frame is checked against who sent it, and becomes news for the core.

hello on both lanes ─▶ WorkerReady      outcomes ─▶ WorkFinished      recalled ─▶ WorkReturned
anything damaged    ─▶ refused; a worker that sent it is killed
"""

from __future__ import annotations

import hmac
import signal
from collections.abc import Iterable
from time import monotonic

from dynflow_mp.errors import ProtocolError
from dynflow_mp.executor import wire
from dynflow_mp.executor.news import ChunksCame, News, WorkerReady, WorkFinished, WorkReturned
from dynflow_mp.executor.roster import Roster
from dynflow_mp.executor.worker_process import WorkerProcess
from dynflow_mp.telemetry import logger

log = logger("executor.reception")

_STRANGER = (None, 0)
_WORDS_EVERY_S = 10.0
"""About frames of strangers a word now and then is enough."""


class Reception:
    """Owned by the thread that owns the workers."""

    def __init__(self, roster: Roster) -> None:
        self.protocol_errors = 0
        """Frames that were refused."""
        self.news: list[News] = []
        """What the core has not taken yet."""
        self._roster = roster
        self._doubts: set[str] = set()
        self._warned_at = float("-inf")

    def take(self, route: bytes, frame: bytes) -> None:
        """A frame has come over this route."""
        worker, lane = self._roster.by_route.get(route, _STRANGER)
        if worker is None:
            self.refuse("a frame of somebody who is no worker of ours")
        elif lane in worker.lanes:
            try:
                self._read(worker, frame)
            except ProtocolError as error:
                self.refuse(str(error), worker)
        else:
            self._admit(worker, lane, frame)

    def _read(self, worker: WorkerProcess, frame: bytes) -> None:
        kind = wire.kind_of(frame)
        if kind == wire.OUTCOMES:
            outcomes = wire.decode_outcomes(frame)
            _forget(worker, [number for number, _ in outcomes])
            self.news.append(WorkFinished(worker.id, outcomes))
        elif kind == wire.RECALLED:
            numbers = wire.decode_recalled(frame)
            worker.returns_heard += len(numbers)
            self.give_back(worker, numbers)
        elif kind == wire.CHUNKS:
            self.news.append(ChunksCame(worker.id, *wire.decode_chunks(frame)))
        elif kind == wire.PONG:
            worker.last_pong = monotonic()
        else:
            raise ProtocolError(f"a worker does not send {wire.KIND_NAMES[kind]}")

    def read_outbox(self, worker: WorkerProcess, frames: list[bytes]) -> None:
        """Take from a dead worker's page what it had sent and death kept from arriving."""
        held = worker.held
        for frame in frames:
            try:
                outcomes = [answer for answer in wire.decode_outcomes(frame) if answer[0] in held]
            except ProtocolError as error:
                self.refuse(str(error))
                continue
            if outcomes:
                _forget(worker, [number for number, _ in outcomes])
                self.news.append(WorkFinished(worker.id, outcomes))

    def give_back(self, worker: WorkerProcess, numbers: Iterable[int]) -> None:
        """A worker will not begin these."""
        numbers = list(numbers)
        _forget(worker, numbers)
        if numbers:
            self.news.append(WorkReturned(worker.id, numbers))

    def _admit(self, worker: WorkerProcess, lane: int, frame: bytes) -> None:
        """A lane's first frame must be its hello, with the token that only this worker was given."""
        try:
            hello = wire.decode_hello(frame)
        except ProtocolError as error:
            return self.refuse(str(error))
        known = hmac.compare_digest(hello.token, worker.token) and hello.lane == lane
        if not known or hello.pid != worker.child.pid:
            return self.refuse("a hello that is not the worker's it claims to be of")
        worker.lanes.add(lane)
        if worker.ready:
            self._roster.starting.pop(worker.id, None)
            self._say_doubts(worker)
            self.news.append(WorkerReady(worker.id, worker.queue, worker.child.pid))
        return None

    def _say_doubts(self, worker: WorkerProcess) -> None:
        """Once each, not once for each worker."""
        for doubt in worker.hear_startup().doubts:
            if doubt not in self._doubts:
                self._doubts.add(doubt)
                log.warning("%s", doubt, extra={"action": "worker_doubts"})

    def look_after_starts(self) -> None:
        """End those that have not said hello in time."""
        now = monotonic()
        for worker in self._roster.starting.values():
            if now - worker.started > worker.start_timeout_s and worker.fault is None:
                at = worker.hear_startup().at or "starting Python"
                worker.fault = (
                    f"a worker was still {at} after {worker.start_timeout_s:g} s; "
                    "start_timeout_s gives it more time"
                )
                worker.child.signal_group(signal.SIGKILL)

    def refuse(self, reason: str, worker: WorkerProcess | None = None) -> None:
        """What came cannot be read; a worker of ours that sends such a thing cannot go on."""
        self.protocol_errors += 1
        if worker is None and monotonic() - self._warned_at < _WORDS_EVERY_S:
            return  # whoever sends such things may send a hundred thousand a second
        log.warning(
            "a frame was refused: %s (%d so far)",
            reason,
            self.protocol_errors,
            extra={"action": "protocol_error", "worker": None if worker is None else worker.id},
        )
        if worker is None:
            self._warned_at = monotonic()
        elif worker.fault is None:
            worker.fault = reason
            worker.child.signal_group(signal.SIGKILL)


def _forget(worker: WorkerProcess, numbers: Iterable[int]) -> None:
    """It does not hold these any more."""
    forget = worker.held.pop
    for number in numbers:
        forget(number, None)
