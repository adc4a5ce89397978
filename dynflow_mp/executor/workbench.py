"""The main thread of a worker: takes jobs off the work lane, runs them, answers.

Nothing is handed from thread to thread here: this thread reads its own socket between the steps.
Outcomes travel together while steps are short, and never wait behind a step that may be long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic

import zmq

from dynflow_mp.actions.phases import run_finalize, run_step
from dynflow_mp.errors import ProtocolError
from dynflow_mp.executor import wire
from dynflow_mp.executor.failures import failed_job, failed_step
from dynflow_mp.executor.page import Page
from dynflow_mp.executor.tally import Numbered, Tally
from dynflow_mp.executor.wire import Outcome
from dynflow_mp.model.work import FinalizeJob, FinalizePart, Job, StepJob, StepOutcome

LONG_S = 0.001
"""Outcomes are sent before a step whose class takes longer on average, or was never measured."""
MOST_UNSENT = 64
MOST_UNSENT_BYTES = 1024 * 1024
MOST_UNSENT_S = 0.005
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
    ) -> None:
        self._lane = lane
        self._tally = tally
        self._page = page
        self._max_payload = max_payload
        self._on_batch = on_batch
        self._costs: dict[str, float] = {}
        self._unsent_size = 0
        self._unsent_since = 0.0

    def serve(self) -> None:
        """Work until told to leave."""
        while True:
            frame = self._lane.recv()  # idle: the control lane watches over the supervisor meanwhile
            kind = wire.kind_of(frame)
            if kind == wire.STOP:
                return
            self._work_through(wire.decode_jobs(frame))

    def _work_through(self, jobs: list[tuple[int, Job]]) -> None:
        tally = self._tally
        tally.busy = True
        if len(jobs) > 1:
            self._on_batch()
        now = monotonic()
        for number, job in jobs:
            name = job.action_class if type(job) is StepJob else ""
            if tally.unsent and self._send_first(name, now):
                self._send()
            if tally.begin(number):
                outcome = self._run(job)
                tally.finish(number, outcome)
                now = self._measure(name, outcome, now)
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
        send_unsent(self._tally, self._lane)

    def _run(self, job: Job) -> Outcome:
        """Run a job; what ``phases`` lets through all the same is the job's error, not the worker's end."""
        try:
            if type(job) is StepJob:
                return run_step(job, self._max_payload)
            return self._finalize(job)  # type: ignore[arg-type]  # the only other kind of job
        except BaseException as error:
            return failed_job(job, error)

    def _finalize(self, job: FinalizeJob) -> tuple[StepOutcome, ...]:
        parts_begun = 0

        def on_part(part: FinalizePart) -> None:
            nonlocal parts_begun
            self._page.begin_part(parts_begun)
            parts_begun += 1

        return run_finalize(job, on_part, self._max_payload)


def send_unsent(tally: Tally, lane: zmq.Socket[bytes]) -> None:
    """Send the outcomes that wait; the page has them, too, in case this process is gone before they are."""
    outcomes = tally.take_unsent()
    if outcomes:
        frame = _encoded(outcomes)
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
        return (failed_step(outcome[0].step_id, error),)
    return outcome


_BARE = 64


def _size(outcome: Outcome) -> int:
    if type(outcome) is StepOutcome:
        return _BARE + len(outcome.output or b"") + len(outcome.input or b"")
    return sum(map(_size, outcome)) if outcome else _BARE  # type: ignore[arg-type]  # a tuple of step outcomes
