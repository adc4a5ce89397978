"""Worker processes: started, spoken to, listened to, replaced by others' orders, ended.

    core ── spawn, send, recall ──▶ Processes ══ WorkersSocket, ipc ══ two DEALERs ══ worker
    core ◀── news ── hear(ready) ──┘  ├── Roster: who there is; ends (pidfds) and output in the core's poller
                                      ├── OutputReader: what they print, on a thread of its own
                                      ├── Reception: what they say
                                      ├── Burials: what they leave behind
                                      └── Guard: the guardian process, should we die ourselves

    started ─▶ ready (hello on both lanes) ─▶ over (its end was seen) ─▶ buried (its last frames are read)

Nothing here blocks but :meth:`Processes.stop`, and nothing decides: what to do about a death is the
core's business.
"""

from __future__ import annotations

import secrets
import signal
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import zmq

from dynflow_mp.errors import ConfigError, PeerBusy, ProtocolError
from dynflow_mp.executor import wire
from dynflow_mp.executor.burials import Burials
from dynflow_mp.executor.death_certificates import of_a_living_worker
from dynflow_mp.executor.failures import failed_job
from dynflow_mp.executor.guard import Guard
from dynflow_mp.executor.news import News, StartFailed, WorkFinished
from dynflow_mp.executor.output_reader import OutputReader
from dynflow_mp.executor.page import NO_USE, Use
from dynflow_mp.executor.reception import Reception
from dynflow_mp.executor.resident import resident_bytes
from dynflow_mp.executor.roster import Roster
from dynflow_mp.executor.stacks import main_stack
from dynflow_mp.executor.worker_process import WorkerProcess, WorkerSettings
from dynflow_mp.executor.workers_socket import WorkersSocket
from dynflow_mp.model.certificates import Certificate
from dynflow_mp.model.work import Job
from dynflow_mp.telemetry import logger

log = logger("executor.processes")

_FRAMES_A_TURN = 64
_TERM_PATIENCE_S = 1.0
_KILL_PATIENCE_S = 1.0


