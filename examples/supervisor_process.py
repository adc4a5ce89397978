"""A supervisor as a process of its own, for programs that start one beside them."""

from __future__ import annotations

import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

READY_S = 60.0
STOP_S = 30.0


class SupervisorProcess:
    """``python -m dynflow_mp.supervisor`` with these options, ready when entered, gone when left.

    Raises :class:`SystemExit` with the supervisor's own exit status when it does not start: it has
    said why on standard error.
    """

    def __init__(self, database: str, app: str, workers: int = 2, directory: Path | None = None) -> None:
        self.directory = directory
        self.command = [sys.executable, "-m", "dynflow_mp.supervisor"]
        self.command += ["--workers", str(workers), "--database", database, "--app", app]
        self.ready_line = ""

    def __enter__(self) -> SupervisorProcess:
        # A program that is terminated leaves its with-blocks, and so stops what it has started.
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
        self.process = subprocess.Popen(
            self.command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        try:
            self.ready_line = self._first_line()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop()

    def _first_line(self) -> str:
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], READY_S)[0]:
            raise SystemExit(f"the supervisor was not ready within {READY_S:g} s")
        line = self.process.stdout.readline().rstrip()
        if not line.startswith("ready "):
            raise SystemExit(self.process.wait(STOP_S) or 1)
        return line

    def _stop(self) -> None:
        """Ask it to drain; what does not end in time is killed (its workers end with it)."""
        if self.process.stdout is not None:
            self.process.stdout.close()
        stop(self.process)


def stop(process: subprocess.Popen[Any]) -> None:
    """Ask a process to end, and kill it if it does not."""
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
