"""Every error of the engine: one family, each cause its own class, the facts as attributes."""

from __future__ import annotations

from collections.abc import Sequence


class DynflowError(Exception):
    """Something the engine can name went wrong."""


# -- what a user wrote ---------------------------------------------------------------------------


class ConfigError(DynflowError):
    """A setting is unknown, missing or has a value that cannot work."""


class BadArgument(DynflowError, ValueError):
    """A call was given something that cannot work; nothing was done."""


class DataError(DynflowError):
    """A value that cannot be stored stands somewhere in an input, an output or an event.

    ``path`` names the place, for example ``input['hosts'][3]['since']``.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason


class PayloadTooLarge(DataError):
    """One input or output is larger than ``max_payload``."""

    def __init__(self, path: str, size: int, limit: int) -> None:
        super().__init__(path, f"{size:,} bytes are more than max_payload ({limit:,} bytes)")
        self.size, self.limit = size, limit


class FormatError(DynflowError):
    """An input or output is not of the form its class says (``format``); ``path`` is where."""

    def __init__(self, path: str, expected: str, found: str, format_name: str) -> None:
        super().__init__(f"{path}: expected {expected}, found {found} ({format_name})")
        self.path, self.expected, self.found, self.format = path, expected, found, format_name


class DamagedData(DynflowError):
    """Bytes that should be stored data cannot be read as such."""


class DefinitionError(DynflowError, TypeError):
    """An action class is written in a way that cannot work."""


class CyclicMiddleware(DefinitionError):
    """Rules about middleware that cannot be followed together; ``classes`` is the circle they make."""

    def __init__(self, classes: Sequence[str]) -> None:
        super().__init__(f"middleware in a circle, each outside of the next: {' > '.join(classes)}")
        self.classes = tuple(classes)


class PlanningError(DynflowError):
    """A plan was built in a way that cannot work."""


class WrongPhase(DynflowError):
    """An action was asked for something that its phase does not have."""

    def __init__(self, what: str, phase: str, required: tuple[str, ...]) -> None:
        super().__init__(f"{what} is there in phase {' and '.join(required)}, not in {phase}")
        self.what, self.phase, self.required = what, phase, required


class UnknownAction(DynflowError):
    """No registered action class has this name; ``modules`` are those whose classes are known."""

    def __init__(self, name: str, modules: Sequence[str] = ()) -> None:
        super().__init__(f"no action class {name!r} is known here; {_where_to_look(name, modules)}")
        self.name, self.modules = name, tuple(modules)


_MOST_MODULES = 10


def _where_to_look(name: str, modules: Sequence[str]) -> str:
    if "<locals>" in name:
        return "it was defined inside a function: only at the top of a module do workers find it"
    if name.startswith("__main__."):
        return "it was typed in, not loaded from a file: workers find only what is in a module"
    if not modules:
        return "is its module among those given with --app?"
    shown = ", ".join(modules[:_MOST_MODULES]) + (" …" if len(modules) > _MOST_MODULES else "")
    return f"is its module among those given with --app? Known are the actions of {shown}"


class MissingOutput(DynflowError):
    """An input refers to an output key that the producing step did not write.

    ``place`` is where in the input, ``there`` what the producer has written instead.
    """

    def __init__(self, reference: str, key: str, place: str = "", there: str = "") -> None:
        needed = f", which {place} needs" if place else ""
        super().__init__(f"{reference} has no key {key!r}{needed}" + (f"; {there}" if there else ""))
        self.reference, self.key = reference, key


# -- states --------------------------------------------------------------------------------------


class IllegalMove(DynflowError):
    """A state was asked to change in a way its table of moves does not have. Nothing changed."""

    def __init__(self, what: str, current: str, wanted: str, allowed: tuple[str, ...]) -> None:
        ways = ", ".join(allowed) if allowed else "nowhere: it is final"
        super().__init__(f"{what} cannot go from {current} to {wanted} (from {current}: {ways})")
        self.what, self.current, self.wanted, self.allowed = what, current, wanted, allowed


# -- requests ------------------------------------------------------------------------------------


class RequestError(DynflowError):
    """A request to an executor did not succeed; ``plan_id`` where it concerned a plan."""

    def __init__(self, message: str, plan_id: str | None = None) -> None:
        super().__init__(message)
        self.plan_id = plan_id


class TooManyRequests(RequestError):
    """So many futures are open already that nothing more is asked for; nothing was stored."""


class NoExecutor(RequestError):
    """No executor took the request in time; a requested plan runs when one comes."""


class AlreadyRunning(RequestError):
    """The plan is being executed already; ``holder`` is the request it is executed for, where that is known."""

    def __init__(self, message: str, plan_id: str | None = None, holder: str | None = None) -> None:
        super().__init__(message, plan_id)
        self.holder = holder


class PlanStopped(RequestError):
    """The plan has ended for good."""


class NotExecutable(RequestError):
    """The plan's state does not allow executing it."""