class Processes:
    """Every worker process of a world. Owned by one thread, the core's, and as long-lived as that one:
    the workers' parent-death signal follows the thread that started them.
    """

    def __init__(
        self,
        directory: Path,
        settings: WorkerSettings,
        poller: zmq.Poller,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        self._directory = directory
        self._settings = settings
        self._socket = WorkersSocket(directory, poller, context)
        self._output = OutputReader()
        self._roster = Roster(poller, self._output)
        self._reception = Reception(self._roster)
        self._guard = Guard(self._socket.path, self._roster.watch, self._roster.forget)
        self._burials = Burials(self._roster, self._socket, self._reception, self._guard)

    # -- life --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the socket and start the guardian. Twice is fine.

        Raises :class:`ConfigError` for a directory that cannot be used.
        """
        if self._socket.router is None:
            self._socket.open()
            self._output.start()
            self._guard.start()

    def stop(self, grace_s: float) -> None:
        """End everything: politely, after ``grace_s`` with SIGTERM, a second later with SIGKILL. Twice is fine."""
        if self._socket.router is None:
            return
        workers = self._roster.by_id
        for worker in workers.values():
            self._ask_to_leave(worker)
        self._wait_for_ends(grace_s)
        # Those without work are on their way out already: let them run their exit handlers.
        _signal_all(signal.SIGTERM, [worker for worker in workers.values() if worker.held])
        self._wait_for_ends(_TERM_PATIENCE_S)
        _signal_all(signal.SIGKILL, workers.values())
        self._wait_for_ends(_KILL_PATIENCE_S)
        for worker in list(workers.values()):
            log.error(
                "worker process %d cannot be killed",
                worker.child.pid,
                extra={"action": "worker_unkillable", "worker": worker.id},
            )
            self._burials.remove(worker)
        self._guard.dismiss(_KILL_PATIENCE_S)
        self._output.stop()
        self._socket.close()

    def _wait_for_ends(self, patience_s: float) -> None:
        """Until every worker is buried, or ``patience_s`` is over. Their last news are nobody's any more."""
        deadline = monotonic() + patience_s
        while self._roster.by_id and (left_s := deadline - monotonic()) > 0:
            poller = zmq.Poller()
            for source in (self._socket.router, *self._roster.by_end):
                poller.register(source, zmq.POLLIN)
            self.hear(dict(poller.poll(int(left_s * 1000) + 1)))

    # -- orders ------------------------------------------------------------------------------------

    def spawn(self, queue: str) -> str:
        """Start a worker; :class:`WorkerReady` or :class:`StartFailed` follows. Returns its id."""
        try:
            self._socket.look_after()
            worker = WorkerProcess(queue, self._directory, self._socket.endpoint, self._settings)
        except (OSError, ConfigError, zmq.ZMQError) as error:
            nobody = secrets.token_hex(8)
            reason = f"no process could be started: {error}"
            self._reception.news.append(StartFailed(queue, None, reason, nobody))
            return nobody
        self._guard.add(worker.child.pid)
        self._roster.add(worker)
        return worker.id

    def send(self, worker_id: str, numbered: Sequence[tuple[int, Job]]) -> None:
        """Send jobs; their numbers grow per worker, from 1. One too large to be sent is answered as failed.

        Raises :class:`PeerBusy` if the worker's queue is full. That a worker is dead is news, not an error.
        """
        worker = self._roster.by_id.get(worker_id)
        if worker is None or worker.over_since is not None:
            return None
        try:
            frame = wire.encode_jobs(numbered)
        except ProtocolError:
            return self._send_one_by_one(worker, numbered)
        self._socket.send(worker.routes["work"], frame)
        worker.held.update(numbered)
        return None

    def _send_one_by_one(self, worker: WorkerProcess, numbered: Sequence[tuple[int, Job]]) -> None:
        """Jobs of which one cannot be sent: that one fails, the others go."""
        for number, job in numbered:
            try:
                frame = wire.encode_jobs([(number, job)])
            except ProtocolError as error:
                self._reception.news.append(WorkFinished(worker.id, [(number, failed_job(job, error))]))
            else:
                self._socket.send(worker.routes["work"], frame)
                worker.held[number] = job

    def recall(self, worker_id: str, job_numbers: Sequence[int] | None = None) -> None:
        """Ask for jobs not begun yet (None: all of them); :class:`WorkReturned` says which those were.

        One that stands still is not asked any more once its queue is full of questions.
        """
        worker = self._roster.by_id.get(worker_id)
        if worker is None:
            return
        numbers = sorted(worker.held) if job_numbers is None else job_numbers
        if numbers:
            with suppress(PeerBusy):
                self._socket.send(worker.routes["control"], wire.encode_recall(numbers))

    def stop_step(self, worker_id: str, step: wire.StepToStop) -> None:
        """Ask a worker to leave a job, or to give it back: its outcome, or WorkReturned, follows – or nothing."""
        worker = self._roster.by_id.get(worker_id)
        if worker is not None and worker.ready:
            worker.forget_stacks()
            with suppress(PeerBusy):  # then the signals that follow end it
                self._socket.send(worker.routes["control"], wire.encode_stop_step(step))

    def begun(self, worker_id: str) -> int:
        """The number of the job that a worker began last, as its page says; 0 for one that is gone."""
        worker = self._roster.by_id.get(worker_id)
        return 0 if worker is None else worker.page.begun

    def begun_at(self, worker_id: str) -> float:
        """When that was (steady clock); 0 where that cannot be told."""
        worker = self._roster.by_id.get(worker_id)
        return 0.0 if worker is None else worker.page.use.begun_at

    def resident(self, worker_id: str) -> int | None:
        """How many bytes a worker has in memory; None where that cannot be told."""
        pid = self._roster.pids.get(worker_id)
        return None if pid is None else resident_bytes(pid)

    def use(self, worker_id: str) -> Use:
        """What a worker had taken when it last looked, which it does after steps."""
        worker = self._roster.by_id.get(worker_id)
        return NO_USE if worker is None else worker.page.use

    def chunks_heard(self, worker_id: str, job_number: int, number: int) -> None:
        """Tell a worker that it need not keep these chunks any longer. One that is not told sends them once more."""
        worker = self._roster.by_id.get(worker_id)
        if worker is not None and worker.over_since is None:
            with suppress(PeerBusy):
                self._socket.send(worker.routes["control"], wire.encode_chunks_heard(job_number, number))

    def retire(self, worker_id: str) -> None:
        """Let a worker go once its current job is done; send it nothing more. WorkerDied ``exit(0)`` follows."""
        worker = self._roster.by_id.get(worker_id)
        if worker is not None:
            self._ask_to_leave(worker)

    def terminate(self, worker_id: str) -> None:
        """SIGTERM to a worker and all it started."""
        self._signal(worker_id, signal.SIGTERM)

    def kill(self, worker_id: str) -> None:
        """SIGKILL to a worker and all it started."""
        self._signal(worker_id, signal.SIGKILL)

    def dump_stacks(self, worker_id: str) -> None:
        """Have a worker write down where each of its threads is, also while it is stuck: see :meth:`stack`."""
        worker = self._roster.by_id.get(worker_id)
        if worker is not None and worker.ready:
            worker.ask_for_stacks()

    def stack(self, worker_id: str) -> tuple[str, ...]:
        """Where the main thread of a living worker was when it was last asked, innermost call last."""
        worker = self._roster.by_id.get(worker_id)
        return () if worker is None else main_stack(worker.stacks())

    def certificate(self, worker_id: str, number: int, cause: str, sentence: str) -> Certificate | None:
        """What can be told of a job that was ended and its worker lives; None if it does not."""
        worker = self._roster.by_id.get(worker_id)
        if worker is None or worker.over_since is not None:
            return None
        return of_a_living_worker(worker, number, cause, sentence)

    def ping(self, worker_id: str) -> None:
        """Ask a worker's control lane whether it turns: a step that holds the interpreter keeps it from it."""
        worker = self._roster.by_id.get(worker_id)
        if worker is not None:
            self._socket.send(worker.routes["control"], wire.encode_ping(0))

    def last_pong(self, worker_id: str) -> float | None:
        """When a worker last answered a ping (steady clock). Information only: silence is no death."""
        worker = self._roster.by_id.get(worker_id)
        return None if worker is None else worker.last_pong

    def renew_deadline(self, until: float) -> None:
        """The guardian need not end our workers before then. To be called often; costs nothing."""
        if self._socket.router is not None:
            self._guard.renew(until)

    def output_tail(self, worker_id: str) -> str:
        """The last a worker printed (48 KiB at least); of dead workers only the latest are kept."""
        return self._roster.output_tail(worker_id)

    def _ask_to_leave(self, worker: WorkerProcess) -> None:
        if worker.retiring:
            return
        worker.retiring = worker.asked_to_end = True
        if not worker.ready:
            worker.child.signal_group(signal.SIGTERM)
            return
        self.recall(worker.id)
        with suppress(PeerBusy):  # then the signals that follow end it
            self._socket.send(worker.routes["work"], wire.encode_stop())

    def _signal(self, worker_id: str, number: signal.Signals) -> None:
        worker = self._roster.by_id.get(worker_id)
        if worker is not None:
            worker.asked_to_end = True
            worker.look_at_memory()
            worker.child.signal_group(number)

    # -- news --------------------------------------------------------------------------------------

    def hear(self, ready: Mapping[Any, int]) -> list[News]:
        """Everything new, given what the poller found. What a worker said comes before its death."""
        roster, reception = self._roster, self._reception
        if self._socket.router in ready:
            self._socket.receive(_FRAMES_A_TURN, reception.take, reception.refuse)
        for source in ready:
            if source in roster.by_end:
                self._burials.note_end(roster.by_end[source])
            elif source == self._guard.end_fd:
                self._guard.look_after()
        if roster.starting:
            reception.look_after_starts()
        if self._burials.waiting:
            self._burials.bury()
        news, reception.news = reception.news, []
        return news

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by worker id."""
        return self._roster.pids

    @property
    def protocol_errors(self) -> int:
        """Frames that were refused."""
        return self._reception.protocol_errors


def _signal_all(number: signal.Signals, workers: Iterable[WorkerProcess]) -> None:
    for worker in workers:
        worker.asked_to_end = True
        worker.child.signal_group(number)
