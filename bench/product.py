"""The product as users run it: a supervisor process with its workers, a client process beside it."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import psutil

READY_S = 60.0
STOP_S = 60.0
MIB = 1024 * 1024


class Supervisor:
    """A supervisor process with its workers. A context manager: ready when entered, gone when left.

    ``without`` names what is left out of it (see :mod:`bench.careless_supervisor`).
    """

    def __init__(self, url: str, workers: int, count: bool = False, without: Sequence[str] = ()) -> None:
        program = ["bench.counting_supervisor"] if count else ["dynflow_mp.supervisor"]
        if without:
            program = ["bench.careless_supervisor", ",".join(without)]
        self.command = [sys.executable, "-m", *program, "--workers", str(workers)]
        self.command += ["--database", url, "--app", "bench.actions"]

    def __enter__(self) -> Supervisor:
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        try:
            line = self.line(READY_S)
            if not line.startswith("ready "):
                raise RuntimeError(f"the supervisor did not start (exit status {self.process.wait(5)})")
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def line(self, timeout_s: float) -> str:
        """The next line it prints."""
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], timeout_s)[0]:
            raise TimeoutError(f"the supervisor said nothing within {timeout_s:g} s")
        return self.process.stdout.readline()

    def counts(self) -> dict[str, int]:
        """What it has asked of its database so far (only when counting)."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        counts: dict[str, int] = json.loads(self.line(10.0))
        return counts

    def rss_mb(self) -> dict[str, float]:
        return resident_mb(psutil.Process(self.process.pid))


def resident_mb(supervisor: psutil.Process) -> dict[str, float]:
    """Resident memory now: the supervisor's, and the mean of its workers'."""
    resident = [worker.memory_info().rss / MIB for worker in workers_of(supervisor)]
    return {
        "supervisor": round(supervisor.memory_info().rss / MIB, 1),
        "worker": round(sum(resident) / len(resident), 1) if resident else 0.0,
    }


def workers_of(supervisor: psutil.Process) -> list[psutil.Process]:
    return [child for child in supervisor.children() if "dynflow_mp.executor.worker" in child.cmdline()]


def run_client(workload: str, url: str, size: int, count: bool, timeout_s: float) -> dict[str, Any]:
    """Run one workload's client part in a process of its own; returns what it measured."""
    command = [sys.executable, "-m", "bench.client", workload, "--database", url, "--size", str(size)]
    command += ["--count"] if count else []
    answer = subprocess.run(command, stdout=subprocess.PIPE, timeout=timeout_s, check=True)
    measured: dict[str, Any] = json.loads(answer.stdout)
    return measured
