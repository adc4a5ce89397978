"""The way of a worker process from its settings to its work, and out again.

    settings ─▶ both lanes ─▶ the user's modules ─▶ hello ─▶ work ─▶ leave

The lanes come first, so that their threads can have descriptors of their own (``own_descriptors``)
before any of the user's code has opened one or started a thread.

What cannot start says why in one line (the traceback goes to standard error) and exits 3, or 4 when it
was a user's module.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from dynflow_mp import failpoints
from dynflow_mp.executor.own_descriptors import high
from dynflow_mp.executor.startup_words import StartupWords
from dynflow_mp.redaction import hide_also

if TYPE_CHECKING:
    import zmq

    from dynflow_mp.executor.control_lane import ControlLane
    from dynflow_mp.executor.own_descriptors import OwnDescriptors
    from dynflow_mp.executor.page import Page
    from dynflow_mp.executor.tally import Tally
    from dynflow_mp.executor.workbench import Workbench

BOOT_FAILED = 3
APP_FAILED = 4
LEAVE_PATIENCE_S = 2.0
"""What keeps a worker that leaves – threads, exit handlers – may do so for that long."""


def read_settings(fd: int) -> dict[str, Any]:
    """What the supervisor wrote for this worker."""
    with open(fd, "rb") as file:
        settings: dict[str, Any] = json.load(file)
        return settings


class Lanes(NamedTuple):
    """What a worker has before it knows any of the user's code."""

    context: zmq.Context[zmq.Socket[bytes]]
    control: ControlLane
    work: zmq.Socket[bytes]
    page: Page
    tally: Tally
    descriptors: OwnDescriptors


class Boot:
    """The way of one worker process from its first line to its last."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._words = StartupWords(settings["words"])
        self._stacks_fd = -1

    def run(self) -> None:
        """Start, work, leave."""
        try:
            self._settle()
            hide_also(self._settings["sensitive_keys"])
            lanes = self._open_lanes()
            self._import_apps()
            self._import_script()
            self._take_up_middleware()
            work = self._prepare(lanes)
        except SystemExit:
            raise
        except BaseException as error:
            self.fail(BOOT_FAILED, f"the worker could not start: {_text_of(error)}")
        work()

    def _settle(self) -> None:
        """Take over what the supervisor gave, and be a good neighbour to it."""
        if os.getppid() != self._settings["parent"]:
            os._exit(BOOT_FAILED)  # the supervisor died before it could be watched
        for descriptor in ("alive", "words", "lifeline", "page"):
            os.set_inheritable(self._settings[descriptor], False)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _volunteer_for_the_oom_killer()
        self._stacks_fd = high(self._settings["stacks"])
        faulthandler.enable(self._stacks_fd)
        faulthandler.register(signal.SIGUSR1, self._stacks_fd, all_threads=True)
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
        _restore_environment(self._settings["python_path"])
        failpoints.arm(self._settings["failpoints"])
        sys.path[:] = self._settings["sys_path"]

    def _import_apps(self) -> None:
        import importlib

        import dynflow_mp

        vars(dynflow_mp)["_in_worker"] = True  # a world in a worker would be a world in each of its steps
        for module in self._settings["apps"]:
            self._words.at(f"importing {module}")
            try:
                loaded = importlib.import_module(module)
            except BaseException as error:  # a module may also call sys.exit
                self.fail(APP_FAILED, f"cannot import {module}: {_text_of(error)}")
            if not has_actions(loaded):
                self._words.doubt(f"{module} has no actions; is it the module that is meant with --app?")

    def _import_script(self) -> None:
        """Load the program being run as an ordinary module, so that its actions are known here."""
        if self._settings["script"] is None:
            return
        name, path = self._settings["script"]
        self._words.at(f"loading {path}")
        try:
            load_script(name, path)
        except BaseException as error:
            self.fail(APP_FAILED, f"cannot load {path}: {_text_of(error)}")

    def _take_up_middleware(self) -> None:
        """What stands around all actions of the world stands around those of this worker."""
        places = self._settings["middleware"]
        if not places:
            return
        from dynflow_mp.actions.class_facts import use_middleware
        from dynflow_mp.actions.named_rules import rules_at

        self._words.at(f"looking up {', '.join(places)}")
        try:
            use_middleware(rules_at(places))
        except BaseException as error:  # it imports the modules that are named
            self.fail(APP_FAILED, f"cannot use the middleware: {_text_of(error)}")

    def _open_lanes(self) -> Lanes:
        """Connect both lanes, and put them out of the reach of what the user's code does to descriptors."""
        import zmq

        from dynflow_mp.executor.control_lane import ControlLane, lane
        from dynflow_mp.executor.own_descriptors import OwnDescriptors, separate
        from dynflow_mp.executor.page import Page
        from dynflow_mp.executor.tally import Tally

        settings = self._settings
        page = Page(settings["page"])
        tally = Tally(page)
        descriptors = OwnDescriptors()
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=1)
        control_lane = lane(context, bytes.fromhex(settings["control_route"]))
        work_lane = lane(context, bytes.fromhex(settings["work_route"]))
        control = ControlLane(control_lane, settings["lifeline"], tally, descriptors)
        descriptors.note(settings["lifeline"])
        control.start()
        separate()
        # Only now: the connections are opened by the library's own thread, and nobody else shall hold them.
        for socket in (control_lane, work_lane):
            socket.connect(settings["endpoint"])
        return Lanes(context, control, work_lane, page, tally, descriptors)

    def _prepare(self, lanes: Lanes) -> Any:
        """Say hello on both lanes; what is left is to work."""
        from dynflow_mp.executor import wire
        from dynflow_mp.executor.interruption import prepare
        from dynflow_mp.executor.surroundings import Surroundings
        from dynflow_mp.executor.workbench import Workbench

        if lanes.descriptors.closed():
            self.fail(APP_FAILED, "one of the modules closed descriptors that were not its own")
        token = bytes.fromhex(self._settings["token"])
        lanes.control.say_hello(wire.encode_hello(wire.Hello(token, wire.CONTROL_LANE, os.getpid())))
        prepare(lanes.tally)
        surroundings = Surroundings(self._stacks_fd)
        bench = Workbench(
            lanes.work,
            lanes.tally,
            lanes.page,
            self._settings["max_payload"],
            lanes.control.watch_batch,
            surroundings,
            lanes.descriptors,
            lanes.control.chunks.open,
        )
        gc.collect()
        gc.freeze()  # what is there now stays: not to be looked at again in every collection
        lanes.work.send(wire.encode_hello(wire.Hello(token, wire.WORK_LANE, os.getpid())))

        return partial(_work, bench, lanes)

    def fail(self, exit_code: int, reason: str) -> NoReturn:
        """Say why, and leave."""
        traceback.print_exc()
        try:
            self._words.reason(reason)
        finally:
            sys.stderr.flush()
            os._exit(exit_code)


