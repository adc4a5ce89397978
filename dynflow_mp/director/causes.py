"""Why the engine, not its own code, ended a step: a word for the record, and the class of the error.

Besides what steps are stopped for (:mod:`dynflow_mp.model.stops`), and how processes end: ``signal(9)``, ``exit(3)``,
``out_of_memory``.
"""

from __future__ import annotations

from collections.abc import Mapping

from dynflow_mp.errors import AbnormalTermination, DynflowError, WorkerLost
from dynflow_mp.model.stops import ERRORS, name_of
from dynflow_mp.model.work import ErrorRecord

SUPERVISOR_LOST = "supervisor_lost"
UNREADABLE = "unreadable"
"""What the step needs could not be read: it was never begun."""

_CLASSES: Mapping[str, type[DynflowError]] = {SUPERVISOR_LOST: AbnormalTermination, **ERRORS}


def is_crash(cause: str | None) -> bool:
    """Whether a process died that nobody had told to."""
    return cause not in ERRORS and cause != UNREADABLE


def recorded(cause: str, message: str, backtrace: tuple[str, ...] = ()) -> ErrorRecord:
    """The error of a step that ended for this cause."""
    return ErrorRecord(name_of(_CLASSES.get(cause, WorkerLost)), message, backtrace, cause)
