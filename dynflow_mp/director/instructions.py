"""Every instruction the director gives.

Writes (:mod:`dynflow_mp.model.writes`) are instructions too: the core commits a turn's writes in
one transaction and carries out the rest only afterwards.
"""

from __future__ import annotations

from typing import NamedTuple

from dynflow_mp.director.stimuli import DeadlineDue, StepDue
from dynflow_mp.model.messages import ANY_EXECUTOR, Envelope, Execution, Response
from dynflow_mp.model.sub_plans import Ending
from dynflow_mp.model.work import PlannedEvent
from dynflow_mp.model.writes import Write


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
    """All sub-plans of this action that have not ended are to end; of the whole plan, where no action is named."""

    plan_id: str
    action_id: int | None
    step_id: int | None
    """Who is told; nobody, where the plan is over."""
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
    """An event for a step of another plan: one that an action of ``plan_id`` asked for and that is stored as ``id``, or a hint."""

    event: PlannedEvent
    plan_id: str | None = None
    id: str | None = None


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