class NotSkippable(RequestError):
    """The step cannot be skipped: it did not fail, or it is no step that can be."""


class NotEditable(RequestError):
    """The step's input cannot be edited: it did not fail, or it is no step whose input is used again."""


class PlanNotFound(RequestError, KeyError):
    """No plan with this id is stored."""

    __str__ = DynflowError.__str__


class InvalidPlan(RequestError):
    """The stored plan cannot be read; the message says why."""


class AlreadyActive(DynflowError):
    """Another plan of a singleton class is active; ``action_class`` is the class's stored name."""

    def __init__(self, action_class: str) -> None:
        super().__init__(f"Action {action_class.rpartition('.')[2]} is already active")
        self.action_class = action_class


class UniqueKeyTaken(RequestError):
    """The plan ``plan_id`` holds the unique key; nothing was stored."""

    def __init__(self, key: str, plan_id: str, reason: str = "") -> None:
        super().__init__(
            f"the unique key {key!r} is held by plan {plan_id}" + (f"; {reason}" if reason else ""), plan_id
        )
        self.key = key


class BadUniqueKey(BadArgument):
    """A unique key is not one that can be kept and compared everywhere; nothing was stored."""


class NotScheduled(RequestError):
    """The plan does not wait for its time (any more)."""


class StartedTooLate(DynflowError):
    """A scheduled plan had to start before a time that has passed."""

    def __init__(self, time: str) -> None:
        super().__init__(f"Execution plan could not be started before set time ({time})")
        self.time = time


class PrerequisiteFailed(DynflowError):
    """A plan that this one was to come after did not do what it was for; ``plan_ids`` are all such."""

    def __init__(self, plan_ids: Sequence[str]) -> None:
        super().__init__(
            f"the plans that this one comes after failed: {', '.join(plan_ids)}"
            if len(plan_ids) > 1
            else f"the plan that this one comes after failed: {''.join(plan_ids)}"
        )
        self.plan_ids = tuple(plan_ids)


class UnprocessableEvent(RequestError):
    """The step cannot take an event now: it neither runs nor is suspended."""


class NobodyTakesEvents(UnprocessableEvent):
    """No executor that can be reached runs the plan, which may be run by one later: the event can be sent again."""


class EventDropped(UnprocessableEvent):
    """The step ended before it took the event."""


class RequestTimeout(RequestError):
    """No answer came in time."""


class WorldTerminated(RequestError):
    """This world is ending or has ended; it takes nothing new and answers nothing more."""


class TerminationOverdue(DynflowError):
    """A world's time to end was over before this was done."""


class NotCancellable(RequestError):
    """Nothing of this plan can be cancelled now; the message says why."""


class PeerBusy(RequestError):
    """The other world's queue is full."""


class PlanningFailed(RequestError):
    """A plan could not be planned and was asked to run."""


class ForkedWorld(DynflowError):
    """A world was used in a forked child; it lives only in the process that made it."""


class WorldInWorker(DynflowError):
    """A worker process was asked for a world; worlds belong to the program that starts the workers."""


# -- workers -------------------------------------------------------------------------------------


class WorkerLost(DynflowError):
    """The worker process running this step went away before answering."""


class WorkerStartFailed(DynflowError):
    """A worker process could not start; ``reason`` is what it said."""

    def __init__(self, exit_code: int | None, reason: str) -> None:
        super().__init__(reason)
        self.exit_code, self.reason = exit_code, reason


class RunTimeout(DynflowError):
    """One call of ``run`` took longer than its class allows (``run_timeout_s``), and was stopped."""


class MemoryLimitExceeded(DynflowError):
    """The worker had more memory than the step's class allows (``memory_limit``), and was killed."""


class StepHalted(DynflowError):
    """The plan was halted while this step ran."""


class StepStopped(DynflowError):
    """The step was stopped while it ran; the recorded cause says what for."""


