"""The product's programs as processes of their own, started, watched and ended."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import psutil

from chaos.effects import VARIABLE

TESTS = Path(__file__).parents[1]
QUICK = {
    "reconcile_interval_s": 0.2,
    "reask_interval_s": 0.5,
    "lease_renewal_s": 0.2,
    "no_executor_timeout_s": 60,
    "delayed_poll_s": 0.3,
    "drain_grace_s": 1,
    "max_worker_deaths": 1_000_000,  # who kills at random says nothing about the application
}
"""Settings of worlds that notice within a moment who is gone."""
PATIENCE_S = 60.0


def wait_until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_S) -> Any:
    """What the condition comes to once it holds; a deadline that passes is an error that names what did not come."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.01)
    return found


def environment(effects: Path, settings: Mapping[str, Any], **others: str) -> dict[str, str]:
    """For every process of a campaign: where effects go, the settings, this package among the modules."""
    path = os.pathsep.join(filter(None, [str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH")]))
    own = {f"DYNFLOW_{name.upper()}": str(value) for name, value in settings.items()}
    return {**os.environ, **own, VARIABLE: str(effects), "PYTHONPATH": path, **others}


class Program:
    """A Python module run as a process; its standard error goes to a file that is kept."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], log: IO[bytes]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=dict(environment),
            start_new_session=True,
        )
        self._read = b""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def line(self, seconds: float = PATIENCE_S) -> str | None:
        """The next line it prints; None at the end of its output. Raises :class:`TimeoutError`."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + seconds
        while b"\n" not in self._read:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not select.select([self.process.stdout], [], [], left_s)[0]:
                raise TimeoutError(f"process {self.pid} said nothing within {seconds:g} s")
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                return None
            self._read += data
        line, _, self._read = self._read.partition(b"\n")
        return line.decode()

    def say(self, text: str) -> None:
        """Write a line to its standard input; one that is gone does not hear it."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{text}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            return

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> None:
        """SIGKILL, if it is still there; nothing of it stays."""
        if self.alive:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE_S)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:
                continue


class Supervisor(Program):
    """``python -m dynflow_mp.supervisor`` with the actions of this package."""

    def __init__(self, url: str, workers: int, environment: Mapping[str, str], log: IO[bytes]) -> None:
        super().__init__(
            ["dynflow_mp.supervisor", "--workers", str(workers), "--database", url, "--app", "chaos.actions"],
            environment,
            log,
        )
        self._ready = False

    def is_ready(self) -> bool:
        """Whether it has said so; without waiting."""
        assert self.process.stdout is not None
        if not self._ready and select.select([self.process.stdout], [], [], 0)[0]:
            self._ready = (self.line(1) or "").startswith("ready ")
        return self._ready and self.alive

    def workers(self) -> list[psutil.Process]:
        """Its worker processes now."""
        try:
            below = psutil.Process(self.pid).children()
            return [child for child in below if "dynflow_mp.executor.worker" in child.cmdline()]
        except psutil.Error:
            return []


def of_campaign(effects: Path) -> list[psutil.Process]:
    """Every living process that writes, or could, to these effects: found by its environment, whoever its parent is."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(VARIABLE) == str(effects):
                found.append(process)
        except psutil.Error:
            continue
    return found


def zombies_below(pid: int) -> list[psutil.Process]:
    """Dead children that nobody has taken away."""
    try:
        below = psutil.Process(pid).children(recursive=True)
        return [child for child in below if child.status() == psutil.STATUS_ZOMBIE]
    except psutil.Error:
        return []
