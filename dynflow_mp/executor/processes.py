"""Worker processes: started, spoken to, listened to, replaced by others' orders, ended.

    core ── spawn, send, recall ──▶ Processes ══ ROUTER, ipc ══ two DEALERs ══ worker
    core ◀── news ── hear(ready) ──┘  ├── end of a process: a pidfd in the core's poller
                                      ├── what it printed: a pipe in the core's poller
                                      └── what it had begun: its page, read when it is dead

    started ─▶ ready (hello on both lanes) ─▶ over (its end was seen) ─▶ buried (its last frames are read)

Nothing here blocks but :meth:`Processes.stop`, and nothing decides: what to do about a death is the
core's business.
"""

from __future__ import annotations

import hmac
import os
import secrets
import signal
import stat
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import zmq

from dynflow_mp.errors import ConfigError, PeerBusy, ProtocolError
from dynflow_mp.executor import wire
from dynflow_mp.executor.endings import PROTOCOL_ERROR, Ending, OomKills, ending_of
from dynflow_mp.executor.failures import failed_job
from dynflow_mp.executor.guard import Guard
from dynflow_mp.executor.worker_process import WorkerProcess, WorkerSettings
from dynflow_mp.model.work import Job
from dynflow_mp.telemetry import logger

__all__ = [
    "News",
    "Processes",
    "StartFailed",
    "WorkFinished",
    "WorkReturned",
    "WorkerDied",
    "WorkerReady",
    "WorkerSettings",
]

log = logger("executor.processes")

HELLO_PATIENCE_S = 30.0
_FRAMES_A_TURN = 64
_ALL_FRAMES = 10_000
"""More than the queues can hold: what a dead worker left is read to its end."""
_LAST_FRAMES_PATIENCE_S = 0.5
_TERM_PATIENCE_S = 1.0
_KILL_PATIENCE_S = 1.0
_HIGH_WATER = 4096
_SOCKET = "workers"
_LONGEST_IPC_PATH = 107
_TAILS_KEPT = 32
_READS_AT_THE_END = 64


# Plain numbers: the library's flags are enums, and "or"-ing them costs more than a send.
_DONTWAIT = int(zmq.DONTWAIT)
_ROUTE_PART = int(zmq.DONTWAIT | zmq.SNDMORE)
_PROBE = wire.encode_ping(0)
_STRANGER = (None, 0)


class WorkerReady(NamedTuple):
    """A worker said hello and takes jobs of its queue."""

    worker_id: str
    queue: str
    pid: int


class WorkFinished(NamedTuple):
    """Outcomes by job number."""

    worker_id: str
    outcomes: list[tuple[int, wire.Outcome]]


class WorkReturned(NamedTuple):
    """Jobs that were recalled in time: never begun, and never will be."""

    worker_id: str
    job_numbers: list[int]


class WorkerDied(NamedTuple):
    """A worker that had been ready is gone; everything it said before was delivered before this.

    ``begun`` and ``finished`` are job numbers (0: none), ``part`` the position of the finalize part
    it was at. ``cause`` is ``signal(9)``, ``exit(3)``, ``out_of_memory`` or ``protocol_error``.
    """

    worker_id: str
    queue: str
    begun: int
    finished: int
    part: int
    cause: str
    message: str


class StartFailed(NamedTuple):
    """A worker ended before it said hello, or did not say it in time (then ``exit_code`` is None)."""

    queue: str
    exit_code: int | None
    reason: str


