"""Virtual time, and processes in it that can be stopped, continued and killed.

    heap of (time, order, task) ─▶ the task whose time has come runs until it waits again ─▶ …

Threads of the engine are tasks here: they run as they are, and whenever one waits – for time, for a note, for the
database – another one has its turn. Everything happens in one thread of Python, in an order that follows from
the seed.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

_MICRO = 1_000_000
_MOST_A_MOMENT, _MOMENT_S = 20_000, 0.1
_EPOCH_US = 1_750_000_000 * _MICRO


class Machine:
    """A host with clocks of its own: a steady one at its own rate, and a wall clock that may be set."""

    def __init__(self, name: str, kernel: Kernel, rate: float, steady_start_s: float) -> None:
        self.name, self._kernel = name, kernel
        self.rate, self._steady_start_s = rate, steady_start_s
        self.wall_offset_s = 0.0
        self.boot_id = f"boot-{name}"
        self.processes: dict[int, Process] = {}

    def monotonic(self) -> float:
        """Seconds on the steady clock, which nobody sets."""
        return self._steady_start_s + self._kernel.now * self.rate

    def now_us(self) -> int:
        """The time of day, microseconds UTC."""
        return _EPOCH_US + round((self._kernel.now * self.rate + self.wall_offset_s) * _MICRO)


class Process:
    """A process on a machine: its tasks run while it lives and does not stand still."""

    def __init__(self, kernel: Kernel, machine: Machine, name: str, parent: Process | None = None) -> None:
        self.kernel, self.machine, self.name, self.parent = kernel, machine, name, parent
        self.pid = kernel.new_pid()
        self.began = machine.monotonic()
        self.alive, self.frozen = True, False
        self.cause = ""
        self.ended_at: float | None = None
        self.on_death: list[Callable[[], None]] = []
        self._deferred: list[Task] = []
        machine.processes[self.pid] = self

    def spawn(self, target: Callable[[], object], name: str) -> Task:
        """Begin a task of this process."""
        task = Task(self, target, name)
        self.kernel.at(self.kernel.now, task)
        return task

    def kill(self, cause: str = "signal(9)") -> None:
        """As by SIGKILL: nothing of it is executed any more. A stopped one dies as well."""
        if not self.alive:
            return
        self.alive, self.cause, self.ended_at = False, cause, self.kernel.now
        self.kernel.say(self.name, f"dies: {cause}")
        for tell in self.on_death:
            tell()
        self.take_children_along()

    def take_children_along(self) -> None:
        """The kernel's parent-death signal."""
        for child in [one for one in self.machine.processes.values() if one.parent is self]:
            self.kernel.later(self.kernel.chance.uniform(0.001, 0.01), child.kill)

    def freeze(self) -> None:
        """As by SIGSTOP."""
        if self.alive:
            self.frozen = True
            self.kernel.say(self.name, "is stopped")

    def thaw(self) -> None:
        """As by SIGCONT: what was to happen meanwhile happens now."""
        if self.frozen:
            self.frozen = False
            if self.alive:
                self.kernel.say(self.name, "continues")
            deferred, self._deferred = self._deferred, []
            for task in deferred:
                self.kernel.at(self.kernel.now, task)

    def defer(self, task: Task) -> None:
        """Its time has come while the process stands still."""
        self._deferred.append(task)


