"""A durable workflow engine: no broker, real worker processes, plans as data.

Every name a user's module needs is here, and resolved when it is first asked for: workers import
users' modules, and must not load a database library because one says ``from dynflow_mp import Action``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dynflow_mp.actions.action import Action
    from dynflow_mp.actions.bulk_sub_plans import WithBulkSubPlans, WithPollingSubPlans
    from dynflow_mp.actions.cancellable import Cancellable
    from dynflow_mp.actions.context import SuspendedAction
    from dynflow_mp.actions.hooking import HookedPlan, hook
    from dynflow_mp.actions.middleware import Middleware, Use, do_not_use
    from dynflow_mp.actions.polling import Polling
    from dynflow_mp.actions.singleton import Singleton
    from dynflow_mp.actions.sub_plan import SubPlan
    from dynflow_mp.actions.sub_plans import WithSubPlans
    from dynflow_mp.actions.timeouts import Timeouts
    from dynflow_mp.actions.transaction import TransactionMiddleware
    from dynflow_mp.config import Config
    from dynflow_mp.errors import (
        AbnormalTermination,
        AlreadyActive,
        AlreadyRunning,
        BadArgument,
        BadUniqueKey,
        ConfigError,
        ConnectorError,
        CyclicMiddleware,
        DamagedData,
        DataError,
        DeadlineExceeded,
        DefinitionError,
        DynflowError,
        EventDropped,
        FormatError,
        InvalidPlan,
        LockTaken,
        MemoryLimitExceeded,
        MissingOutput,
        NobodyTakesEvents,
        NoExecutor,
        NotCancellable,
        NotEditable,
        NotExecutable,
        NotScheduled,
        NotSkippable,
        PayloadTooLarge,
        PersistenceError,
        PlanIdTaken,
        PlanningError,
        PlanNotFound,
        PlanStopped,
        PrerequisiteFailed,
        RequestError,
        RequestTimeout,
        RunTimeout,
        SchemaMismatch,
        StartedTooLate,
        StepError,
        StepHalted,
        StepStopped,
        SubPlanFailed,
        TimeoutExceeded,
        TooManyRequests,
        TooMuchTriggered,
        UniqueKeyTaken,
        UnknownAction,
        UnprocessableEvent,
        WorkerLost,
        WorldTerminated,
        WrongPhase,
    )
    from dynflow_mp.model.held_by_plans import OnConflict
    from dynflow_mp.model.policies import Fail, Pause, RescueStrategy, Skip
    from dynflow_mp.model.references import OutputReference
    from dynflow_mp.model.retries import Retry
    from dynflow_mp.model.signals import Abort, Cancel, Poll, Signal, Timeout
    from dynflow_mp.model.states import (
        Phase,
        PlanState,
        Result,
        StepState,
    )
    from dynflow_mp.reading.execution_plan import ExecutionPlan
    from dynflow_mp.reading.trigger_result import PlanningFailed, Scheduled, Triggered
    from dynflow_mp.world import World

__version__ = "0.1.0"

__all__ = [
    "AbnormalTermination",
    "Abort",
    "Action",
    "AlreadyActive",
    "AlreadyRunning",
    "BadArgument",
    "BadUniqueKey",
    "Cancel",
    "Cancellable",
    "Config",
    "ConfigError",
    "ConnectorError",
    "CyclicMiddleware",
    "DamagedData",
    "DataError",
    "DeadlineExceeded",
    "DefinitionError",
    "DynflowError",
    "EventDropped",
    "ExecutionPlan",
    "Fail",
    "FormatError",
    "HookedPlan",
    "InvalidPlan",
    "LockTaken",
    "MemoryLimitExceeded",
    "Middleware",
    "MissingOutput",
    "NoExecutor",
    "NobodyTakesEvents",
    "NotCancellable",
    "NotEditable",
    "NotExecutable",
    "NotScheduled",
    "NotSkippable",
    "OnConflict",
    "OutputReference",
    "Pause",
    "PayloadTooLarge",
    "PersistenceError",
    "Phase",
    "PlanIdTaken",
    "PlanNotFound",
    "PlanState",
    "PlanStopped",
    "PlanningError",
    "PlanningFailed",
    "Poll",
    "Polling",
    "PrerequisiteFailed",
    "RequestError",
    "RequestTimeout",
    "RescueStrategy",
    "Result",
    "Retry",
    "RunTimeout",
    "Scheduled",
    "SchemaMismatch",
    "Signal",
    "Singleton",
    "Skip",
    "StartedTooLate",
    "StepError",
    "StepHalted",
    "StepState",
    "StepStopped",
    "SubPlan",
    "SubPlanFailed",
    "SuspendedAction",
    "Timeout",
    "TimeoutExceeded",
    "Timeouts",
    "TooManyRequests",
    "TooMuchTriggered",
    "TransactionMiddleware",
    "Triggered",
    "UniqueKeyTaken",
    "UnknownAction",
    "UnprocessableEvent",
    "Use",
    "WithBulkSubPlans",
    "WithPollingSubPlans",
    "WithSubPlans",
    "WorkerLost",
    "World",
    "WorldTerminated",
    "WrongPhase",
    "__version__",
    "do_not_use",
    "hook",
]

_in_worker = False
"""Set by a worker process before it imports anything of the user's: there are no worlds in a worker."""