News = WorkerReady | WorkFinished | WorkReturned | WorkerDied | StartFailed


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
        self.pids: dict[str, int] = {}
        """Process ids by worker id."""
        self.protocol_errors = 0
        """Frames that were refused."""
        self._directory = directory
        self._settings = settings
        self._poller = poller
        self._context = context
        self._own_context = context is None
        self._router: zmq.Socket[bytes] | None = None
        self._arrivals = zmq.Poller()
        self._endpoint = ""
        self._workers: dict[str, WorkerProcess] = {}
        self._routes: dict[bytes, tuple[WorkerProcess, int]] = {}
        self._ends: dict[int, WorkerProcess] = {}
        self._outputs: dict[int, WorkerProcess] = {}
        self._starting: dict[str, WorkerProcess] = {}
        self._over: dict[str, WorkerProcess] = {}
        self._own_news: list[News] = []
        self._tails: deque[tuple[str, str]] = deque(maxlen=_TAILS_KEPT)
        self._oom_kills = OomKills()
        self._guard = Guard(directory / _SOCKET, self._watch_fd, self._forget_fd)

    # -- life --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the socket and start the guardian. Twice is fine.

        Raises :class:`ConfigError` for a directory that cannot be used.
        """
        if self._router is not None:
            return
        path = _prepared(self._directory) / _SOCKET
        if len(os.fsencode(path)) > _LONGEST_IPC_PATH:
            raise ConfigError(
                f"{path}: a socket's path may have {_LONGEST_IPC_PATH} bytes; choose a shorter directory"
            )
        self._endpoint = f"ipc://{path}"
        self._context = self._context or zmq.Context()
        self._router = _router(self._context, self._endpoint)
        self._arrivals.register(self._router, zmq.POLLIN)
        self._poller.register(self._router, zmq.POLLIN)
        self._guard.start()

    def stop(self, grace_s: float) -> None:
        """End everything: politely, after ``grace_s`` with SIGTERM, a second later with SIGKILL. Twice is fine."""
        if self._router is None:
            return
        for worker in self._workers.values():
            self._ask_to_leave(worker)
        self._wait_for_ends(grace_s)
        # Those without work are on their way out already: let them run their exit handlers.
        self._signal_all(signal.SIGTERM, [worker for worker in self._workers.values() if worker.held])
        self._wait_for_ends(_TERM_PATIENCE_S)
        self._signal_all(signal.SIGKILL, self._workers.values())
        self._wait_for_ends(_KILL_PATIENCE_S)
        for worker in list(self._workers.values()):
            log.error(
                "worker process %d cannot be killed",
                worker.child.pid,
                extra={"action": "worker_unkillable", "worker": worker.id},
            )
            self._remove(worker)
        self._guard.dismiss(_KILL_PATIENCE_S)
        self._close()

    def _close(self) -> None:
        router, self._router = self._router, None
        if router is not None:
            self._poller.unregister(router)
            self._arrivals.unregister(router)
            router.close(linger=0)
        if self._own_context and self._context is not None:
            self._context.term()
            self._context = None
        with suppress(FileNotFoundError):
            (self._directory / _SOCKET).unlink()
        with suppress(OSError):  # something else lives there
            self._directory.rmdir()

    # -- orders ------------------------------------------------------------------------------------

    def spawn(self, queue: str) -> str:
        """Start a worker; :class:`WorkerReady` or :class:`StartFailed` follows. Returns its id."""
        try:
            worker = WorkerProcess(queue, self._directory, self._endpoint, self._settings)
        except OSError as error:
            self._own_news.append(StartFailed(queue, None, f"no process could be started: {error}"))
            return secrets.token_hex(8)
        self._guard.add(worker.child.pid)
        self._workers[worker.id] = self._starting[worker.id] = worker
        self.pids[worker.id] = worker.child.pid
        self._routes[worker.routes["work"]] = worker, wire.WORK_LANE
        self._routes[worker.routes["control"]] = worker, wire.CONTROL_LANE
        self._ends[worker.child.end_fd] = worker
        self._outputs[worker.output] = worker
        self._watch_fd(worker.child.end_fd)
        self._watch_fd(worker.output)
        return worker.id

    def send(self, worker_id: str, numbered: Sequence[tuple[int, Job]]) -> None:
        """Send jobs; their numbers grow per worker, from 1. One too large to be sent is answered as failed.

        Raises :class:`PeerBusy` if the worker's queue is full. That a worker is dead is news, not an error.
        """
        worker = self._workers.get(worker_id)
        if worker is None or worker.over_since is not None:
            return None
        try:
            frame = wire.encode_jobs(numbered)
        except ProtocolError:
            return self._send_one_by_one(worker, numbered)
        self._send(worker.routes["work"], frame)
        worker.held.update([number for number, _ in numbered])
        return None

    def _send_one_by_one(self, worker: WorkerProcess, numbered: Sequence[tuple[int, Job]]) -> None:
        """Jobs of which one cannot be sent: that one fails, the others go."""
        for number, job in numbered:
            try:
                frame = wire.encode_jobs([(number, job)])
            except ProtocolError as error:
                self._own_news.append(WorkFinished(worker.id, [(number, failed_job(job, error))]))
            else:
                self._send(worker.routes["work"], frame)
                worker.held.add(number)

    def recall(self, worker_id: str, job_numbers: Sequence[int] | None = None) -> None:
        """Ask for jobs not begun yet (None: all of them); :class:`WorkReturned` says which those were."""
        worker = self._workers.get(worker_id)
        if worker is None:
            return
        numbers = sorted(worker.held) if job_numbers is None else job_numbers
        if numbers:
            self._send(worker.routes["control"], wire.encode_recall(numbers))

    def retire(self, worker_id: str) -> None:
        """Let a worker go once its current job is done; send it nothing more. WorkerDied ``exit(0)`` follows."""
        worker = self._workers.get(worker_id)
        if worker is not None:
            self._ask_to_leave(worker)

    def terminate(self, worker_id: str) -> None:
        """SIGTERM to a worker and all it started."""
        self._signal(worker_id, signal.SIGTERM)

    def kill(self, worker_id: str) -> None:
        """SIGKILL to a worker and all it started."""
        self._signal(worker_id, signal.SIGKILL)

    def dump_stacks(self, worker_id: str) -> None:
        """Have a worker print where each of its threads is, also while it is stuck: see ``output_tail``."""
        worker = self._workers.get(worker_id)
        if worker is not None and worker.ready:
            worker.child.signal(signal.SIGUSR1)

    def ping(self, worker_id: str) -> None:
        """Ask a worker's control lane whether it turns: a step that holds the interpreter keeps it from it."""
        worker = self._workers.get(worker_id)
        if worker is not None:
            self._send(worker.routes["control"], wire.encode_ping(0))

    def last_pong(self, worker_id: str) -> float | None:
        """When a worker last answered a ping (steady clock). Information only: silence is no death."""
        worker = self._workers.get(worker_id)
        return None if worker is None else worker.last_pong

    def renew_deadline(self) -> None:
        """We still turn: the guardian need not end our workers. To be called often; costs nothing."""
        if self._router is not None:
            self._guard.renew(monotonic())

    def output_tail(self, worker_id: str) -> str:
        """The last 64 KiB a worker printed; of dead workers only the latest are kept."""
        worker = self._workers.get(worker_id)
        return worker.tail if worker is not None else dict(self._tails).get(worker_id, "")

    def _ask_to_leave(self, worker: WorkerProcess) -> None:
        if worker.retiring:
            return
        worker.retiring = worker.asked_to_end = True
        if not worker.ready:
            worker.child.signal_group(signal.SIGTERM)
            return
        with suppress(PeerBusy):  # then the signals that follow end it
            self.recall(worker.id)
            self._send(worker.routes["work"], wire.encode_stop())

    def _signal(self, worker_id: str, number: signal.Signals) -> None:
        worker = self._workers.get(worker_id)
        if worker is not None:
            worker.asked_to_end = True
            worker.child.signal_group(number)

    def _send(self, route: bytes, frame: bytes) -> None:
        assert self._router is not None, "processes are not started"
        try:
            self._router.send(route, _ROUTE_PART)
            self._router.send(frame, _DONTWAIT)
        except zmq.Again:
            raise PeerBusy("the worker's queue is full") from None
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise

    # -- news --------------------------------------------------------------------------------------

    def hear(self, ready: Mapping[Any, int]) -> list[News]:
        """Everything new, given what the poller found. What a worker said comes before its death."""
        news: list[News] = []
        if self._own_news:
            news += self._own_news
            self._own_news.clear()
        if self._router in ready:
            self._receive(_FRAMES_A_TURN, news)
        for source in ready:
            if source in self._ends:
                self._note_end(self._ends[source])
            elif source in self._outputs:
                self._drain(self._outputs[source])
            elif source == self._guard.end_fd:
                self._guard.look_after()
        if self._starting:
            self._look_after_starts()
        if self._over:
            self._bury(news)
        return news

    def _receive(self, most: int, news: list[News]) -> bool:
        """Read frames; True if there is nothing left to read."""
        assert self._router is not None, "processes are not started"
        for _ in range(most):
            if not self._arrivals.poll(0):
                return True
            # Not recv_multipart: on this path it costs twice as much as both parts together.
            route = self._router.recv(_DONTWAIT)
            body = self._router.recv(_DONTWAIT, copy=False)
            if body.more:
                self._router.recv_multipart(_DONTWAIT)
                self._refuse("a message of too many parts")
            else:
                self._take(route, body.bytes, news)
        return False

    def _take(self, route: bytes, frame: bytes, news: list[News]) -> None:
        worker, lane = self._routes.get(route, _STRANGER)
        if worker is None:
            self._refuse("a frame of somebody who is no worker of ours")
        elif lane in worker.lanes:
            try:
                self._read(worker, frame, news)
            except ProtocolError as error:
                self._refuse(str(error), worker)
        else:
            self._admit(worker, lane, frame, news)

    def _read(self, worker: WorkerProcess, frame: bytes, news: list[News]) -> None:
        kind = wire.kind_of(frame)
        if kind == wire.OUTCOMES:
            outcomes = wire.decode_outcomes(frame)
            worker.held.difference_update([number for number, _ in outcomes])
            news.append(WorkFinished(worker.id, outcomes))
        elif kind == wire.RECALLED:
            numbers = wire.decode_recalled(frame)
            worker.returns_heard += len(numbers)
            self._give_back(worker, numbers, news)
        elif kind == wire.PONG:
            worker.last_pong = monotonic()
        else:
            raise ProtocolError(f"a worker does not send {wire.KIND_NAMES[kind]}")

    def _read_outbox(self, worker: WorkerProcess, frames: list[bytes], news: list[News]) -> None:
        """Take from a dead worker's page what it had sent and death kept from arriving."""
        held = worker.held
        for frame in frames:
            try:
                outcomes = [answer for answer in wire.decode_outcomes(frame) if answer[0] in held]
            except ProtocolError as error:
                self._refuse(str(error))
                continue
            if outcomes:
                held.difference_update([number for number, _ in outcomes])
                news.append(WorkFinished(worker.id, outcomes))

    def _give_back(self, worker: WorkerProcess, numbers: Iterable[int], news: list[News]) -> None:
        numbers = list(numbers)
        worker.held.difference_update(numbers)
        if numbers:
            news.append(WorkReturned(worker.id, numbers))

    def _admit(self, worker: WorkerProcess, lane: int, frame: bytes, news: list[News]) -> None:
        """A lane's first frame must be its hello, with the token that only this worker was given."""
        try:
            hello = wire.decode_hello(frame)
        except ProtocolError as error:
            return self._refuse(str(error))
        known = hmac.compare_digest(hello.token, worker.token) and hello.lane == lane
        if not known or hello.pid != worker.child.pid:
            return self._refuse("a hello that is not the worker's it claims to be of")
        worker.lanes.add(lane)
        if worker.ready:
            self._starting.pop(worker.id, None)
            news.append(WorkerReady(worker.id, worker.queue, worker.child.pid))
        return None

    def _refuse(self, reason: str, worker: WorkerProcess | None = None) -> None:
        self.protocol_errors += 1
        log.warning(
            "a frame was refused: %s",
            reason,
            extra={"action": "protocol_error", "worker": None if worker is None else worker.id},
        )
        if worker is not None:
            worker.fault = reason
            worker.child.signal_group(signal.SIGKILL)

    def _drain(self, worker: WorkerProcess) -> None:
        if not worker.drain_output():
            self._forget_output(worker)

    # -- ends --------------------------------------------------------------------------------------

    def _note_end(self, worker: WorkerProcess) -> None:
        if worker.over_since is None:
            worker.over_since = monotonic()
            self._over[worker.id] = worker
            # What it started goes with it; a child of it may also hold its end of our socket open.
            worker.child.signal_group(signal.SIGKILL)

    def _look_after_starts(self) -> None:
        now = monotonic()
        for worker in self._starting.values():
            if now - worker.started > HELLO_PATIENCE_S and worker.fault is None:
                worker.fault = f"it did not say hello within {HELLO_PATIENCE_S:g} s"
                worker.child.signal_group(signal.SIGKILL)

    def _bury(self, news: list[News]) -> None:
        """Report those whose last frames are read; the others' descriptors stay readable, so we come again soon."""
        gone = [worker for worker in self._over.values() if self._is_silent(worker)]
        if gone and self._receive(_ALL_FRAMES, news):
            for worker in gone:
                self._report(worker, news)

    def _is_silent(self, worker: WorkerProcess) -> bool:
        """Whether all that a dead worker sent has reached our socket.

        The library lets a peer's route go only after it has taken in the last of its bytes, and a
        socket that insists on routes (``ROUTER_MANDATORY``) tells us so when we write to it.
        """
        assert worker.over_since is not None
        if monotonic() - worker.over_since > _LAST_FRAMES_PATIENCE_S:
            return True
        return not any(self._is_connected(route) for route in worker.routes.values())

    def _is_connected(self, route: bytes) -> bool:
        assert self._router is not None
        try:
            self._router.send(route, _ROUTE_PART)
            self._router.send(_PROBE, _DONTWAIT)
        except zmq.Again:
            return True
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            return False
        return True

    def _report(self, worker: WorkerProcess, news: list[News]) -> None:
        exit_code = self._remove(worker)
        if not worker.ready:
            news.append(_failed_start(worker, exit_code))
            return
        remains = worker.remains
        self._read_outbox(worker, remains.frames, news)
        self._give_back(worker, remains.given_back, news)
        ending = self._ending(worker, exit_code)
        news.append(
            WorkerDied(
                worker.id,
                worker.queue,
                remains.begun,
                remains.finished,
                remains.part,
                ending.cause,
                f"worker {worker.id} (pid {worker.child.pid}) {ending.text}",
            )
        )

    def _remove(self, worker: WorkerProcess) -> int | None:
        """Forget a worker whose process is over; returns its exit code."""
        worker.drain_output(_READS_AT_THE_END)
        self._tails.append((worker.id, worker.tail))
        for registry in (self._workers, self._starting, self._over, self.pids):
            registry.pop(worker.id, None)
        for route in worker.routes.values():
            self._routes.pop(route, None)
        self._forget_output(worker)
        del self._ends[worker.child.end_fd]
        self._forget_fd(worker.child.end_fd)
        # Before the process is reaped: afterwards its number may be somebody else's.
        self._guard.drop(worker.child.pid)
        exit_code = worker.child.bury()
        worker.close()
        return exit_code

    def _forget_output(self, worker: WorkerProcess) -> None:
        if self._outputs.pop(worker.output, None) is not None:
            self._forget_fd(worker.output)

    def _ending(self, worker: WorkerProcess, exit_code: int | None) -> Ending:
        if worker.fault is not None:
            return Ending(PROTOCOL_ERROR, f"was killed for a frame that could not be read: {worker.fault}")
        out_of_memory = exit_code == -signal.SIGKILL and self._oom_kills.happened()
        return ending_of(exit_code, asked=worker.asked_to_end, out_of_memory=out_of_memory)

    # -- stopping ----------------------------------------------------------------------------------

    def _wait_for_ends(self, patience_s: float) -> None:
        """Until every worker is buried, or ``patience_s`` is over. Their last news are nobody's any more."""
        deadline = monotonic() + patience_s
        while self._workers and (left_s := deadline - monotonic()) > 0:
            poller = zmq.Poller()
            for source in (self._router, *self._ends, *self._outputs):
                poller.register(source, zmq.POLLIN)
            self.hear(dict(poller.poll(int(left_s * 1000) + 1)))

    def _signal_all(self, number: signal.Signals, workers: Iterable[WorkerProcess]) -> None:
        for worker in workers:
            worker.asked_to_end = True
            worker.child.signal_group(number)

    # -- descriptors -------------------------------------------------------------------------------

    def _watch_fd(self, fd: int) -> None:
        self._poller.register(fd, zmq.POLLIN)

    def _forget_fd(self, fd: int) -> None:
        with suppress(KeyError):
            self._poller.unregister(fd)


