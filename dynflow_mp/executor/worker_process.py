"""One worker process as its supervisor sees it: its descriptors, its page, its output."""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from dynflow_mp.executor.child import Child, kept, pipe
from dynflow_mp.executor.page import NOTHING, Page
from dynflow_mp.executor.startup_words import Said, understood
from dynflow_mp.telemetry import logger

log = logger("executor.worker")

TAIL_BYTES = 64 * 1024
_READ_BYTES = 64 * 1024
_READS_A_TURN = 8
_WORDS_BYTES = 64 * 1024
_PACKAGE_ROOT = str(Path(__file__).parents[2])
_MODULE = "dynflow_mp.executor.worker"


class WorkerSettings(NamedTuple):
    """What every worker of a world needs to know."""

    apps: tuple[str, ...]
    """Modules to import, in this order."""
    script: tuple[str, str] | None
    """Module name and path of the program being run, if actions live in it (``Registry.script``)."""
    max_payload: int
    start_timeout_s: float = 30.0
    """How long one may take to import its modules."""
    middleware: tuple[str, ...] = ()
    """Where the rules of the world are, as ``module:name``."""
    sensitive_keys: tuple[str, ...] = ()
    """Further keys whose values are not shown."""


class WorkerProcess:
    """A worker from its start to its burial. Owned by the thread that owns :class:`Processes`."""

    def __init__(self, queue: str, directory: Path, endpoint: str, settings: WorkerSettings) -> None:
        self.id = secrets.token_hex(8)
        self.queue = queue
        self.token = secrets.token_bytes(32)
        self.routes = {"work": b"w" + secrets.token_bytes(15), "control": b"c" + secrets.token_bytes(15)}
        self.lanes: set[int] = set()
        """The lanes that said hello."""
        self.held: set[int] = set()
        """Numbers of the jobs sent and not answered."""
        self.returns_heard = 0
        """How many jobs it gave back and said so."""
        self.started = monotonic()
        self.start_timeout_s = settings.start_timeout_s
        self.over_since: float | None = None
        """When its end was noticed; it is buried once its last frames are read."""
        self.last_pong: float | None = None
        self.asked_to_end = False
        self.retiring = False
        self.fault: str | None = None
        """What it did wrong, if its supervisor ended it for that."""
        self.remains = NOTHING
        """What it had begun and finished; known once it is closed."""
        self.said = Said()
        """What it said about its start: known once it is ready, and again once it is closed."""
        self._tail = bytearray()
        self._start(directory, endpoint, settings)

    @property
    def ready(self) -> bool:
        """Whether both lanes said hello."""
        return len(self.lanes) == 2

    # -- starting ----------------------------------------------------------------------------------

    def _start(self, directory: Path, endpoint: str, settings: WorkerSettings) -> None:
        """Start the process; what fails on the way leaves no descriptor behind."""
        with ExitStack() as theirs, ExitStack() as ours:
            lifeline_end, self._lifeline = pipe(reader=theirs, writer=ours)
            alive, alive_end = pipe(reader=ours, writer=theirs)
            self.output, output_end = pipe(reader=ours, writer=theirs)
            self._words = kept(_unnamed_file(directory), ours)
            page_fd = kept(Page.create(directory), theirs)
            self.page = Page(page_fd)
            ours.callback(self.page.close)
            facts = {
                "parent": os.getpid(),
                "endpoint": endpoint,
                "token": self.token.hex(),
                "work_route": self.routes["work"].hex(),
                "control_route": self.routes["control"].hex(),
                "lifeline": lifeline_end,
                "alive": alive_end,
                "words": self._words,
                "page": page_fd,
            }
            settings_fd = kept(_unnamed_file(directory, facts | _surroundings(settings)), theirs)
            self.child = Child(
                [sys.executable, "-P", "-m", _MODULE, str(settings_fd)],
                inherited=[settings_fd, lifeline_end, alive_end, self._words, page_fd],
                alive_pipe=alive,
                output=output_end,
                environment=environment_for_workers(os.environ),
            )
            os.set_blocking(self.output, False)
            self._descriptors = ours.pop_all()

    # -- output ------------------------------------------------------------------------------------

    @property
    def tail(self) -> str:
        """The last of what it printed."""
        return self._tail.decode("utf-8", "backslashreplace")

    def drain_output(self, reads: int = _READS_A_TURN) -> bool:
        """Take what it printed, a bounded amount; False at the end of it."""
        for _ in range(reads):
            try:
                data = os.read(self.output, _READ_BYTES)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._tail += data
            if len(self._tail) > TAIL_BYTES:
                del self._tail[:-TAIL_BYTES]
            if log.isEnabledFor(10):
                self._log_lines(data)
        return True

    def _log_lines(self, data: bytes) -> None:
        facts = {"action": "worker_output", "worker": self.id, "pid": self.child.pid}
        for line in data.decode("utf-8", "backslashreplace").splitlines():
            log.debug("%s", "".join(filter(str.isprintable, line)), extra=facts)

    # -- the end -----------------------------------------------------------------------------------

    def close(self) -> None:
        """Take the last it left, and give every descriptor back."""
        self.remains = self.page.read(self.returns_heard)
        self.hear_startup()
        self._descriptors.close()

    def hear_startup(self) -> Said:
        """What it has said so far about its start."""
        self.said = understood(os.pread(self._words, _WORDS_BYTES, 0))
        return self.said

    @property
    def last_line(self) -> str:
        """The line worth showing of what it printed: the interpreter's own last word, else the last there is."""
        lines = self.tail.strip().splitlines()
        fatal = [line for line in lines if line.startswith("Fatal Python error")]
        return (fatal or lines or [""])[-1]


def environment_for_workers(environment: Mapping[str, str]) -> dict[str, str]:
    """Our own, without what speaks to service managers or configures worlds.

    ``PYTHONPATH`` leads to this very package, wherever the supervisor found it; the worker puts the
    user's value back before the user's code sees it.
    """
    own = {
        name: value
        for name, value in environment.items()
        if name != "NOTIFY_SOCKET" and not name.startswith(("WATCHDOG_", "DYNFLOW_"))
    }
    own["PYTHONPATH"] = os.pathsep.join(filter(None, (_PACKAGE_ROOT, environment.get("PYTHONPATH"))))
    return own


def _surroundings(settings: WorkerSettings) -> dict[str, Any]:
    path = [entry for entry in sys.path if isinstance(entry, str)]
    return settings._asdict() | {"sys_path": path, "python_path": os.environ.get("PYTHONPATH")}


def _unnamed_file(directory: Path, content: dict[str, Any] | None = None) -> int:
    """A file without a name: of any size, never blocking, gone with its readers."""
    with tempfile.TemporaryFile(dir=directory) as file:
        if content is not None:
            file.write(json.dumps(content).encode())
            file.seek(0)
        return os.dup(file.fileno())
