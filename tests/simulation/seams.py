"""Where the engine's own modules get virtual time, threads, chance and processes from.

The engine is used as it is. In each of its modules the names that stand for the outside – ``Thread``, ``monotonic``,
``os`` … – are given other values, and so are the few classes whose work is I/O: database, worker processes, connector,
poller, bell. It is done once, in a process that does nothing else; outside of a simulated process these names do what
they always do.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import queue
import random
import secrets
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable
from types import ModuleType
from typing import Any

from tests.simulation import threads
from tests.simulation.threads import here, inside, kernel

_UNUSED = ("cli", "supervisor", "testing", "migrations", "guardian", "console", "__main__")
"""Rooms and programs of which no simulated process has anything."""


class Facade:
    """A module of the standard library with some names of our own."""

    def __init__(self, real: ModuleType, **own: Any) -> None:
        self._real = real
        self.__dict__.update(own)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def _monotonic() -> float:
    return here().process.machine.monotonic() if inside() else time.monotonic()


def _clock_gettime(clock: int) -> float:
    return _monotonic() if inside() else time.clock_gettime(clock)


def _time_ns() -> int:
    return here().process.machine.now_us() * 1000 if inside() else time.time_ns()


def _time() -> float:
    return _time_ns() / 1e9


def _sleep(seconds: float) -> None:
    if inside():
        kernel().wait(seconds)
    else:
        time.sleep(seconds)


def _urandom(size: int) -> bytes:
    return kernel().chance.randbytes(size) if inside() else os.urandom(size)


def _getpid() -> int:
    return here().process.pid if inside() else os.getpid()


def _kill(pid: int, number: int) -> None:
    process = here().process.machine.processes.get(pid)
    if process is None or not process.alive:
        raise ProcessLookupError(pid)
    if number:
        raise AssertionError("a simulated process is killed through its workforce only")


def _hostname() -> str:
    return here().process.machine.name if inside() else socket.gethostname()


def _random(seed: Any = None) -> random.Random:
    if seed is None and inside():
        seed = kernel().chance.getrandbits(64)
    return random.Random(seed)


def _chance() -> float:
    return kernel().chance.random() if inside() else random.random()


def _bits(number: int) -> int:
    return kernel().chance.getrandbits(number) if inside() else random.getrandbits(number)


def _uuid4() -> uuid.UUID:
    return uuid.UUID(bytes=_urandom(16), version=4)


def _token_hex(size: int = 32) -> str:
    return _urandom(size).hex()


_FUNCTIONS: dict[Any, Any] = {
    threading.Thread: threads.VirtualThread,
    threading.Event: threads.VirtualEvent,
    threading.Lock: threads.VirtualLock,
    threading.RLock: threads.reentrant_lock,
    threading.Condition: threads.VirtualCondition,
    threading.get_ident: threads.get_ident,
    threading.current_thread: threads.current_thread,
    queue.SimpleQueue: threads.VirtualQueue,
    time.monotonic: _monotonic,
    time.perf_counter: _monotonic,
    time.time_ns: _time_ns,
    time.clock_gettime: _clock_gettime,
    time.time: _time,
    time.sleep: _sleep,
    random.Random: _random,
    random.random: _chance,
    random.getrandbits: _bits,
    uuid.uuid4: _uuid4,
    secrets.token_hex: _token_hex,
    os.urandom: _urandom,
}

_MODULES: dict[ModuleType, Facade] = {
    threading: Facade(
        threading,
        Thread=threads.VirtualThread,
        Event=threads.VirtualEvent,
        Lock=threads.VirtualLock,
        RLock=threads.reentrant_lock,
        Condition=threads.VirtualCondition,
        current_thread=threads.current_thread,
        get_ident=threads.get_ident,
    ),
    time: Facade(
        time,
        monotonic=_monotonic,
        perf_counter=_monotonic,
        time_ns=_time_ns,
        time=_time,
        sleep=_sleep,
        clock_gettime=_clock_gettime,
    ),
    random: Facade(random, Random=_random, random=_chance, getrandbits=_bits),
    secrets: Facade(secrets, token_hex=_token_hex),
    os: Facade(os, urandom=_urandom, getpid=_getpid, kill=_kill),
    socket: Facade(socket, gethostname=_hostname),
}


def install() -> None:
    """Put all of it in place. Twice is fine."""
    for module in _engine_modules():
        for name, value in list(vars(module).items()):
            other = _replacement(value)
            if other is not None:
                setattr(module, name, other)


def _engine_modules() -> list[ModuleType]:
    import dynflow_mp

    names = (info.name for info in pkgutil.walk_packages(dynflow_mp.__path__, "dynflow_mp."))
    used = (name for name in names if not any(part in _UNUSED for part in name.split(".")))
    return [dynflow_mp, *map(importlib.import_module, used)]


def _replacement(value: Any) -> Any:
    try:
        return _MODULES.get(value) if isinstance(value, ModuleType) else _FUNCTIONS.get(value)
    except TypeError:
        return None  # not hashable: none of ours


class Patches:
    """Names of the engine that stand for something else, for a while."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []

    def set(self, where: Any, name: str, value: Any) -> None:
        """Raises ``AttributeError`` for a name that is not there: then the engine has changed, and so must this."""
        owner = sys.modules[where] if isinstance(where, str) else where
        self._before.append(
            (owner, name, owner.__dict__[name] if isinstance(owner, type) else getattr(owner, name))
        )
        setattr(owner, name, value)

    def undo(self) -> None:
        while self._before:
            owner, name, value = self._before.pop()
            setattr(owner, name, value)


Patch = Callable[[Patches], None]
