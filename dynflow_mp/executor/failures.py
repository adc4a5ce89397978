"""Outcomes that the executor itself writes, for jobs that could not be run or answered as they should."""

from __future__ import annotations

from time import time_ns

from dynflow_mp.actions.failure import record_of
from dynflow_mp.executor.wire import Outcome
from dynflow_mp.model.states import StepState
from dynflow_mp.model.work import Errand, ErrandOutcome, Job, StepJob, StepOutcome


def failed_job(job: Job, error: BaseException) -> Outcome:
    """The outcome of a job that ended with ``error`` outside any user's code."""
    if isinstance(job, StepJob):
        return failed_step(job.step_id, error)
    if isinstance(job, Errand):
        return failed_errand(job.kind, error)
    return tuple(failed_step(part.step_id, error) for part in job.parts[:1])


def failed_step(step_id: int, error: BaseException) -> StepOutcome:
    """The outcome of one step that ended with ``error``."""
    record = record_of(error).to_bytes()
    return StepOutcome(step_id, StepState.ERROR, time_ns() // 1000, 0.0, 0.0, 1.0, error=record)


def failed_errand(kind: str, error: BaseException) -> ErrandOutcome:
    """The outcome of an errand that ended with ``error``."""
    return ErrandOutcome(kind, 0.0, None, record_of(error).to_bytes())
