"""The class users derive their actions from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, NoReturn, TypeVar

from dynflow_mp.actions import definition, formats, hooking, middleware
from dynflow_mp.actions.context import Context, SuspendedAction
from dynflow_mp.actions.registry import name_of, registry
from dynflow_mp.actions.sub_plan import SubPlan
from dynflow_mp.errors import UnknownAction
from dynflow_mp.model.held_by_plans import SINGLETON_LOCK, OnConflict, singleton_lock_id
from dynflow_mp.model.policies import RescueStrategy
from dynflow_mp.model.retries import Retry
from dynflow_mp.model.states import Phase

A = TypeVar("A", bound="Action")


class Action:
    """A piece of work. Derive from it and define ``plan``, ``run`` and ``finalize`` as needed.

    ``plan(…)`` builds the plan where it is triggered; ``run(self)`` or ``run(self, event=None)`` and
    ``finalize(self)`` do the work in worker processes. A class that has one of the latter two gets a
    step for it whenever ``plan_self`` is called. One object serves one call: only ``input`` and
    ``output`` last. ``class Base(Action, abstract=True)`` is a base for others, not itself an action.
    """

    subscribe: ClassVar[Any] = None
    """An action class, its dotted name, or a list of them: wherever one is planned, so is this."""
    queue: ClassVar[str | None] = None
    """The workers' pool for run and finalize; None: the planning action's, then ``default``."""
    rescue_strategy: ClassVar[RescueStrategy | str | None] = RescueStrategy.PAUSE
    """What is done by itself about a failed step: ``Skip``, ``Pause`` or ``Fail``; None: what the others say."""
    retry: ClassVar[Retry | None] = None
    """When a failed ``run`` is tried again by itself; None: never."""
    idempotent: ClassVar[bool] = False
    """Whether a ``run`` that a crash interrupted is run again by itself (up to its third crash)."""
    run_timeout_s: ClassVar[float | None] = None
    """How many seconds one call of ``run`` may take; then it is stopped, whatever it does."""
    memory_limit: ClassVar[int | str | None] = None
    """How much memory its worker may have while ``run`` is called: bytes, or a text like ``"512MiB"``."""
    middleware: ClassVar[Any] = ()
    """Classes of :class:`Middleware` around this one's phases, or rules about them (:class:`Use`), inside of the bases'."""
    sensitive: ClassVar[tuple[str, ...]] = ()
    """Paths in input and output that are never shown, such as ``("card.number",)``, beside those with telling keys."""
    input_format: ClassVar[type | None] = None
    """What the input must be like: a TypedDict, a dataclass or a pydantic model. Checked when planned, and before ``run``."""
    output_format: ClassVar[type | None] = None
    """What the output must be like when ``run`` has ended well."""
    unique_key: Any = None
    """A method that gives a text, or a pattern for the input such as ``"order-{order_id}"``: no two plans hold the same key."""
    unique_mode: ClassVar[OnConflict | str] = OnConflict.RAISE
    """What becomes of a plan whose key is taken: ``raise``, ``return`` (the other plan), ``replace`` (it)."""
    deadline_s: ClassVar[float | None] = None
    """Of the root action: how long after its planning began the plan may still begin anything."""
    run_progress_weight: float = 1
    finalize_progress_weight: float = 1

    _with_sub_plans: ClassVar[bool] = False
    """Whether each call of ``run`` is told how the action's sub-plans stand."""
    _context: Context

    def __init_subclass__(cls, *, abstract: bool = False, **options: Any) -> None:
        super().__init_subclass__(**options)
        definition.check(cls, Action)
        middleware.check(cls)
        formats.check(cls)
        hooking.note_hooks(cls)
        if not abstract:
            registry.register(cls)

    @classmethod
    def singleton_locked(cls, world: Any) -> bool:
        """Whether a plan of this class is active now; never for one that is no singleton."""
        if not issubclass(cls, _singleton()):
            return False
        lock_id = singleton_lock_id(name_of(cls))
        return bool(world.coordinator.find_locks(class_name=SINGLETON_LOCK, id=lock_id))

    # -- what the action is ----------------------------------------------------------------------

    @property
    def phase(self) -> Phase:
        """The phase this object was made for."""
        return self._context.phase

    @property
    def execution_plan_id(self) -> str:
        """The plan this action belongs to."""
        return self._context.plan_id

    @property
    def id(self) -> int:
        """The action's number in its plan."""
        return self._context.action_id

    @property
    def plan_step_id(self) -> int:
        """The id of its plan step."""
        return self._context.plan_step_id

    @property
    def run_step_id(self) -> int | None:
        """The id of its run step, None without one."""
        return self._context.run_step_id

    @property
    def finalize_step_id(self) -> int | None:
        """The id of its finalize step, None without one."""
        return self._context.finalize_step_id

    @property
    def input(self) -> dict[str, Any]:
        """What the action was planned with; references are resolved by the time it runs."""
        return self._context.get_input()

    @input.setter  # noqa: A003 - the name is Dynflow's and the users'; the builtin is not needed here
    def input(self, value: dict[str, Any]) -> None:
        self._context.set_input(value)

    @property
    def output(self) -> Any:
        """While planning a reference to what ``run`` will write; afterwards the dict itself."""
        return self._context.get_output()

    @output.setter
    def output(self, value: dict[str, Any]) -> None:
        self._context.set_output(value)

    def label(self) -> str:
        """What a plan of this action is called in lists; the class's name unless overridden."""
        return type(self).__name__

    # -- plan ------------------------------------------------------------------------------------

    def plan(self, *args: Any, **kwargs: Any) -> Any:
        """Build the plan. Unless overridden: the arguments are the input (of a subscriber: the trigger's input)."""
        if self.from_subscription and self.triggering is not None:
            return self.plan_self(self.triggering.input)
        return self.plan_self(*args, **kwargs)

    @property
    def triggering(self) -> Action | None:
        """The action on whose behalf this one is planned; None for the root."""
        return self._context.triggering

    @property
    def from_subscription(self) -> bool:
        """Whether this action is planned because it subscribes to the triggering one."""
        return self._context.from_subscription

    def plan_self(self: A, mapping: Mapping[str, Any] | None = None, /, **named: Any) -> A:
        """Give this action's run and finalize their steps, and add the values to its input."""
        self._context.plan_self(self, mapping, named)
        return self

    def plan_action(self, kind: type[A], /, *args: Any, **kwargs: Any) -> A:
        """Plan another action here and now; the planned action's ``output`` may stand in later inputs."""
        planned: A = self._context.plan_action(self, kind, args, kwargs)
        return planned

    def sequence(self) -> AbstractContextManager[None]:
        """What is planned inside runs one after the other."""
        return self._context.sequence()

    def concurrence(self) -> AbstractContextManager[None]:
        """What is planned inside may run at the same time."""
        return self._context.concurrence()

    # -- delay -----------------------------------------------------------------------------------

    def delay(
        self, options: Mapping[str, Any], /, *args: Any, **kwargs: Any
    ) -> tuple[Sequence[Any], Mapping[str, Any]] | None:
        """Called where the action is delayed, before anything is stored; the default keeps the arguments as they are.

        ``options`` has ``start_at``, ``start_before`` and ``frozen``. What it puts into ``self.input`` is there when
        the action is planned. It may return ``(args, kwargs)`` to be planned with in place of those given.
        """
        return None

    @property
    def is_root(self) -> bool:
        """Whether the plan was made for this action: not so for what it planned in turn."""
        return self._context.is_root

    # -- run and finalize ------------------------------------------------------------------------

    def suspend(self, before: Callable[[SuspendedAction], object] | None = None) -> NoReturn:
        """Leave ``run`` (this does not return) until an event comes; ``before`` is called with the handle first."""
        self._context.suspend(before)

    def suspended_action(self) -> SuspendedAction:
        """The handle by which others wake this step."""
        return self._context.suspended_action()

    def plan_event(
        self,
        event: Any,
        delay_s: float | None = None,
        optional: bool = False,
        *,
        execution_plan_id: str | None = None,
        step_id: int | None = None,
    ) -> None:
        """Send ``event`` after ``delay_s``, counted from the end of this call of ``run``.

        It goes to this step, to step ``step_id`` of this plan, or to that step of another plan.
        ``optional``: nobody minds if the step cannot take it then.
        """
        self._context.plan_event(event, delay_s, optional, execution_plan_id, step_id)

    def trigger(self, kind: type[Action], /, *args: Any, **kwargs: Any) -> SubPlan:
        """Plan ``kind`` with these arguments as a sub-plan of this action.

        Its ``plan`` runs here and now. It is stored with what comes of this call of ``run`` and only then
        started; if the call fails, nothing was triggered.
        """
        return self._context.trigger(kind, args, kwargs)

    def output_chunk(self, value: Any, kind: str | None = None) -> None:
        """Write a piece of output beside the output itself: it can be read while the step still runs."""
        self._context.output_chunk(value, kind)

    def drop_output_chunks(self) -> None:
        """Drop what this action's calls have written by ``output_chunk`` so far."""
        self._context.drop_output_chunks()

    def report_progress(self, done: float) -> None:
        """How much of the step is done, from 0 to 1; stands in for ``run_progress()``."""
        self._context.report_progress(done)

    def run_progress(self) -> float:
        """How much of ``run`` is done while it is neither pending nor finished, from 0 to 1."""
        return 0.5

    def finalize_progress(self) -> float:
        """How much of ``finalize`` is done while it is neither pending nor finished, from 0 to 1."""
        return 0.5

    def error(self, what: str | BaseException) -> NoReturn:
        """Fail this step with a text or an exception, and leave the phase at once."""
        self._context.error(what)

    # -- after an error --------------------------------------------------------------------------

    def rescue_strategy_for_self(self) -> RescueStrategy | str | None:
        """What to do when a step of this action failed; asked in a worker, where ``steps`` are the failed ones."""
        return self.rescue_strategy

    def rescue_strategy_for_planned_action(self, action: Action) -> RescueStrategy | str | None:
        """What to do about the failures of an action that this one planned; asked in a worker.

        Unless overridden: what that action says itself.
        """
        return action._context.rescue_strategy()

    # -- present ---------------------------------------------------------------------------------

    @property
    def root_action(self) -> bool:
        """As :attr:`is_root`; Dynflow's name for it."""
        return self._context.is_root

    def sub_plans(self) -> list[Any]:
        """The plans that this action triggered, to look at."""
        return self._context.sub_plans()

    @property
    def sub_plans_count(self) -> int:
        """How many plans this action triggered."""
        return self._context.sub_plans_count()

    @property
    def state(self) -> str:
        """How far it is: the state of the first of its steps that is not done, of the last when all are; in run and finalize of that step."""
        return self._context.state

    @property
    def caller_action(self) -> Action | None:
        """The action on whose behalf this one was planned, in this plan or another; None for one that nobody planned."""
        return self._context.caller_action

    def humanized_state(self) -> str:
        """The state in words for people; the state itself unless overridden."""
        return self.state

    def summary(self) -> str:
        """What it does, or has done, in a line for people; nothing unless overridden."""
        return ""

    def output_chunks(self, kind: str | None = None) -> list[Any]:
        """The pieces that were written by ``output_chunk``, as they are stored now: ``value``, ``kind``, ``time`` each."""
        return self._context.output_chunks(kind)

    def planned_actions(self, kind: type[Action] | None = None) -> list[Action]:
        """The actions this one planned, in order; only those of ``kind`` if given."""
        return self._context.planned_actions(kind)

    def all_planned_actions(self, kind: type[Action] | None = None) -> list[Action]:
        """The actions this one planned, then what each of them planned in turn."""
        return self._context.all_planned_actions(kind)

    @property
    def steps(self) -> list[Any]:
        """Its plan, run and finalize step; None where it has none."""
        return self._context.steps()

    def __repr__(self) -> str:
        context = self.__dict__.get("_context")
        if context is None:
            return f"<{type(self).__name__}, not part of a plan>"
        return f"<{type(self).__name__} {context.action_id} of plan {context.plan_id}>"


def _singleton() -> type[Action]:
    # Not imported at the top: the ready-made actions are built on this module.
    from dynflow_mp.actions.singleton import Singleton

    return Singleton


class Missing(Action, abstract=True):
    """Stands for an action whose class is not known here: it can be shown, and nothing else."""

    _stored_name = ""

    def plan(self, *args: Any, **kwargs: Any) -> Any:
        raise UnknownAction(self._stored_name)

    def run(self, event: Any = None) -> None:
        raise UnknownAction(self._stored_name)

    def finalize(self) -> None:
        raise UnknownAction(self._stored_name)


def find_or_missing(name: str) -> type[Action]:
    """The class stored as ``name``, or a stand-in for it that carries its name."""
    try:
        return registry.find(name)
    except UnknownAction:
        module, _, short = name.replace("\0", "\ufffd").rpartition(".")
        facts = {"_stored_name": name, "__module__": module or "?", "__qualname__": short}
        return type(short, (Missing,), facts, abstract=True)


def action_in(kind: type[A], context: Context) -> A:
    """An action object for one phase. Its ``__init__`` is never called: only input and output are its state."""
    action = kind.__new__(kind)
    action._context = context
    return action
