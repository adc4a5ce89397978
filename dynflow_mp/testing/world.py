"""A world in the calling thread: whole plans, without processes, sockets, threads or waiting."""

from __future__ import annotations

from typing import Any

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.class_facts import use_middleware
from dynflow_mp.actions.middleware import world_middleware
from dynflow_mp.clock import own_time
from dynflow_mp.config import Config
from dynflow_mp.errors import ConfigError
from dynflow_mp.reading.execution_plan import ExecutionPlan
from dynflow_mp.reading.trigger_result import PlanningFailed, Scheduled, Triggered
from dynflow_mp.testing.bulk_run import InThreadBulkRun
from dynflow_mp.testing.clock import ManagedClock
from dynflow_mp.testing.mishaps import Victim, Where
from dynflow_mp.testing.parts import InThreadEnding, InThreadParts, TemporaryDatabase
from dynflow_mp.world.ending import Ending
from dynflow_mp.world.parts import Parts
from dynflow_mp.world.world import World

_KILLED = "signal(9)"


class InThreadWorld(World):
    """A :class:`World` with all its methods, whose steps run where they are asked for.

    Planner, director, loop, pool, storage (a temporary SQLite file unless ``database_url`` says otherwise) and
    recovery are those of every world; a step's job and outcome are bytes, as on the way to a worker. A request
    returns when nothing is left to do: its future is done, unless a step waits for an event. Time stands still,
    but for jumps to the next timer, so a step that wants to be woken in a thousand seconds is woken at once;
    with ``jump=False`` only ``world.clock`` moves it.

    Other settings are those of :class:`Config`; environment and
    files are not looked at. Of one thread; a context manager.
    """

    clock: ManagedClock
    _bulk_run = InThreadBulkRun

    def __init__(
        self,
        *,
        jump: bool = True,
        clock: ManagedClock | None = None,
        most_turns: int = 100_000,
        **settings: Any,
    ) -> None:
        self._own_database = None if "database_url" in settings else TemporaryDatabase()
        self._jump, self._most_turns = jump, most_turns
        self._managed = clock or ManagedClock()
        self._time_before, self._middleware_before = own_time.get(), world_middleware()
        own_time.set(self._managed)
        try:
            super().__init__(_config(settings, self._own_database))
        except BaseException:
            self._leave()
            raise

    def _new_ending(self) -> Ending:
        ending = InThreadEnding(exit_process=False)
        ending.on_close("time and database", self._leave)
        return ending

    def _new_parts(self) -> Parts:
        return InThreadParts(
            self.id,
            self.config,
            self._ending,
            self._on_fenced,
            self._managed,
            jump=self._jump,
            most_jumps=self._most_turns,
        )

    def _leave(self) -> None:
        if own_time.get() is self._managed:
            own_time.set(self._time_before)
        if world_middleware() is not self._middleware_before:
            use_middleware(self._middleware_before)
        if self._own_database is not None:
            self._own_database.remove()

    @property
    def _in_thread(self) -> InThreadParts:
        assert isinstance(self._parts, InThreadParts)
        return self._parts

    # -- running ---------------------------------------------------------------------------------------

    def trigger(
        self, action_class: type[Action], /, *args: Any, **kwargs: Any
    ) -> Triggered | PlanningFailed | Scheduled:
        """As every world's, but all that follows from it is done when this returns, also from a failed planning."""
        result = super().trigger(action_class, *args, **kwargs)
        self.go_on()
        return result

    def run(self, action_class: type[Action], /, *args: Any, **kwargs: Any) -> ExecutionPlan:
        """Trigger, and return the plan as it then stands: ended, paused, or waiting for an event.

        Raises what planning raised.
        """
        result = self.trigger(action_class, *args, **kwargs)
        if isinstance(result, PlanningFailed):
            raise result.error
        return self.persistence.load_execution_plan(result.id)

    def go_on(self) -> None:
        """Do all that there is to do. Needed only after writing to the database behind the world's back."""
        self._in_thread.go_on()

    # -- mishaps ---------------------------------------------------------------------------------------

    @property
    def executor_id(self) -> str:
        """The id of the executor; another one after it was killed."""
        return self._in_thread.executor.world_id

    def lose_worker(self, at: Where, *, ran: bool = False, times: int = 1, cause: str = _KILLED) -> None:
        """Have the worker die at steps of this class (or number): before their code runs, or when it ``ran``."""
        self._in_thread.mishaps.order(Victim.WORKER, at, ran=ran, times=times, cause=cause)

    def kill_executor(self, at: Where | None = None, *, ran: bool = False, times: int = 1) -> None:
        """Have the executor die as by ``kill -9``, now or at steps of this class (or number).

        Another one takes its plans over at once.
        """
        parts = self._in_thread
        if at is None:
            parts.kill_executor()
            parts.go_on()
        else:
            parts.mishaps.order(Victim.EXECUTOR, at, ran=ran, times=times, cause=_KILLED)

    def __repr__(self) -> str:
        return f"<InThreadWorld {self.id}{' terminating' if self.terminating else ''}>"


def _config(settings: dict[str, Any], own_database: TemporaryDatabase | None) -> Config:
    for name in ("connector", "listen", "auto_terminate", "exit_on_terminate"):
        if name in settings:
            raise ConfigError(f"an in-thread world has no setting {name!r}")
    database = {} if own_database is None else {"database_url": own_database.url}
    try:
        config = Config(**{"workers": 1, **database, **settings}, auto_terminate=False)
    except TypeError as error:
        raise ConfigError(f"an in-thread world takes settings of Config: {error}") from error
    if not config.pools:
        raise ConfigError("an in-thread world is an executor: it needs workers, or queues")
    return config