class AbnormalTermination(DynflowError):
    """The executor died while this step ran."""


class DeadlineExceeded(DynflowError):
    """The plan's deadline passed before this step had ended."""


class StepError(DynflowError):
    """A step's own failure, as ``Action.error`` with a text raises it."""


class TooMuchTriggered(StepError):
    """One call of ``run`` triggered more than can be stored with its outcome."""

    def __init__(self, number: int, size: int, limit: int) -> None:
        super().__init__(
            f"trigger: {number:,} sub-plans of one call come to {size:,} bytes, more than {limit:,}; "
            "trigger them in batches (WithBulkSubPlans)"
        )
        self.number, self.size, self.limit = number, size, limit


class SubPlanCancelled(DynflowError):
    """This plan was never begun: whoever had triggered it was cancelled, or its time had passed."""


class SubPlanFailed(StepError):
    """Sub-plans of this step did not end well; ``failed`` of them, and ``cancelled`` were not run at all."""

    def __init__(self, failed: int = 0, cancelled: int = 0) -> None:
        super().__init__("A sub task failed")
        self.failed, self.cancelled = failed, cancelled


class TimeoutExceeded(StepError, TimeoutError):
    """The time that an action had set itself (``schedule_timeout``) was over."""


ENGINE_ERRORS: tuple[type[DynflowError], ...] = (
    WorkerLost,
    AbnormalTermination,
    RunTimeout,
    MemoryLimitExceeded,
)
"""What the engine charges a step with that its own code did not raise, and that may be tried again after."""


class UnknownError(DynflowError):
    """Stands for a stored error whose class is not known here."""

    name = ""
    """The stored name of the class."""


# -- storage and coordination --------------------------------------------------------------------


class PersistenceError(DynflowError):
    """The database did not do what it was asked.

    ``kind`` says what a caller can do about it. ``locked`` (or stopped because it took too long),
    ``connection`` (none, or lost) and ``disk_full`` pass. What does not: ``login``, ``missing`` (a database, a
    table), ``rights``, ``readonly``, ``unsuitable`` (a server or a place that cannot be used) and ``other``.
    """

    PASSING = frozenset({"locked", "connection", "disk_full"})

    def __init__(self, message: str, kind: str = "other") -> None:
        super().__init__(message)
        self.kind = kind

    @property
    def passes(self) -> bool:
        """Whether the same may succeed later, with nothing changed by anybody."""
        return self.kind in self.PASSING


class PlanIdTaken(PersistenceError):
    """A plan of this id is stored already; nothing was stored."""

    def __init__(self, plan_id: str) -> None:
        super().__init__(f"there is a plan {plan_id} already; its id cannot be another's")
        self.plan_id = plan_id


class SchemaMismatch(PersistenceError):
    """The database's tables are older or newer than this version of dynflow_mp."""


class QueryError(DynflowError):
    """A filter, an ordering or a page is not one that stored plans can be found by; ``field`` names it where it has a name."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class WorldFenced(DynflowError):
    """Another world declared this one dead; it may not write any more and ends itself."""


class DatabaseReplaced(WorldFenced):
    """The SQLite file is not the one that was opened any more: what is written would not be found again."""


class DuplicateRecord(DynflowError):
    """A coordinator record of this class and id is there already."""

    def __init__(self, record: object) -> None:
        super().__init__(f"a record is there already: {record}")
        self.record = record


class RecordNotFound(DynflowError, KeyError):
    """No coordinator record of this class and id is there; changing one never makes it again."""

    __str__ = DynflowError.__str__


class LockTaken(DynflowError):
    """The lock is held."""

    def __init__(self, lock: object) -> None:
        super().__init__(f"unable to acquire {lock}: it is held")
        self.lock = lock


class LockLost(DynflowError):
    """A lock was released or renewed by someone who does not hold it any more."""


class InactiveWorld(DynflowError):
    """A world that is ending may not take locks."""

    def __init__(self, world_id: str) -> None:
        super().__init__(f"world {world_id} is not active")
        self.world_id = world_id


# -- wires ---------------------------------------------------------------------------------------


class ProtocolError(DynflowError):
    """A frame or an envelope is not one of ours: too large, of an unknown version or kind, or damaged."""


class ConnectorError(DynflowError):
    """The connector could not send or listen."""


class UnknownReceiver(ConnectorError):
    """No world of this id can be reached."""
