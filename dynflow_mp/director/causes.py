"""Why the engine, not its own code, ended a step: a word for the record, and the class of the error.

A cause that is not here, nor among what steps are stopped for (:mod:`dynflow_mp.model.stops`), is how a process
ended: ``signal(9)``, ``exit(3)``, ``out_of_memory``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dynflow_mp.errors import AbnormalTermination, DynflowError, StepStopped, WorkerLost
from dynflow_mp.model.certificates import Certificate
from dynflow_mp.model.stops import ERRORS, EXECUTOR_ENDED, name_of
from dynflow_mp.model.work import ErrorRecord

SUPERVISOR_LOST = "supervisor_lost"
UNREADABLE = "unreadable"
"""What the step needs could not be read: it was never begun."""

_CLASSES: Mapping[str, type[DynflowError]] = {
    **ERRORS,
    EXECUTOR_ENDED: StepStopped,
    SUPERVISOR_LOST: AbnormalTermination,
}
_NO_CRASHES = frozenset({*ERRORS, UNREADABLE})


def is_crash(cause: str | None) -> bool:
    """Whether a process died that nobody had told to, or ended before the step had."""
    return cause not in _NO_CRASHES


def abnormal_termination(now: int) -> ErrorRecord:
    """The error of a step that is stored as running although nobody runs it: its executor died; found out ``now``."""
    said = "the executor that ran it is gone, and its worker with it"
    certificate = Certificate(SUPERVISOR_LOST, said, now)
    return recorded(
        SUPERVISOR_LOST, "abnormal termination (previous state: running)", certificate=certificate
    )


def recorded(
    cause: str, message: str, backtrace: Sequence[str] = (), certificate: Certificate | None = None
) -> ErrorRecord:
    """The error of a step that ended for this cause."""
    kind = name_of(_CLASSES.get(cause, WorkerLost))
    return ErrorRecord(kind, message, tuple(backtrace), cause, certificate)
