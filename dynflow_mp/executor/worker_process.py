"""One worker process as its supervisor sees it: its descriptors, its page, its output."""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from dynflow_mp.executor import stacks
from dynflow_mp.executor.child import Child, kept, pipe
from dynflow_mp.executor.output import Owner, WorkerOutput
from dynflow_mp.executor.page import NOTHING, Page
from dynflow_mp.executor.resident import own_peak_bytes, peak_bytes
from dynflow_mp.executor.startup_words import Said, understood
from dynflow_mp.failpoints import armed_at
from dynflow_mp.model.work import Errand, FinalizeJob, Job

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
        self.held: dict[int, Job] = {}
        """The jobs sent and not answered, by number. Changed by the owner only; others may look up."""
        self.returns_heard = 0
        """How many jobs it gave back and said so."""
        self.started = monotonic()
        self.start_timeout_s = settings.start_timeout_s
        self.over_since: float | None = None
        """When its end was noticed; it is buried once its last frames are read."""
        self.last_pong: float | None = None
        self.asked_to_end = False
        self.outlived_lease = False
        """Whether it was there when its world's lease ran out, and so was killed; known once it is over."""
        self.retiring = False
        self.fault: str | None = None
        """What it did wrong, if its supervisor ended it for that."""
        self.remains = NOTHING
        """What it had begun and finished; known once it is closed."""
        self.dump = ""
        """The stacks it wrote down last; known once it is closed."""
        self.said = Said()
        """What it said about its start: known once it is ready, and again once it is closed."""
        self.peak_seen = 0
        """The most memory it was ever seen to have, by itself or by its supervisor (bytes)."""
        self.peak_inherited = own_peak_bytes()
        """What the system takes for its peak from its first moment on: ours, since its memory began as a copy of ours."""
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
            output, output_end = pipe(reader=ours, writer=theirs)
            self._words = kept(_unnamed_file(directory), ours)
            page_fd = kept(Page.create(directory), theirs)
            self.page = Page(page_fd)
            self._stacks = kept(stacks.new_file(directory), ours)
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
                "stacks": self._stacks,
            }
            settings_fd = kept(_unnamed_file(directory, facts | _surroundings(settings)), theirs)
            self.child = Child(
                [sys.executable, "-P", "-m", _MODULE, str(settings_fd)],
                inherited=[settings_fd, lifeline_end, alive_end, self._words, page_fd, self._stacks],
                alive_pipe=alive,
                output=output_end,
                environment=environment_for_workers(os.environ),
            )
            facts_of_output = {"worker": self.id, "pid": self.child.pid}
            self.output = WorkerOutput(output, lambda: self.page.begun, self._owner_of, facts_of_output)
            self._descriptors = ours.pop_all()

    # -- looking at it -----------------------------------------------------------------------------

    def _owner_of(self, number: int) -> Owner | None:
        """Whose a job is. Called on the output's thread."""
        job = self.held.get(number)
        if job is None or isinstance(job, Errand):
            return None
        if isinstance(job, FinalizeJob):
            return Owner(job.plan_id, job.parts[0].step_id, job.parts[0].attempt)
        return Owner(job.plan_id, job.step_id, job.attempt)

    def ask_for_stacks(self) -> None:
        """Have it write down where it is; what was written before is forgotten."""
        stacks.forget(self._stacks)
        self.child.signal(signal.SIGUSR1)

    def forget_stacks(self) -> None:
        """What it writes down from now on is about the job that runs."""
        stacks.forget(self._stacks)

    def stacks(self) -> str:
        """What it wrote down last, by itself (a crash) or because it was asked."""
        return stacks.read(self._stacks)

    def look_at_memory(self) -> None:
        """Note the most it has had so far; to be called before it is killed, since afterwards nothing tells."""
        self.peak_seen = max(self.peak_seen, self.page.use.peak, peak_bytes(self.child.pid) or 0)

    # -- the end -----------------------------------------------------------------------------------

    def close(self) -> None:
        """Take the last it left, and give every descriptor back."""
        self.remains = self.page.read(self.returns_heard)
        self.dump = self.stacks()
        self.hear_startup()
        self._descriptors.close()

    def hear_startup(self) -> Said:
        """What it has said so far about its start."""
        self.said = understood(os.pread(self._words, _WORDS_BYTES, 0))
        return self.said

    @property
    def last_line(self) -> str:
        """The line worth showing of what it left: the interpreter's own last word, else the last line it printed.

        An interpreter that cannot even start says that word where it prints, before there is a file for stacks.
        """
        printed = self.output.tail.strip()
        fatal = stacks.fatal_words(self.dump) or stacks.fatal_words(printed)
        return fatal or (printed.splitlines() or [""])[-1]


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
    return settings._asdict() | {
        "sys_path": path,
        "python_path": os.environ.get("PYTHONPATH"),
        "failpoints": armed_at(),
    }


def _unnamed_file(directory: Path, content: dict[str, Any] | None = None) -> int:
    """A file without a name: of any size, never blocking, gone with its readers."""
    with tempfile.TemporaryFile(dir=directory) as file:
        if content is not None:
            file.write(json.dumps(content).encode())
            file.seek(0)
        return os.dup(file.fileno())
