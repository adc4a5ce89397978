"""Why the engine, not its own code, ended a step: a word for the record, and the class of the error.

A cause that is not here is how a process ended: ``signal(9)``, ``exit(3)``, ``out_of_memory``.
"""

from __future__ import annotations

from collections.abc import Mapping

from dynflow_mp.errors import AbnormalTermination, DeadlineExceeded, DynflowError, WorkerLost
from dynflow_mp.model.work import ErrorRecord

DEADLINE = "deadline"
SUPERVISOR_LOST = "supervisor_lost"
UNREADABLE = "unreadable"
"""What the step needs could not be read: it was never begun."""

_CLASSES: Mapping[str, type[DynflowError]] = {
    DEADLINE: DeadlineExceeded,
    SUPERVISOR_LOST: AbnormalTermination,
}
_NO_CRASHES = frozenset({DEADLINE, UNREADABLE})


def is_crash(cause: str | None) -> bool:
    """Whether a process died that nobody had told to."""
    return cause not in _NO_CRASHES


def recorded(cause: str, message: str) -> ErrorRecord:
    """The error of a step that ended for this cause."""
    return ErrorRecord(name_of(_CLASSES.get(cause, WorkerLost)), message, cause=cause)


def name_of(kind: type[DynflowError]) -> str:
    """As errors of steps are recorded: readers find the class again by it."""
    return f"{kind.__module__}.{kind.__qualname__}"
