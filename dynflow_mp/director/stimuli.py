"""Every stimulus the director hears."""

from __future__ import annotations

from typing import NamedTuple

from dynflow_mp.model.certificates import Certificate
from dynflow_mp.model.messages import Response
from dynflow_mp.model.plans import PlanSkeleton
from dynflow_mp.model.work import OutputChunk, StepOutcome
from dynflow_mp.redaction import discreet


class PlanRequested(NamedTuple):
    """A world asks for a plan to be executed."""

    plan_id: str
    client_id: str
    request_id: str


class PlanArrived(NamedTuple):
    """The plan was loaded. ``holder_request_id``: the request under which another world runs it."""

    skeleton: PlanSkeleton
    holder_request_id: str | None = None


class PlanOffered(NamedTuple):
    """A plan that is to be run and that nobody has taken was loaded, since there is room for it here."""

    skeleton: PlanSkeleton


class PlanUnavailable(NamedTuple):
    """The plan could not be loaded; ``response`` says why."""

    plan_id: str
    response: Response


class StepsSent(NamedTuple):
    """The pool chose workers for these steps (or for FINALIZE); they go out after this turn's commit."""

    plan_id: str
    step_ids: list[int]


class StepFinished(NamedTuple):
    """A worker answered for one step; ``worker_pid`` is its process."""

    plan_id: str
    attempt: int
    outcome: StepOutcome
    worker_pid: int | None = None


class ChunksWritten(NamedTuple):
    """A step that still runs has written output chunks."""

    plan_id: str
    step_id: int
    attempt: int
    chunks: tuple[OutputChunk, ...]


class FinalizeFinished(NamedTuple):
    """A worker answered for the finalize phase: outcomes of the parts it executed, in order."""

    plan_id: str
    outcomes: tuple[StepOutcome, ...]
    worker_pid: int | None = None


class StepsReturned(NamedTuple):
    """Steps that were sent will not be begun: their worker died before, or gave them back."""

    plan_id: str
    step_ids: list[int]


class StepLost(NamedTuple):
    """The worker that had begun this step (or FINALIZE, at ``part``) died before it answered."""

    plan_id: str
    step_id: int
    part: int
    cause: str
    message: str
    backtrace: tuple[str, ...] = ()
    certificate: Certificate | None = None
    worker_pid: int | None = None


@discreet
class EventArrived(NamedTuple):
    """A world sends an event to a step; ``data`` are the codec's bytes."""

    plan_id: str
    step_id: int
    client_id: str | None
    request_id: str
    data: bytes
    optional: bool = False
    due_at: int | None = None


class EventDue(NamedTuple):
    """The time of a stored event has come."""

    plan_id: str
    event_id: str


class CancelRequested(NamedTuple):
    """A world asks for the plan's steps to be sent Cancel, or with ``force`` Abort."""

    plan_id: str
    client_id: str
    request_id: str
    force: bool = False


class HaltRequested(NamedTuple):
    """A world asks for the plan to be stopped, whatever it does."""

    plan_id: str
    client_id: str
    request_id: str


class StepDue(NamedTuple):
    """The time has come to try a step again; ``due_at`` is the time that was set."""

    plan_id: str
    step_id: int
    due_at: int


class DeadlineDue(NamedTuple):
    """The plan's deadline has come."""

    plan_id: str


class PlanLost(NamedTuple):
    """A guard refused this plan's writes: another world has it, or it is gone."""

    plan_id: str


class ErrandFinished(NamedTuple):
    """A worker did an errand: ``result``, or ``error`` (the bytes of an ErrorRecord) if it raised."""

    plan_id: str
    errand_id: int
    kind: str
    result: bytes | None
    error: bytes | None


class ErrandLost(NamedTuple):
    """An errand was not done: its worker died each time it was tried, or what it needs could not be read."""

    plan_id: str
    errand_id: int
    kind: str
    cause: str
    message: str


class DrainBegun(NamedTuple):
    """No new plans and no new steps from now on."""


class DrainEnded(NamedTuple):
    """Nothing runs any more: give up every plan that is left."""


Stimulus = (
    PlanRequested
    | PlanArrived
    | PlanOffered
    | PlanUnavailable
    | StepsSent
    | StepFinished
    | ChunksWritten
    | FinalizeFinished
    | StepsReturned
    | StepLost
    | EventArrived
    | EventDue
    | CancelRequested
    | HaltRequested
    | StepDue
    | DeadlineDue
    | PlanLost
    | ErrandFinished
    | ErrandLost
    | DrainBegun
    | DrainEnded
)
