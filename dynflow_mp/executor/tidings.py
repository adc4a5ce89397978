"""What became of jobs, in the director's words."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from dynflow_mp.director.protocol import FINALIZE
from dynflow_mp.director.stimuli import StepLost, StepsReturned, StepsSent, Stimulus
from dynflow_mp.executor.enforcement import EndedBy
from dynflow_mp.executor.news import WorkerDied
from dynflow_mp.executor.pool import Assignment, QueuedJob
from dynflow_mp.executor.shelf import PageWanted
from dynflow_mp.model.certificates import Certificate
from dynflow_mp.model.work import Errand, ErrorRecord, FinalizeJob, StepJob


def stopped(lost: Stimulus, ended_by: EndedBy, news: WorkerDied) -> Stimulus:
    """The step that its worker was ended for is told why."""
    if not isinstance(lost, StepLost):
        return lost
    message = f"{ended_by.message}; {news.message}"
    lost = lost._replace(cause=ended_by.cause, message=message)
    if lost.certificate is None:
        return lost
    certificate = lost.certificate._replace(cause=ended_by.cause, sentence=message)
    return lost._replace(certificate=certificate, backtrace=certificate.stack)


def certified(error: bytes | None, certificate: Certificate | None) -> bytes | None:
    """The error of a step that was stopped, with what is known of its end; its own error stays as it is."""
    if error is None or certificate is None:
        return error
    record = ErrorRecord.from_bytes(error)
    if record.cause is None:
        return error
    return record._replace(certificate=certificate._replace(stack=record.backtrace)).to_bytes()


def announced(assigned: list[Assignment]) -> list[Stimulus]:
    """The steps among them are about to be sent."""
    items = (item for assignment in assigned for _, item in assignment.numbered)
    return [StepsSent(plan_id, step_ids) for plan_id, step_ids in _by_plan(items).items()]


def returned(items: Iterable[QueuedJob]) -> list[Stimulus]:
    """The steps among them were sent, and never begun."""
    return [StepsReturned(plan_id, step_ids) for plan_id, step_ids in _by_plan(items).items()]


def stays_here(item: QueuedJob, lost: Collection[str]) -> bool:
    """Whether a lost plan's job stays here. What an errand is for was stored before it was asked for."""
    return item.plan_id in lost and not isinstance(item.job, Errand)


def unreadable(wanted: PageWanted, step_ids: list[int], reason: str) -> list[Stimulus]:
    """Steps that cannot be run because what they need cannot be read: errors, not silence."""
    plan_id = wanted.plan_id
    if wanted.finalize:
        step_ids = [FINALIZE]
    lost = [
        StepLost(
            plan_id,
            step_id,
            0,
            "unreadable",
            f"step {step_id} of plan {plan_id} could not be read: {reason}",
        )
        for step_id in step_ids
    ]
    return [StepsSent(plan_id, step_ids), *lost]


def _by_plan(items: Iterable[QueuedJob]) -> dict[str, list[int]]:
    """The steps that these jobs are, by plan; errands are none."""
    by_plan: dict[str, list[int]] = {}
    for item in items:
        step_id = _step_of(item)
        if step_id is not None:
            by_plan.setdefault(item.plan_id, []).append(step_id)
    return by_plan


def _step_of(item: QueuedJob) -> int | None:
    """Which step of its plan a job is; None for an errand, which is none."""
    job = item.job
    if type(job) is StepJob:
        return job.step_id
    return FINALIZE if isinstance(job, FinalizeJob) else None
