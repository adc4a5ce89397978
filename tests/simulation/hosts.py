"""Executors and clients: real worlds in simulated processes, begun, ended and begun again."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dynflow_mp.clock import Clock
from dynflow_mp.config import Config
from dynflow_mp.errors import DynflowError
from dynflow_mp.world.world import World
from tests.simulation.database import SharedFile
from tests.simulation.kernel import Kernel, Machine, Process
from tests.simulation.network import SimulatedConnector

TTL_S = 3.0
RENEWAL_S = 1.4
RECONCILE_S = 1.5
REASK_S = 2.0
NO_EXECUTOR_S = 2.0
NEVER_S = 1_000_000.0


class QuietClock(Clock):
    """A world's clock that nobody asks for anything."""

    def start(self) -> None:
        """No thread."""

    def stop(self) -> None:
        """None to stop."""


class NoFrozenWriters:
    """Transactions are whole here: nobody stands still inside one."""

    def __init__(self, files: object) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...


def no_directory() -> Path:
    """Where sockets would be."""
    return Path(tempfile.gettempdir())


class Host:
    """A place for a world: an executor or a client. ``world`` is the one that is there now, if it has come up."""

    def __init__(self, kernel: Kernel, machine: Machine, name: str, workers: int) -> None:
        self.kernel, self.machine, self.name, self.workers = kernel, machine, name, workers
        self.process: Process | None = None
        self.world: World | None = None
        self.lives = 0
        self.ran: list[tuple[Process, str | None]] = []
        """Every process there was, and its world's id."""
        self.when_up: list[Callable[[World], object]] = []

    @property
    def up(self) -> bool:
        return self.process is not None and self.process.alive and self.world is not None

    def begin(self) -> None:
        """Start a process with a new world."""
        self.lives += 1
        self.world = None
        process = self.process = Process(self.kernel, self.machine, f"{self.name}.{self.lives}")
        process.spawn(lambda: self._boot(process), "main")

    def _boot(self, process: Process) -> None:
        while process.alive:
            try:
                world = World(Config(**_settings(self.workers)))
            except DynflowError as error:
                # As a service manager does: it is started again.
                self.kernel.say(process.name, f"does not come up: {error!r}")
                self.kernel.wait(0.5)
                continue
            break
        self.world = world
        self.ran.append((process, world.id))
        self.kernel.say(process.name, f"is up: world {world.id[:6]}")
        for tell in self.when_up:
            tell(world)
        world.terminated.wait()
        self.kernel.say(process.name, "has ended")
        self._exit(process)

    def _exit(self, process: Process) -> None:
        # A supervisor's process ends with its world.
        self.kernel.later(0.0, lambda: process.kill("exit"))


def _settings(workers: int) -> dict[str, Any]:
    return {
        "database_url": SharedFile.of_this_process().url,
        "workers": workers,
        "apps": ("tests.simulation.actions",),
        "auto_terminate": False,
        "eligible": True if workers else None,
        "connector": "zeromq",
        "meta": {},
        "lease_ttl_s": TTL_S,
        "lease_renewal_s": RENEWAL_S,
        "reconcile_interval_s": RECONCILE_S,
        "reask_interval_s": REASK_S,
        "no_executor_timeout_s": NO_EXECUTOR_S,
        "delayed_poll_s": NEVER_S,
        "drain_grace_s": 2.0,
    }


def connector_of(config: Config, coordinator: Any, database: Any) -> SimulatedConnector:
    """In place of the engine's choice."""
    return SimulatedConnector(coordinator)
