"""A durable workflow engine: no broker, real worker processes, plans as data.

Every name a user's module needs is here, and resolved when it is first asked for: workers import
users' modules, and must not load a database library because one says ``from dynflow_mp import Action``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dynflow_mp.actions.action import Action
    from dynflow_mp.actions.cancellable import Cancellable
    from dynflow_mp.actions.context import SuspendedAction
    from dynflow_mp.actions.polling import Polling
    from dynflow_mp.actions.timeouts import Timeouts
    from dynflow_mp.config import Config
    from dynflow_mp.errors import (
        AbnormalTermination,
        AlreadyRunning,
        BadArgument,
        ConfigError,
        ConnectorError,
        DamagedData,
        DataError,
        DeadlineExceeded,
        DefinitionError,
        DynflowError,
        EventDropped,
        InvalidPlan,
        LockTaken,
        MemoryLimitExceeded,
        MissingOutput,
        NoExecutor,
        NotCancellable,
        NotEditable,
        NotExecutable,
        NotSkippable,
        PayloadTooLarge,
        PersistenceError,
        PlanningError,
        PlanNotFound,
        PlanStopped,
        RequestError,
        RequestTimeout,
        RunTimeout,
        SchemaMismatch,
        StepError,
        StepHalted,
        StepStopped,
        TimeoutExceeded,
        UnknownAction,
        UnprocessableEvent,
        WorkerLost,
        WorldTerminated,
        WrongPhase,
    )
    from dynflow_mp.model.policies import RescueStrategy
    from dynflow_mp.model.references import OutputReference
    from dynflow_mp.model.retries import Retry
    from dynflow_mp.model.signals import Signal
    from dynflow_mp.model.states import (
        Phase,
        PlanState,
        Result,
        StepState,
    )
    from dynflow_mp.reading.execution_plan import ExecutionPlan
    from dynflow_mp.reading.trigger_result import PlanningFailed, Scheduled, Triggered
    from dynflow_mp.world import World

    Abort, Cancel, Poll, Timeout = Signal.ABORT, Signal.CANCEL, Signal.POLL, Signal.TIMEOUT
    Fail, Pause, Skip = RescueStrategy.FAIL, RescueStrategy.PAUSE, RescueStrategy.SKIP

__version__ = "0.1.0"

__all__ = [
    "AbnormalTermination",
    "Abort",
    "Action",
    "AlreadyRunning",
    "BadArgument",
    "Cancel",
    "Cancellable",
    "Config",
    "ConfigError",
    "ConnectorError",
    "DamagedData",
    "DataError",
    "DeadlineExceeded",
    "DefinitionError",
    "DynflowError",
    "EventDropped",
    "ExecutionPlan",
    "Fail",
    "InvalidPlan",
    "LockTaken",
    "MemoryLimitExceeded",
    "MissingOutput",
    "NoExecutor",
    "NotCancellable",
    "NotEditable",
    "NotExecutable",
    "NotSkippable",
    "OutputReference",
    "Pause",
    "PayloadTooLarge",
    "PersistenceError",
    "Phase",
    "PlanNotFound",
    "PlanState",
    "PlanStopped",
    "PlanningError",
    "PlanningFailed",
    "Poll",
    "Polling",
    "RequestError",
    "RequestTimeout",
    "RescueStrategy",
    "Result",
    "Retry",
    "RunTimeout",
    "Scheduled",
    "SchemaMismatch",
    "Skip",
    "StepError",
    "StepHalted",
    "StepState",
    "StepStopped",
    "SuspendedAction",
    "Timeout",
    "TimeoutExceeded",
    "Timeouts",
    "Triggered",
    "UnknownAction",
    "UnprocessableEvent",
    "WorkerLost",
    "World",
    "WorldTerminated",
    "WrongPhase",
    "__version__",
]

_in_worker = False
"""Set by a worker process before it imports anything of the user's: there are no worlds in a worker."""

_WORLD = "dynflow_mp.world"
_HOMES = {
    "Action": "dynflow_mp.actions.action",
    "Cancellable": "dynflow_mp.actions.cancellable",
    "SuspendedAction": "dynflow_mp.actions.context",
    "Polling": "dynflow_mp.actions.polling",
    "Timeouts": "dynflow_mp.actions.timeouts",
    "Config": "dynflow_mp.config",
    "RescueStrategy": "dynflow_mp.model.policies",
    "Retry": "dynflow_mp.model.retries",
    "OutputReference": "dynflow_mp.model.references",
    "Phase": "dynflow_mp.model.states",
    "PlanState": "dynflow_mp.model.states",
    "Result": "dynflow_mp.model.states",
    "StepState": "dynflow_mp.model.states",
    "ExecutionPlan": "dynflow_mp.reading.execution_plan",
    **dict.fromkeys(("PlanningFailed", "Scheduled", "Triggered"), "dynflow_mp.reading.trigger_result"),
    "World": _WORLD,
}


_MEMBERS = {
    **dict.fromkeys(("Abort", "Cancel", "Poll", "Timeout"), "Signal"),
    **dict.fromkeys(("Fail", "Pause", "Skip"), "RescueStrategy"),
}
"""Events and strategies are members of enums: ``event is Skip`` holds for ``RescueStrategy.SKIP``."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _MEMBERS:
        globals()[name] = value = _member(name)
        return value
    home = _HOMES.get(name, "dynflow_mp.errors")
    value = _absent_in_workers(name) if _in_worker and home == _WORLD else getattr(import_module(home), name)
    globals()[name] = value
    return value


def _member(name: str) -> Any:
    enum = _MEMBERS[name]
    home = "dynflow_mp.model.signals" if enum == "Signal" else "dynflow_mp.model.policies"
    return getattr(import_module(home), enum)[name.upper()]


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
