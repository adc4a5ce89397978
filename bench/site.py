"""Where one run of the bench keeps all it makes, so that nothing of it is left – also when it is killed.

bench ── pipe ──▶ sweeper (a session of its own)
  │ end of file, whatever the reason: kill what carries our token, drop our databases, remove our directories
  ▼
children: BENCH_TOKEN marks them and all their descendants, TMPDIR is our directory
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO
from uuid import uuid4

TOKEN = "BENCH_TOKEN"
SWEEP_S = 60.0


class Site:
    """The token and the directory of this run; what else it makes is told to the sweeper first."""

    def __init__(self, token: str, directory: Path, sweeper: IO[str]) -> None:
        self.token, self.directory = token, directory
        self._sweeper = sweeper
        self._made = 0

    def name(self) -> str:
        """A name that nobody else has, for a database or a queue."""
        self._made += 1
        return f"{prefix(self.token)}{self._made}"

    def will_use(self, **what: str) -> None:
        """``server=`` URL or ``directory=`` path, told before anything is made there."""
        print(json.dumps(what), file=self._sweeper, flush=True)


def prefix(token: str) -> str:
    """How the name of every database of this run begins."""
    return f"dynflow_bench_{token}_"


@contextmanager
def opened() -> Iterator[Site]:
    """A site with its sweeper; swept when left."""
    token = uuid4().hex[:8]
    directory = Path(tempfile.mkdtemp(prefix=f"dynflow-bench-{token}-"))
    sweeper = subprocess.Popen(
        [sys.executable, "-m", "bench.sweeper", token, str(directory)],
        stdin=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C goes to a terminal's whole process group
    )
    assert sweeper.stdin is not None
    try:
        with _marked(token, directory), _ended_by_sigterm():
            yield Site(token, directory, sweeper.stdin)
    finally:
        sweeper.stdin.close()
        sweeper.wait(SWEEP_S)


@contextmanager
def _marked(token: str, directory: Path) -> Iterator[None]:
    """From here on children carry the token, and they and we put temporary files into our directory."""
    before = {name: os.environ.get(name) for name in (TOKEN, "TMPDIR")}
    usual = tempfile.tempdir
    os.environ.update({TOKEN: token, "TMPDIR": str(directory)})
    tempfile.tempdir = str(directory)
    try:
        yield
    finally:
        tempfile.tempdir = usual
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the run in order, as Ctrl-C does."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
