"""Cancel and Abort for the steps of a plan that can take them: events like any other, recorded before they are told."""

from __future__ import annotations

from dynflow_mp.director.instructions import Answer
from dynflow_mp.director.stimuli import CancelRequested, EventArrived
from dynflow_mp.errors import NotCancellable
from dynflow_mp.model.codec import encode
from dynflow_mp.model.messages import Failed, Response, Told
from dynflow_mp.model.plans import PlanSkeleton, StepTable
from dynflow_mp.model.signals import Signal
from dynflow_mp.model.states import StepState

_CANCELLABLE = (StepState.RUNNING, StepState.SUSPENDED)
_DATA = {force: encode(Signal.ABORT if force else Signal.CANCEL, "event") for force in (False, True)}


def cancellations(
    skeleton: PlanSkeleton, steps: StepTable, run_steps: list[int], request: CancelRequested
) -> list[EventArrived]:
    """The events to the steps that run or wait and whose classes are Cancellable.

    Their ids follow from the request's, so that a request that comes again tells nobody twice.
    """
    classes = {name for name, policy in skeleton.policies.items() if policy.cancellable}
    if not classes:
        return []
    active = [step_id for state in _CANCELLABLE for step_id in steps.in_state(run_steps, state)]
    return [
        EventArrived(
            request.plan_id,
            step_id,
            None,
            f"{request.request_id}:{step_id}",
            _DATA[request.force],
            optional=True,
        )
        for step_id in sorted(active)
        if steps.kind(step_id).action_class in classes
    ]


def told_of(events: list[EventArrived], request: CancelRequested) -> Answer:
    """Who asks is told which steps these events go to, or that there is none."""
    if events:
        said: Response = Told([event.step_id for event in events])
    else:
        text = f"no step of plan {request.plan_id} that runs or waits can be cancelled"
        said = Failed.of(NotCancellable(text, request.plan_id))
    return Answer(request.client_id, request.request_id, said, request.plan_id)
