"""Every stimulus the director hears and every instruction it gives.

    stimulus ──▶ Director.handle(stimulus, now) ──▶ instructions

Writes (:mod:`dynflow_mp.model.writes`) are instructions too: the core commits a turn's writes in
one transaction and carries out the rest only afterwards.
"""

from __future__ import annotations

from typing import NamedTuple

from dynflow_mp.model.messages import ANY_EXECUTOR, Envelope, Execution, Response
from dynflow_mp.model.plans import PlanSkeleton
from dynflow_mp.model.sub_plans import Ending
from dynflow_mp.model.work import OutputChunk, PlannedEvent, StepOutcome
from dynflow_mp.model.writes import Write

FINALIZE = 0
"""Stands for the finalize phase where a step id is expected: it is one job, not one step."""

UNATTENDED = "unattended-"
"""Begins the ids of requests whose answer nobody waits for: who asks for the same plan and does wait is
not refused because of them."""


def attended(request_id: str | None) -> bool:
    """Whether someone waits for the answer to this request."""
    return request_id is None or not request_id.startswith(UNATTENDED)


class Asker(NamedTuple):
    """Who is to be told when this attempt at a plan ended."""

    client_id: str
    request_id: str

    @property
    def waits(self) -> bool:
        """Whether the answer is for anyone."""
        return attended(self.request_id)


# -- stimuli -------------------------------------------------------------------------------------


NOBODY = ""
"""The client id of those for whom an answer is for nobody."""


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
    """A worker answered for one step."""

    plan_id: str
    attempt: int
    outcome: StepOutcome


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

# -- instructions --------------------------------------------------------------------------------


class LoadPlan(NamedTuple):
    """Fetch the plan's skeleton; the answer is PlanArrived or PlanUnavailable."""

    plan_id: str


class ReadySteps(NamedTuple):
    """These steps may run: bring what they need and queue them."""

    plan_id: str
    step_ids: list[int]


class ReadyEvent(NamedTuple):
    """This suspended step may run with this event."""

    plan_id: str
    step_id: int
    data: bytes


class ReadyFinalize(NamedTuple):
    """The finalize phase may run: these steps, in order."""

    plan_id: str
    step_ids: list[int]


class StopStep(NamedTuple):
    """Stop this running step, whatever its code does; StepLost with this cause, or its outcome, follows."""

    plan_id: str
    step_id: int
    cause: str
    message: str


class Withdraw(NamedTuple):
    """Send nothing more of the plan; what is with workers goes on."""

    plan_id: str


class RemindAt(NamedTuple):
    """Say ``stimulus`` at ``due_at`` (microseconds UTC)."""

    due_at: int
    plan_id: str
    stimulus: StepDue | DeadlineDue


class RunErrand(NamedTuple):
    """Have a worker do this, once the turn is stored; ErrandFinished or ErrandLost follows.

    The errand outlives its plan's run here, and is tried again when its worker dies, up to ``tries`` times in all.
    An errand that is out already (same plan, kind and number) is not sent twice.
    """

    plan_id: str
    errand_id: int
    kind: str
    action_class: str
    data: bytes
    queue: str
    tries: int = 3


class StartSubPlans(NamedTuple):
    """These sub-plans of this plan are stored now and may be run here as there is room, or by anybody."""

    plan_id: str
    sub_plan_ids: tuple[str, ...]


class EndSubPlans(NamedTuple):
    """All sub-plans of this action that have not ended are to end."""

    plan_id: str
    action_id: int
    step_id: int
    how: Ending


class DropPlan(NamedTuple):
    """This executor is done with the plan: forget what waits for it."""

    plan_id: str


class Answer(NamedTuple):
    """Tell the world that asked, once this turn is committed (and only if the plan was not lost)."""

    client_id: str
    request_id: str
    response: Response
    plan_id: str | None = None


class HandOver(NamedTuple):
    """Ask any other executor to go on with the plan, on behalf of the client that asked us."""

    plan_id: str
    client_id: str
    request_id: str

    @property
    def request(self) -> Envelope:
        """The client's own request again, for any executor: the answer goes to the client."""
        return Envelope(self.client_id, ANY_EXECUTOR, self.request_id, Execution(self.plan_id))


class SendEvent(NamedTuple):
    """An action asked for an event to a step of another plan."""

    event: PlannedEvent


class EventUndelivered(NamedTuple):
    """An event that an action planned was not taken by anybody, and it was not optional: worth a line in the log."""

    plan_id: str
    step_id: int
    reason: str


class WakeAt(NamedTuple):
    """Say EventDue at ``due_at`` (microseconds UTC)."""

    due_at: int
    plan_id: str
    event_id: str


Instruction = (
    Write
    | LoadPlan
    | ReadySteps
    | ReadyEvent
    | ReadyFinalize
    | StopStep
    | Withdraw
    | RemindAt
    | RunErrand
    | StartSubPlans
    | EndSubPlans
    | DropPlan
    | Answer
    | HandOver
    | SendEvent
    | EventUndelivered
    | WakeAt
)