_WORLD = "dynflow_mp.world"
_HOMES = {
    "Action": "dynflow_mp.actions.action",
    "Cancellable": "dynflow_mp.actions.cancellable",
    "SuspendedAction": "dynflow_mp.actions.context",
    "SubPlan": "dynflow_mp.actions.sub_plan",
    "WithSubPlans": "dynflow_mp.actions.sub_plans",
    **dict.fromkeys(("WithBulkSubPlans", "WithPollingSubPlans"), "dynflow_mp.actions.bulk_sub_plans"),
    "Polling": "dynflow_mp.actions.polling",
    "Timeouts": "dynflow_mp.actions.timeouts",
    "Config": "dynflow_mp.config",
    **dict.fromkeys(("Fail", "Pause", "RescueStrategy", "Skip"), "dynflow_mp.model.policies"),
    "Retry": "dynflow_mp.model.retries",
    "OutputReference": "dynflow_mp.model.references",
    "Phase": "dynflow_mp.model.states",
    "PlanState": "dynflow_mp.model.states",
    "Result": "dynflow_mp.model.states",
    "StepState": "dynflow_mp.model.states",
    "ExecutionPlan": "dynflow_mp.reading.execution_plan",
    **dict.fromkeys(("PlanningFailed", "Scheduled", "Triggered"), "dynflow_mp.reading.trigger_result"),
    "Middleware": "dynflow_mp.actions.middleware",
    "Use": "dynflow_mp.actions.middleware",
    "do_not_use": "dynflow_mp.actions.middleware",
    "TransactionMiddleware": "dynflow_mp.actions.transaction",
    "Singleton": "dynflow_mp.actions.singleton",
    "OnConflict": "dynflow_mp.model.held_by_plans",
    **dict.fromkeys(("Abort", "Cancel", "Poll", "Signal", "Timeout"), "dynflow_mp.model.signals"),
    "hook": "dynflow_mp.actions.hooking",
    "HookedPlan": "dynflow_mp.actions.hooking",
    "World": _WORLD,
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES.get(name, "dynflow_mp.errors")
    value = _absent_in_workers(name) if _in_worker and home == _WORLD else getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


def _absent_in_workers(name: str) -> type:
    """A class of this name that cannot be made: a worker must not start a world of its own."""

    def refuse(self: object, *args: object, **kwargs: object) -> None:
        raise import_module("dynflow_mp.errors").WorldInWorker(
            f"there is no {name} in a worker process: worlds belong to the program that starts the workers "
            "(in a script, put what starts one below: if __name__ == '__main__')"
        )

    return type(name, (), {"__init__": refuse, "__doc__": f"No {name} can be made in a worker."})
