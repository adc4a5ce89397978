"""Threads, events, queues and locks of the simulated worlds: as those of the standard library, in virtual time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from queue import Empty
from typing import Any

from tests.simulation.kernel import Kernel, Task

_kernel: Kernel | None = None


def use(kernel: Kernel | None) -> None:
    """From now on threads are this kernel's."""
    global _kernel
    _kernel = kernel


def kernel() -> Kernel:
    """Whose turn it is."""
    if _kernel is None:
        raise RuntimeError("no simulation is going on")
    return _kernel


def here() -> Task:
    """The task that has its turn."""
    task = kernel().current
    if task is None:
        raise RuntimeError("this runs outside of any simulated process")
    return task


def inside() -> bool:
    """Whether a simulated process has its turn."""
    return _kernel is not None and _kernel.current is not None


class VirtualThread:
    """A thread of the simulated process that starts it."""

    def __init__(
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str = "",
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        daemon: bool | None = None,
    ) -> None:
        self._target, self.name, self._args, self._kwargs = target, name, args, kwargs or {}
        self.daemon = daemon
        self._task: Task | None = None

    def start(self) -> None:
        self._task = here().process.spawn(self._run, self.name)
        self._task.thread = self

    def _run(self) -> None:
        try:
            self._target(*self._args, **self._kwargs)  # type: ignore[misc]
        except Exception as error:
            kernel().thread_failures.append(f"{self.name} of {here().process.name}: {error!r}")

    def is_alive(self) -> bool:
        return self._task is not None and not self._task.ended

    @property
    def ident(self) -> int | None:
        return None if self._task is None else self._task.number

    def join(self, timeout: float | None = None) -> None:
        ends = None if timeout is None else here().process.machine.monotonic() + timeout
        while self.is_alive():
            if ends is not None and here().process.machine.monotonic() >= ends:
                return
            kernel().wait(0.01)


def current_thread() -> VirtualThread:
    """The thread that runs now; always the same object for the same thread."""
    task = here()
    if task.thread is None:
        task.thread = VirtualThread(name=task.name)
        task.thread._task = task
    return task.thread


def get_ident() -> int:
    return here().number


class VirtualEvent:
    def __init__(self) -> None:
        self._set = False
        self._waiting: list[Task] = []

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True
        waiting, self._waiting = self._waiting, []
        for task in waiting:
            kernel().wake(task)

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        if self._set:
            return True
        task = here()
        ends = None if timeout is None else task.process.machine.monotonic() + timeout
        while not self._set:
            left = None if ends is None else ends - task.process.machine.monotonic()
            if left is not None and left <= 0:
                break
            self._waiting.append(task)
            kernel().wait(left)
            if task in self._waiting:
                self._waiting.remove(task)
        return self._set


class VirtualQueue:
    """``SimpleQueue``."""

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._filled = VirtualEvent()

    def put(self, item: Any) -> None:
        self._items.append(item)
        self._filled.set()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        ends = None if timeout is None else here().process.machine.monotonic() + timeout
        while not self._items:
            left = None if ends is None else ends - here().process.machine.monotonic()
            if not block or (left is not None and left <= 0):
                raise Empty
            self._filled.clear()
            self._filled.wait(left)
        return self._items.popleft()

    def get_nowait(self) -> Any:
        return self.get(block=False)

    def empty(self) -> bool:
        return not self._items

    def qsize(self) -> int:
        return len(self._items)


class VirtualLock:
    """``Lock`` and, told so, ``RLock``."""

    def __init__(self, reentrant: bool = False) -> None:
        self._reentrant = reentrant
        self._owner: Task | None = None
        self._held = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        me = kernel().current if _kernel is not None else None
        while self._held and not (self._reentrant and self._owner is me):
            if not blocking:
                return False
            kernel().wait(0.001)
        self._owner = me
        self._held += 1
        return True

    def release(self) -> None:
        self._held -= 1
        if not self._held:
            self._owner = None

    def locked(self) -> bool:
        return bool(self._held)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exception: object) -> None:
        self.release()


def reentrant_lock() -> VirtualLock:
    return VirtualLock(reentrant=True)


class VirtualCondition:
    """``Condition``."""

    def __init__(self, lock: VirtualLock | None = None) -> None:
        self._lock = lock or reentrant_lock()
        self._told = VirtualEvent()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        return self._lock.acquire(blocking, timeout)

    def release(self) -> None:
        self._lock.release()

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(self, *exception: object) -> None:
        self._lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        told = self._told
        self._lock.release()
        try:
            return told.wait(timeout)
        finally:
            self._lock.acquire()

    def wait_for(self, holds: Callable[[], Any], timeout: float | None = None) -> Any:
        ends = None if timeout is None else here().process.machine.monotonic() + timeout
        while not (held := holds()):
            left = None if ends is None else ends - here().process.machine.monotonic()
            if left is not None and left <= 0:
                break
            self.wait(left)
        return held

    def notify(self, n: int = 1) -> None:
        self.notify_all()

    def notify_all(self) -> None:
        told, self._told = self._told, VirtualEvent()
        told.set()
