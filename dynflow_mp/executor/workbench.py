"""The main thread of a worker: takes jobs off the work lane, runs them, answers.

Nothing is handed from thread to thread here: this thread reads its own socket between the steps.
Outcomes travel together while steps are short, and never wait behind a step that may be long.
After each step the process is put in order; one that cannot be is left, for another to take its place.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from os import times
from time import monotonic, time_ns
from typing import NoReturn

import zmq

from dynflow_mp.actions.calls import NewChunks
from dynflow_mp.actions.errands import run_errand
from dynflow_mp.actions.failure import exception_name, message_of
from dynflow_mp.actions.output_chunks import KeptChunks
from dynflow_mp.actions.phases import run_finalize, run_step
from dynflow_mp.actions.unwinding import Stopped
from dynflow_mp.errors import ProtocolError
from dynflow_mp.executor import wire
from dynflow_mp.executor.endings import LEFT_TO_BE_REPLACED
from dynflow_mp.executor.errand_kinds import KINDS
from dynflow_mp.executor.failures import failed_errand, failed_job, failed_step
from dynflow_mp.executor.own_descriptors import OwnDescriptors
from dynflow_mp.executor.own_memory import own_resident_bytes
from dynflow_mp.executor.page import Page
from dynflow_mp.executor.surroundings import Surroundings
from dynflow_mp.executor.tally import Numbered, Tally
from dynflow_mp.executor.wire import Outcome
from dynflow_mp.failpoints import failpoint
from dynflow_mp.model.work import Errand, ErrandOutcome, FinalizeJob, FinalizePart, Job, StepJob, StepOutcome
from dynflow_mp.planning.sub_plans import sub_planner

LONG_S = 0.001
"""Outcomes are sent before a step whose class takes longer on average, or was never measured."""
MOST_UNSENT = 64
MOST_UNSENT_BYTES = 1024 * 1024
MOST_UNSENT_S = 0.005
LOOK_EVERY_S = 0.05
"""How often what steps may have left is looked for while there is work, and how soon once there is none."""
_LOOK_AGAIN_S = 1.0
_FOR_EVER_MS = -1
_UNMEASURED_S = float("inf")
_LEARNING = 0.3


class Workbench:
    """Runs jobs one after the other. Owned by the worker's main thread."""

    def __init__(
        self,
        lane: zmq.Socket[bytes],
        tally: Tally,
        page: Page,
        max_payload: int,
        on_batch: Callable[[], None],
        surroundings: Surroundings,
        descriptors: OwnDescriptors,
        new_chunks: NewChunks = KeptChunks,
    ) -> None:
        self._lane = lane
        self._new_chunks = new_chunks
        self._tally = tally
        self._page = page
        self._max_payload = max_payload
        self._on_batch = on_batch
        self._surroundings = surroundings
        self._descriptors = descriptors
        self._pid = os.getpid()
        self._plan_sub_plan = sub_planner(lambda: time_ns() // 1000, os.urandom)
        self._unfit: str | None = None
        self._looked_at = 0.0
        self._patience_ms = _FOR_EVER_MS
        self._costs: dict[str, float] = {}
        self._unsent_size = 0
        self._unsent_since = 0.0
        self._peak = 0
        self._note_memory()

    def serve(self) -> str | None:
        """Work until told to leave, or until this process is no longer fit for it; returns why not."""
        while self._unfit is None:
            try:
                frame = self._lane.recv()  # idle: the control lane watches over the supervisor meanwhile
            except zmq.Again:
                self._look_closer(monotonic())
                self._wait_for_frames(_LOOK_AGAIN_S if self._surroundings.strays else None)
                continue
            if wire.kind_of(frame) == wire.STOP:
                return None
            self._work_through(wire.decode_jobs(frame))
            self._wait_for_frames(LOOK_EVERY_S)
        return self._unfit

    def _wait_for_frames(self, seconds: float | None) -> None:
        """How long to wait for the next frame before having a look around; None: for ever."""
        patience_ms = _FOR_EVER_MS if seconds is None else int(seconds * 1000)
        if patience_ms != self._patience_ms:
            self._patience_ms = patience_ms
            self._lane.setsockopt(zmq.RCVTIMEO, patience_ms)

    def _work_through(self, jobs: list[tuple[int, Job]]) -> None:
        failpoint("jobs_received")
        tally = self._tally
        tally.busy = True
        if len(jobs) > 1:
            self._on_batch()
        self._page.note_cpu(cpu_seconds())
        now = monotonic()
        for number, job in jobs:
            name = job.action_class if type(job) is StepJob else _name_of(job)
            if tally.unsent and self._send_first(name, now):
                self._send()
                self._page.note_cpu(cpu_seconds())
            if self._unfit is not None:
                continue
            try:
                if not tally.begin(number, now):
                    continue
                outcome = self._run(job)
                self._leave_if_forked()
                tally.finish(number, outcome)
            except Stopped as stopped:  # on the way in or out, where none of the user's code runs
                outcome = failed_job(job, stopped)
                tally.finish(number, outcome)
            now = self._measure(name, outcome, now)
            self._tidy(now)
        self._send()
        tally.busy = False

    def _send_first(self, name: str, now: float) -> bool:
        """Whether the outcomes collected so far may not wait for the next step."""
        return (
            self._costs.get(name, _UNMEASURED_S) > LONG_S
            or now - self._unsent_since > MOST_UNSENT_S
            or len(self._tally.unsent) >= MOST_UNSENT
            or self._unsent_size > MOST_UNSENT_BYTES
        )

    def _measure(self, name: str, outcome: Outcome, begun: float) -> float:
        now = monotonic()
        known = self._costs.get(name)
        self._costs[name] = now - begun if known is None else known + _LEARNING * (now - begun - known)
        if not self._unsent_size:
            self._unsent_since = now
        self._unsent_size += _size(outcome)
        return now

    def _send(self) -> None:
        self._unsent_size = 0
        self._leave_if_closed()
        send_unsent(self._tally, self._lane)

    def _run(self, job: Job) -> Outcome:
        """Run a job; what ``phases`` lets through all the same is the job's error, not the worker's end."""
        try:
            if type(job) is StepJob:
                return run_step(job, self._max_payload, self._plan_sub_plan, new_chunks=self._new_chunks)
            if type(job) is Errand:
                return run_errand(job, KINDS, self._max_payload)
            return self._finalize(job)  # type: ignore[arg-type]  # the only other kind of job
        except BaseException as error:
            return failed_job(job, error)

    def _finalize(self, job: FinalizeJob) -> tuple[StepOutcome, ...]:
        parts_begun = 0

        def on_part(part: FinalizePart) -> None:
            nonlocal parts_begun
            self._leave_if_forked()
            if parts_begun:
                self._tidy(monotonic())
            self._page.begin_part(parts_begun)
            parts_begun += 1

        return run_finalize(job, on_part, self._max_payload)

    # -- what steps do to this process -------------------------------------------------------------

    def _tidy(self, now: float) -> None:
        try:
            self._surroundings.tidy()
        except Exception as error:
            self._unfit = _in_disorder(error)
        if now - self._looked_at > LOOK_EVERY_S:
            self._look_closer(now)

    def _look_closer(self, now: float) -> None:
        self._looked_at = now
        self._note_memory()
        self._leave_if_closed()
        if self._descriptors.replaced():
            self._leave_at_once("a step put other files in the place of descriptors that were not its own")
        try:
            self._unfit = self._unfit or self._surroundings.look_closer(now)
        except Exception as error:
            self._unfit = _in_disorder(error)

    def _note_memory(self) -> None:
        resident = own_resident_bytes()
        self._peak = max(self._peak, resident)
        self._page.note_memory(resident, self._peak)

    def _leave_if_closed(self) -> None:
        if self._descriptors.closed():
            self._leave_at_once("a step closed descriptors that were not its own")

    def _leave_if_forked(self) -> None:
        """A step called ``os.fork`` and came back in the child: only its parent is the worker."""
        if os.getpid() != self._pid:
            os._exit(0)

    def _leave_at_once(self, reason: str) -> NoReturn:
        """Leave without a word on the sockets: they may be anybody's by now. The page has it all."""
        outcomes = self._tally.take_unsent()
        if outcomes:
            self._tally.keep(_encoded(outcomes))
        self._page.say_why(reason)
        os._exit(LEFT_TO_BE_REPLACED)


def _in_disorder(error: Exception) -> str:
    return f"what a step left could not be put in order: {exception_name(type(error))}: {message_of(error)}"


def cpu_seconds() -> float:
    """What this process has used of the CPU, its threads and the children it waited for included."""
    own_user, own_system, user, system, _ = times()
    return own_user + own_system + user + system


def send_unsent(tally: Tally, lane: zmq.Socket[bytes]) -> None:
    """Send the outcomes that wait; the page has them, too, in case this process is gone before they are."""
    outcomes = tally.take_unsent()
    if outcomes:
        frame = _encoded(outcomes)
        failpoint("outcomes_encoded")
        tally.keep(frame)
        lane.send(frame)


def _encoded(outcomes: Sequence[Numbered]) -> bytes:
    """The outcomes as a frame; one that cannot be sent goes as an error in its place."""
    try:
        return wire.encode_outcomes(outcomes)
    except ProtocolError:
        return wire.encode_outcomes([(number, _sendable(number, outcome)) for number, outcome in outcomes])


def _sendable(number: int, outcome: Outcome) -> Outcome:
    try:
        wire.encode_outcomes([(number, outcome)])
    except ProtocolError as error:
        if isinstance(outcome, StepOutcome):
            return failed_step(outcome.step_id, error)
        if isinstance(outcome, ErrandOutcome):
            return failed_errand(outcome.kind, error)
        return (failed_step(outcome[0].step_id, error),)
    return outcome


def _name_of(job: Job) -> str:
    """What the costs of jobs like this one are known by."""
    return f"{job.kind} {job.action_class}" if isinstance(job, Errand) else ""


_BARE = 64


def _size(outcome: Outcome) -> int:
    if type(outcome) is StepOutcome:
        size = _BARE + len(outcome.output or b"") + len(outcome.input or b"")
        size += sum(len(chunk.chunk) for chunk in outcome.chunks) if outcome.chunks else 0
        return size + sum(map(len, outcome.plans)) if outcome.plans else size
    if type(outcome) is ErrandOutcome:
        return _BARE + len(outcome.result or b"")
    return sum(map(_size, outcome)) if outcome else _BARE  # type: ignore[arg-type]  # a tuple of step outcomes