class Task:
    """A thread of a process."""

    __slots__ = ("_greenlet", "ended", "name", "number", "process", "thread", "waiting")

    def __init__(self, process: Process, target: Callable[[], object], name: str) -> None:
        self.process, self.name = process, name
        self.number = process.kernel.new_pid()
        self.ended = False
        self.thread: Any = None
        """The object that stands for it in the engine's eyes."""
        self.waiting = 0
        """Which of its waits this is: an alarm for an earlier one means nothing any more."""
        self._greenlet = greenlet(self._run_of(target), process.kernel.hub)
        process.kernel.tasks.append(self)

    def _run_of(self, target: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            try:
                target()
            except GreenletExit:
                pass
            finally:
                self.ended = True

        return run

    def go_on(self) -> None:
        """Run until it waits. Called from the hub."""
        self._greenlet.switch()

    def __repr__(self) -> str:
        return f"<{self.name} of {self.process.name}>"

    def unwind(self) -> None:
        """The simulation is over: leave whatever it is in."""
        if self._greenlet:
            self._greenlet.throw(GreenletExit)


class Alarm:
    """What stands in the heap for a task that waits."""

    __slots__ = ("task", "wait")

    def __init__(self, task: Task) -> None:
        self.task, self.wait = task, task.waiting


class Livelock(Exception):
    """Somebody does something again and again, and time stands still."""


class Kernel:
    """The clock, and who is next."""

    def __init__(self, seed: int, trace: Callable[[str], None] | None = None) -> None:
        self.now = 0.0
        self.chance = Random(seed)
        self.hub = getcurrent()
        self.current: Task | None = None
        self.tasks: list[Task] = []
        self.closing = False
        self.atomic = False
        """Inside a transaction: nobody else has a turn."""
        self.switches = 0
        self.thread_failures: list[str] = []
        """Threads of the engine that ended by an error that nobody caught."""
        self._trace = trace
        self._heap: list[tuple[float, int, Any]] = []
        self._order = 0
        self._pids = 1000
        self._last: Task | None = None

    def new_pid(self) -> int:
        self._pids += 1
        return self._pids

    def say(self, who: str, what: str) -> None:
        """A line of the trace."""
        if self._trace is not None:
            self._trace(f"{self.now:10.4f}  {who:<12} {what}")

    @property
    def tracing(self) -> bool:
        return self._trace is not None

    # -- what is to happen -----------------------------------------------------------------------------

    def at(self, when: float, what: Any) -> None:
        """Have a task go on, or something called, then."""
        self._order += 1
        heappush(self._heap, (when, self._order, what))

    def later(self, delay_s: float, call: Callable[[], object]) -> None:
        """Call it after so many seconds of true time. It belongs to no process, so nothing defers it."""
        self.at(self.now + delay_s, call)

    def wake(self, task: Task) -> None:
        """A task that waits need not wait any longer."""
        self.at(self.now, Alarm(task))

    # -- waiting, from inside a task -------------------------------------------------------------------

    def wait(self, seconds: float | None) -> None:
        """Let others have their turn, until woken or until ``seconds`` of this machine's steady clock are over."""
        if self.closing:
            raise GreenletExit
        task = self.current
        if task is None or self.atomic:
            raise AssertionError(
                "something waits where nothing may: outside of any task, or in a transaction"
            )
        task.waiting += 1
        if seconds is not None:
            # A little more than asked for, as everywhere: whoever looks at the clock then sees that it is over.
            true_s = max(0.0, seconds) / task.process.machine.rate + 1e-6
            self.at(self.now + true_s, Alarm(task))
        self.hub.switch()
        if self.closing:
            raise GreenletExit

    def pause(self, low_s: float, high_s: float) -> None:
        """Take some time, nobody knows exactly how much."""
        self.wait(self.chance.uniform(low_s, high_s))

    # -- the hub ---------------------------------------------------------------------------------------

    def run(self, until: float, done: Callable[[], bool]) -> None:
        """Let things happen until then, or until ``done`` says so."""
        moment, at_once = self.now, 0
        while self._heap and self._heap[0][0] <= until:
            when, _, what = heappop(self._heap)
            self.now = max(self.now, when)
            at_once += 1
            if at_once > _MOST_A_MOMENT:
                if self.now - moment < _MOMENT_S:
                    raise Livelock(
                        f"at {self.now:.6f} time does not go on; the last turn was {self._last!r}'s"
                    )
                moment, at_once = self.now, 0
            if isinstance(what, Alarm):
                task = what.task
                if what.wait == task.waiting:
                    self._turn(task)
            elif isinstance(what, Task):
                self._turn(what)
            else:
                what()
            if done():
                return
        if not self._heap or self._heap[0][0] > until:
            self.now = max(self.now, until)

    def _turn(self, task: Task) -> None:
        process = task.process
        if not process.alive or task.ended:
            return
        if process.frozen:
            process.defer(task)
            return
        self.switches += 1
        task.waiting += 1
        self.current = self._last = task
        try:
            task.go_on()
        finally:
            self.current = None

    def close(self) -> None:
        """Unwind all that is still going on: nothing of it has any effect."""
        self.closing = True
        for task in self.tasks:
            self.current = task
            for _ in range(100):
                if task.ended:
                    break
                task.unwind()
        self.current = None
        self.tasks.clear()