def _failed_start(worker: WorkerProcess, exit_code: int | None) -> StartFailed:
    reason = worker.fault or worker.reason
    # Whoever hears of it says the reason; what the process printed (a traceback) is for the log.
    log.info(
        "a worker could not start: %s\n%s",
        reason,
        worker.tail,
        extra={"action": "worker_start_failed", "exit_code": exit_code},
    )
    return StartFailed(worker.queue, None if worker.fault else exit_code, reason)


def _router(context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> zmq.Socket[bytes]:
    """A socket that says when a worker is gone or full instead of dropping what it is given."""
    router = context.socket(zmq.ROUTER)
    router.setsockopt(zmq.ROUTER_MANDATORY, 1)
    router.setsockopt(zmq.SNDHWM, _HIGH_WATER)
    router.setsockopt(zmq.RCVHWM, _HIGH_WATER)
    router.setsockopt(zmq.LINGER, 0)
    router.setsockopt(zmq.HANDSHAKE_IVL, 5000)
    router.setsockopt(zmq.MAXMSGSIZE, wire.MAX_FRAME)
    router.bind(endpoint)
    return router


def _prepared(directory: Path) -> Path:
    """The directory, made if need be, that nobody but us may enter."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = directory.lstat()
    except OSError as error:
        raise ConfigError(f"{directory} cannot hold the workers' socket: {error.strerror}") from error
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
        raise ConfigError(f"{directory} must be a directory of our own that nobody else may enter (0700)")
    return directory
