"""What stands around the calls of one class in a worker, and around the finalize phase of a plan."""

from __future__ import annotations

from collections.abc import Callable
from time import time_ns
from typing import Any, NamedTuple

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.failure import record_of
from dynflow_mp.actions.formats import Format, format_of
from dynflow_mp.actions.middleware import NOTHING, Around, Layers, MiddlewareRules, call
from dynflow_mp.actions.unwinding import Failed
from dynflow_mp.model.states import StepState
from dynflow_mp.model.work import FinalizeJob, StepOutcome


class Layered(NamedTuple):
    """One class's layers: what its input and output must be like, outside of that its middleware."""

    around: Around
    input_format: Format | None
    output_format: Format | None

    def running(self, action: Any) -> Callable[..., Any]:
        """``run`` of this action with all that stands around it."""
        run = call(self.around.run, "run", action.execution_plan_id, action, action.run)
        if self.input_format is None and self.output_format is None:
            return run

        def checked(*args: Any) -> Any:
            if self.input_format is not None and not args:
                self.input_format.check(action.input)
            returned = run(*args)
            if self.output_format is not None:
                self.output_format.check(action.output)
            return returned

        return checked

    def finalizing(self, action: Any) -> Callable[..., Any]:
        """``finalize`` of this action with all that stands around it."""
        return call(self.around.finalize, "finalize", action.execution_plan_id, action, action.finalize)


def layered(kind: type[Action], rules: MiddlewareRules) -> Layered | None:
    """What stands around a class; None for nothing."""
    found = Layered(rules.around(kind), format_of(kind, "input_format"), format_of(kind, "output_format"))
    return None if found == _NONE else found


_NONE = Layered(NOTHING, None, None)


def finalized_within(
    layers: Layers,
    job: FinalizeJob,
    all_parts: Callable[[], BaseException | None],
    outcomes: list[StepOutcome],
) -> tuple[StepOutcome, ...]:
    """Finalize with layers around it, which see the error of a part that fails; the part stays failed all the same.

    ``all_parts`` adds to ``outcomes``. An error of the layers themselves is charged to the last part, since all run
    again when the plan is resumed; where they pass nothing on, every part ends well.
    """

    def everything() -> None:
        error = all_parts()
        if error is not None:
            raise error

    failure: BaseException | None = None
    try:
        call(layers, "finalize_phase", job.plan_id, None, everything)()
    except BaseException as error:  # as of a part: the phase's end, never the worker's
        failure = error.unwrapped() if isinstance(error, Failed) else error
    if any(outcome.state is StepState.ERROR for outcome in outcomes):
        return tuple(outcomes)
    done = {outcome.step_id for outcome in outcomes}
    outcomes += [_untouched(part.step_id) for part in job.parts if part.step_id not in done]
    if failure is not None:
        outcomes[-1] = outcomes[-1]._replace(state=StepState.ERROR, error=record_of(failure).to_bytes())
    return tuple(outcomes)


def _untouched(step_id: int) -> StepOutcome:
    return StepOutcome(step_id, StepState.SUCCESS, time_ns() // 1000, 0.0, 0.0, None)
