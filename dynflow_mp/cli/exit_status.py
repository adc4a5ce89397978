"""How a command ends: the numbers, what they mean, and which error ends with which.

0    all is well
1    it is not: a plan did not end well, something is wrong or broke
2    options, settings or the database cannot work
3    what was named is not there: a plan, a step, a world
4    refused: the state of what was named does not allow it
5    no answer in time: nobody took the request, or ``--wait`` was over
130  Ctrl-C
"""

from __future__ import annotations

from dynflow_mp import errors

WELL, BROKEN, USAGE, NOT_FOUND, REFUSED, NO_ANSWER, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

IN_WORDS = (
    "Exit status: 0 when all is well, 1 when it is not or something broke, 2 for wrong options or settings, "
    "3 when what was named is not there, 4 when its state does not allow it, 5 when no answer came in time."
)

_BY_ERROR: tuple[tuple[tuple[type[errors.DynflowError], ...], int], ...] = (
    ((errors.PlanNotFound, errors.RecordNotFound), NOT_FOUND),
    (
        (
            errors.AlreadyRunning,
            errors.PlanStopped,
            errors.NotExecutable,
            errors.NotSkippable,
            errors.NotEditable,
            errors.NotCancellable,
            errors.NotScheduled,
            errors.UnprocessableEvent,
            errors.UniqueKeyTaken,
            errors.AlreadyActive,
            errors.LockTaken,
        ),
        REFUSED,
    ),
    ((errors.NoExecutor, errors.RequestTimeout, errors.PeerBusy, errors.ConnectorError), NO_ANSWER),
    (
        (
            errors.ConfigError,
            errors.BadArgument,
            errors.DataError,
            errors.QueryError,
            errors.DefinitionError,
            errors.UnknownAction,
        ),
        USAGE,
    ),
)


def status_of(error: BaseException) -> int:
    """The exit status of a command that this error ended."""
    if isinstance(error, errors.PersistenceError):
        return BROKEN if error.passes else USAGE
    return next((status for kinds, status in _BY_ERROR if isinstance(error, kinds)), BROKEN)
