"""Actions and errors as anybody may see them: whoever shows a plan to people shows these.

``action.input`` and ``error.message`` are the data itself, for programs. A command line, a page or a log takes what
is here instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.failure import exception_name
from dynflow_mp.errors import DynflowError, InvalidPlan
from dynflow_mp.reading.recorded_error import RecordedError
from dynflow_mp.redaction import redacted, secrets_in, without

if TYPE_CHECKING:
    from dynflow_mp.reading.execution_plan import ExecutionPlan
    from dynflow_mp.reading.step import FailedAttempt, Step


class Shown(NamedTuple):
    """What of an action may be shown."""

    input: Any
    output: Any


def shown(action: Action) -> Shown:
    """Its input and output, with ``***`` under telling keys and where its class says (``sensitive``)."""
    sensitive = type(action).sensitive
    return Shown(redacted(action.input, sensitive), redacted(action.output, sensitive))


def shown_error(error: RecordedError, action: Action | None = None) -> RecordedError:
    """An error whose texts do not repeat what :func:`shown` hides of its action."""
    secrets = frozenset() if action is None else secrets_of(action)
    died = error.certificate
    return error._replace(
        message=without(error.message, secrets),
        backtrace=tuple(without(line, secrets) for line in error.backtrace),
        certificate=None
        if died is None
        else died._replace(
            sentence=without(died.sentence, secrets),
            stack=tuple(without(line, secrets) for line in died.stack),
            output=without(died.output, secrets),
        ),
    )


def shown_error_of(step: Step, plan: ExecutionPlan | None = None) -> RecordedError | None:
    """Why a step failed last; where that, or what is secret of its action, cannot be read, why not.

    Without its plan it is as it was stored, when its worker hid what was secret then: that reads no action.
    """
    try:
        error = step.error
    except DynflowError as damaged:
        return _instead(damaged)
    if plan is None:
        return None if error is None else shown_error(error)
    return _shown_error(error, plan, step.action_id)


def shown_attempts(step: Step, plan: ExecutionPlan) -> list[FailedAttempt]:
    """The attempts of a step that failed, in order. Raises :class:`DamagedData` where they cannot be read."""
    return [
        attempt._replace(error=_shown_error(attempt.error, plan, step.action_id))
        for attempt in step.failed_attempts
    ]


def action_of(plan: ExecutionPlan, action_id: int) -> Action:
    """An action that a step tells of. Raises :class:`InvalidPlan` where it is not stored."""
    try:
        return plan.action(action_id)
    except KeyError:
        raise InvalidPlan(f"action {action_id} is not stored", plan.id) from None


def shown_text(text: str, action: Action | None = None) -> str:
    """Text that an action's step has left (what it printed, say), without what is hidden of it."""
    return without(text, frozenset() if action is None else secrets_of(action))


def secrets_of(action: Action) -> frozenset[str]:
    """The texts in an action's input and output that are not to be shown."""
    sensitive = type(action).sensitive
    return secrets_in(action.input, sensitive) | secrets_in(action.output, sensitive)


def _shown_error(error: RecordedError | None, plan: ExecutionPlan, action_id: int) -> RecordedError | None:
    try:
        return None if error is None else shown_error(error, action_of(plan, action_id))
    except DynflowError as damaged:  # it may repeat what nobody knows to be secret any more
        return _instead(damaged)


def _instead(damaged: DynflowError) -> RecordedError:
    return RecordedError(exception_name(type(damaged)), str(damaged))
