"""What belongs to a worker's whole process and a step may have changed: noted once, put back after each step.

    user's modules imported ─▶ noted ─▶ a step ─▶ tidy: what the very next step would feel    (every step)
                                             └──▶ look_closer: what can wait a moment         (idle, or 20 times a second)

What can be put back is put back without a word: a step that changes directory harms nobody. What
cannot is a reason to replace the worker once the step's outcome is on its way. What lives in objects
(attributes of classes, replaced functions of other modules) stays as the step left it.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import sys
from _locale import LC_ALL, setlocale
from contextlib import suppress
from typing import Any

from dynflow_mp.executor.interruption import NUMBER
from dynflow_mp.executor.own_descriptors import high, identity, put_back
from dynflow_mp.executor.strays import Strays

_HANDLED: list[int] = [
    number for number in signal.Signals if number < 32 and number not in (signal.SIGKILL, signal.SIGSTOP)
]
if NUMBER not in _HANDLED:
    _HANDLED.append(NUMBER)


class Surroundings:
    """The process as the user's modules left it. Owned by the worker's main thread.

    ``stacks_fd`` is where ``faulthandler`` writes.
    """

    def __init__(self, stacks_fd: int) -> None:
        self.strays = Strays()
        self._stacks_fd = stacks_fd
        self._note_place()
        self._note_interpreter()
        self._note_process()

    # -- what every step feels ---------------------------------------------------------------------

    def _note_place(self) -> None:
        self._directory = "."
        with suppress(FileNotFoundError):  # the supervisor's directory is gone; one can stay there
            self._directory = os.getcwd()
        self._directory_fd = high(os.open(".", getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY))
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._environ = os.environ
        self._variables = dict(os.environ)
        # The mapping itself, encoded: comparing two of them costs a fifth of reading one.
        self._encoded: Any = getattr(os.environ, "_data", os.environ)
        self._encoded_then = dict(self._encoded)

    def _note_interpreter(self) -> None:
        self._path, self._entries = sys.path, list(sys.path)
        self._streams = [sys.stdin, sys.stdout, sys.stderr]
        self._limit = sys.getrecursionlimit()
        self._trace, self._profile = sys.gettrace(), sys.getprofile()
        self._collects = gc.isenabled()

    def tidy(self) -> None:
        """Put back what the next step would feel, in about three microseconds."""
        try:
            os.fchdir(self._directory_fd)
        except OSError:
            self._find_directory()
        os.umask(self._umask)
        signal.alarm(0)  # it would ring in an innocent step
        if self._encoded != self._encoded_then or os.environ is not self._environ:
            self._repair_environment()
        if sys.path is not self._path or sys.path != self._entries:
            self._repair_path()
        if (
            [sys.stdin, sys.stdout, sys.stderr] != self._streams
            or _is_closed(sys.stdout)
            or _is_closed(sys.stderr)
        ):
            self._repair_streams()
        if sys.getrecursionlimit() != self._limit:
            sys.setrecursionlimit(self._limit)
        if sys.gettrace() is not self._trace or sys.getprofile() is not self._profile:
            sys.settrace(self._trace)
            sys.setprofile(self._profile)
        if gc.isenabled() is not self._collects:
            (gc.enable if self._collects else gc.disable)()

    def _find_directory(self) -> None:
        with suppress(OSError):  # descriptor closed, directory gone: there is no way back
            os.chdir(self._directory)

    def _repair_environment(self) -> None:
        os.environ = self._environ  # noqa: B003 - the very object that was there
        for name in set(self._environ) - set(self._variables):
            del self._environ[name]
        for name, value in self._variables.items():
            if self._environ.get(name) != value:
                self._environ[name] = value

    def _repair_path(self) -> None:
        """What was there must stay; what came stays, too: libraries add to it when they are first imported."""
        now = [entry for entry in sys.path if isinstance(entry, str)]
        lost = [entry for entry in self._entries if entry not in now]
        self._path[:] = lost + now
        sys.path = self._path
        self._entries = list(self._path)

    def _repair_streams(self) -> None:
        """The streams of before; new ones in place of those that were closed."""
        for position, mode in enumerate("rww"):
            stream = self._streams[position]
            if _is_closed(stream):
                self._repair_standard_descriptors()
                self._streams[position] = open(  # noqa: SIM115 - it stays open as long as the process
                    position, mode, buffering=1, errors="backslashreplace", closefd=False
                )
        sys.stdin, sys.stdout, sys.stderr = self._streams

    # -- what can wait a moment --------------------------------------------------------------------

    def _note_process(self) -> None:
        self._output_fd = high(os.dup(2))
        self._standard = [identity(fd) for fd in (0, 1, 2)]
        self._handlers = {number: signal.getsignal(number) for number in _HANDLED}
        self._blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._locale = setlocale(LC_ALL)
        self._priority = os.getpriority(os.PRIO_PROCESS, 0)
        self._user = os.geteuid(), os.getegid()

    def look_closer(self, now: float) -> str | None:
        """Put back what can wait a moment. Returns why this worker must be replaced, if it must."""
        if not self._repair_standard_descriptors():
            return "a step closed standard input, output or error for good"
        self._repair_signals()
        if setlocale(LC_ALL) != self._locale:
            setlocale(LC_ALL, self._locale)
        if os.getpriority(os.PRIO_PROCESS, 0) != self._priority:
            try:
                os.setpriority(os.PRIO_PROCESS, 0, self._priority)
            except PermissionError:
                return "a step changed the priority of the process (os.nice) for good"
        if (os.geteuid(), os.getegid()) != self._user:
            return "a step changed the user or group of the process"
        return self.strays.look(now)

    def _repair_signals(self) -> None:
        for number, handler in self._handlers.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)
                faulthandler.unregister(number)
                faulthandler.disable()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)
        # Asked for again each time: nothing tells whether they still hold, and asking costs nothing.
        with suppress(OSError, RuntimeError):
            if not faulthandler.is_enabled():
                faulthandler.enable(self._stacks_fd)
            faulthandler.register(signal.SIGUSR1, self._stacks_fd, all_threads=True)

    def _repair_standard_descriptors(self) -> bool:
        """Whether all three are what they were, or as good as that."""
        for fd, then in enumerate(self._standard):
            if identity(fd) != then:
                put_back(fd, None if fd == 0 else self._output_fd)
                self._standard[fd] = identity(fd)
        with suppress(
            OSError, ValueError
        ):  # what was printed without an end of line is not held back for ever
            sys.stdout.flush()
        return None not in self._standard


def _is_closed(stream: Any) -> bool:
    """Whether a stream is closed; what users' modules put in place of one need not know the word."""
    return getattr(stream, "closed", False) is True