def has_actions(module: ModuleType) -> bool:
    """Whether a module, or one in its package, defines actions, or shows some from elsewhere."""
    from dynflow_mp.actions.action import Action
    from dynflow_mp.actions.registry import registry

    name = module.__name__
    if any(known == name or known.startswith(f"{name}.") for known in registry.modules()):
        return True
    classes = [value for value in vars(module).values() if isinstance(value, type)]
    return any(issubclass(kind, Action) and registry.has(kind) for kind in classes)


def load_script(name: str, path: str) -> None:
    """Load the file ``path`` as the module ``name``, unless a user's module imported it already."""
    import importlib
    from importlib.util import module_from_spec, spec_from_file_location

    if "." in name:
        importlib.import_module(name)
        return
    known = getattr(sys.modules.get(name), "__file__", None)
    if known is not None and os.path.realpath(known) == os.path.realpath(path):
        return
    if name in sys.modules:
        raise ImportError(f"a module called {name} is there already; the program needs another name")
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


def _work(bench: Workbench, lanes: Lanes) -> None:
    """Work until there is no more to do, or until this process is no longer fit for it."""
    from dynflow_mp.executor.endings import LEFT_TO_BE_REPLACED

    unfit = bench.serve()
    leave_soon(0 if unfit is None else LEFT_TO_BE_REPLACED)
    if unfit is not None:
        lanes.page.say_why(unfit)
    lanes.control.let_go()  # or it would take the closing for a step's, end, and keep the context open
    lanes.work.close()
    lanes.context.term()  # waits, within the lanes' linger, until the last outcomes are out
    if unfit is not None:
        sys.exit(LEFT_TO_BE_REPLACED)


def leave_soon(exit_code: int) -> None:
    """End this process within a moment, whatever threads and exit handlers the user's code left."""
    timer = threading.Timer(LEAVE_PATIENCE_S, os._exit, (exit_code,))
    timer.daemon = True
    timer.start()


def _volunteer_for_the_oom_killer() -> None:
    """When memory runs out, rather a worker than its supervisor (Linux)."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("500")
    except OSError:
        return  # not Linux, or not allowed: a wish only


def _restore_environment(python_path: str | None) -> None:
    """``PYTHONPATH`` was set so that this module could be found; the user's code sees the user's own."""
    if python_path is None:
        os.environ.pop("PYTHONPATH", None)
    else:
        os.environ["PYTHONPATH"] = python_path


def _text_of(error: BaseException) -> str:
    first_line = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
