"""The engine, made ready to live in virtual time."""

from __future__ import annotations

import logging
from typing import Any

import dynflow_mp.connectors.delivery
import dynflow_mp.executor.core
import dynflow_mp.executor.notes
import dynflow_mp.executor.setup
import dynflow_mp.maintenance.processes_alive as processes_alive
import dynflow_mp.world.parts
import dynflow_mp.world.world  # noqa: F401
from dynflow_mp.maintenance.event_post import EventPost
from dynflow_mp.maintenance.hook_caller import HookCaller
from dynflow_mp.maintenance.processes_alive import Seen
from tests.simulation import hosts, seams
from tests.simulation.database import SharedFile, SimulatedDatabase, SimulatedStore
from tests.simulation.threads import here
from tests.simulation.workers import SimulatedBell, SimulatedPoller, SimulatedProcesses

_PARTS = "dynflow_mp.world.parts"
_CORE = "dynflow_mp.executor.core"
_ready = False


def prepare() -> None:
    """Once in a process, before the first simulation. Twice is fine."""
    global _ready
    if _ready:
        return
    _ready = True
    import zmq

    import tests.simulation.actions  # noqa: F401 - registers what plans consist of

    SharedFile.of_this_process()  # made by the real thing, in real time
    seams.install()
    patches = seams.Patches()
    for name, value in {
        "Database": SimulatedDatabase,
        "Store": SimulatedStore,
        "FrozenWriters": hosts.NoFrozenWriters,
        "prepare": lambda database: None,
        "_connector": hosts.connector_of,
        "Clock": hosts.QuietClock,
        "make_room_for": lambda workers: None,
        "HookCaller": _seldom(HookCaller),
        "EventPost": _seldom(EventPost),
    }.items():
        patches.set(_PARTS, name, value)
    patches.set(_CORE, "Processes", SimulatedProcesses)
    patches.set(_CORE, "zmq", seams.Facade(zmq, Poller=SimulatedPoller))
    patches.set("dynflow_mp.executor.notes", "Bell", SimulatedBell)
    patches.set("dynflow_mp.executor.setup", "_private_directory", hosts.no_directory)
    patches.set(processes_alive, "look_at", _look_at)
    patches.set(processes_alive, "_boot_id", lambda: here().process.machine.boot_id)
    patches.set(processes_alive, "_pid_namespace", lambda: "simulated")
    logging.getLogger("dynflow_mp").setLevel(logging.CRITICAL + 1)


def _seldom(kind: Any) -> Any:
    """Threads that these plans have nothing for but what they are woken for."""
    return lambda *parts: kind(*parts[:-1], hosts.NEVER_S)


def _look_at(pid: int) -> Seen | None:
    process: Any = here().process.machine.processes.get(pid)
    return None if process is None else Seen(process.began, not process.alive, process.frozen)
