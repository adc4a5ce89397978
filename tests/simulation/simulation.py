"""One seed, from its scenario to what is wrong with it."""

from __future__ import annotations

import gc
import random
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.planning import ids
from tests.simulation import actions, database, engine, threads
from tests.simulation.clients import Client, Story
from tests.simulation.database import Journal, SharedFile, SimulatedDatabase
from tests.simulation.effects import Effects
from tests.simulation.faults import Faults
from tests.simulation.hosts import TTL_S, Host
from tests.simulation.invariants import Evidence, violations
from tests.simulation.kernel import Kernel, Machine, Process
from tests.simulation.network import Network, SimulatedConnector
from tests.simulation.scenario import FAULTS_UNTIL_S, LIMIT_S, Scenario, scenario_of
from tests.simulation.seams import Patch, Patches
from tests.simulation.threads import here
from tests.simulation.workers import SimulatedProcesses

_LOOK_S = 0.5
_LOCKS_S = 0.25


@dataclass
class Result:
    """What came of a seed."""

    seed: int
    violations: list[str]
    virtual_s: float
    switches: int = 0
    commits: int = 0
    plans: int = 0
    starts: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    clean: bool = True
    """Of a seed that caught a mutant: whether nothing is wrong without it."""


class Simulation:
    """All there is in one seed."""

    def __init__(self, scenario: Scenario, trace: Callable[[str], None] | None = None) -> None:
        self.scenario = scenario
        self.kernel = kernel = Kernel(scenario.seed, trace)
        self.network = Network(kernel)
        self.network.lost, self.network.doubled = scenario.lost, scenario.doubled
        self.network.late_s = scenario.late_s
        self.journal, self.effects, self.story = Journal(), Effects(kernel), Story()
        self.machines = [
            Machine(f"machine{number}", kernel, rate, 1000.0 * (number + 1))
            for number, rate in enumerate(scenario.rates)
        ]
        self.executors = [
            Host(kernel, self.machines[machine], f"executor{number}", workers)
            for number, (machine, workers) in enumerate(scenario.executors)
        ]
        self.clients = [
            Client(number, Host(kernel, self.machines[machine], f"client{number}", 0), self.story, 0.6)
            for number, machine in enumerate(scenario.clients)
        ]
        self.faults = Faults(self)
        self.renewed: dict[str, float] = {}
        """When each world last began to renew its lease, and did."""
        self.unlocked: list[str] = []
        """Plans that were running without a lock, and when."""
        self.done = False
        self._at_rest = 0

    @property
    def hosts(self) -> list[Host]:
        """Executors, then clients."""
        return [*self.executors, *(client.host for client in self.clients)]

    def run(self) -> None:
        kernel = self.kernel
        for number, host in enumerate(self.hosts):
            kernel.at(0.01 * number, host.begin)
        for plan in self.scenario.plans:
            kernel.at(plan.at, lambda plan=plan: self.clients[plan.client].trigger(plan))
        self.faults.plan()
        kernel.at(FAULTS_UNTIL_S, self.faults.end)
        kernel.at(FAULTS_UNTIL_S + _LOOK_S if self.scenario.faults else _LOOK_S, self._look)
        kernel.later(_LOCKS_S, self._look_at_locks)
        kernel.run(LIMIT_S, lambda: self.done)

    def processes(self) -> Iterator[tuple[Process, str | None]]:
        """Every process of a world there was, and the world's id."""
        for host in self.hosts:
            yield from host.ran

    def _look(self) -> None:
        """Whether everything has come to its end; several times in a row, since answers may be on their way."""
        for host in self.hosts:  # who was declared dead in the last moment has ended only now
            if host.process is not None and not host.process.alive:
                host.begin()
        self.clients[0].adopt()
        self._at_rest = self._at_rest + 1 if self._nothing_is_left() else 0
        if self._at_rest >= 3:
            self.done = True
        else:
            self.kernel.later(_LOOK_S, self._look)

    def _look_at_locks(self) -> None:
        for (plan_id,) in database.rows(
            "SELECT id FROM dynflow_execution_plans WHERE owner_id IS NOT NULL AND NOT EXISTS"
            " (SELECT 1 FROM dynflow_coordinator_records r WHERE r.class = 'ExecutionLock'"
            " AND r.id = 'execution-plan:' || dynflow_execution_plans.id)"
        ):
            self.unlocked.append(f"plan {plan_id} has an owner and no lock at {self.kernel.now:.2f}")
        self.kernel.later(_LOCKS_S, self._look_at_locks)

    def _nothing_is_left(self) -> bool:
        if not all(host.up for host in self.hosts):
            return False
        if any(not asked.future.done() and asked.process.alive for asked in self.story.asked):
            return False
        if self.kernel.now < max((plan.at for plan in self.scenario.plans), default=0.0) + 1.0:
            return False
        return not database.rows(
            "SELECT 1 FROM dynflow_execution_plans WHERE state != 'stopped'"
            " AND NOT (state = 'paused' AND requested_at IS NULL AND result = 'error')"
            " UNION ALL SELECT 1 FROM dynflow_coordinator_records WHERE owner_id IS NOT NULL"
            " AND class NOT IN ('DelayedExecutorLock') LIMIT 1"
        )


class SimulatedCoordinator(Coordinator):
    """The engine's coordinator; leases and deaths are noted when they are committed."""

    simulation: Simulation
    """That goes on."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        here().process.world_id = self.world_id  # type: ignore[attr-defined]

    def renew_lease(self, meta: Any = None) -> None:
        began = self.simulation.kernel.now
        super().renew_lease(meta)
        self.simulation.renewed[self.world_id] = began

    def set_world_state(self, world_id: str, state: str, *within: Any, lease: int | None = None) -> bool:
        simulation = self.simulation
        moved = super().set_world_state(world_id, state, *within, lease=lease)
        if moved and state == "dead":
            simulation.kernel.say(here().process.name, f"declares world {world_id[:6]} dead")
            self._justify(world_id)
        return moved

    def _justify(self, world_id: str) -> None:
        simulation = self.simulation
        silent_s = simulation.kernel.now - simulation.renewed.get(world_id, float("-inf"))
        process = next((process for process, own in simulation.processes() if own == world_id), None)
        if process is not None and process.alive and silent_s < 0.95 * TTL_S:
            simulation.journal.unjustified.append(
                f"{here().process.name} declared {process.name} dead, {silent_s:.2f} s after its lease was renewed"
            )


def simulate(
    seed: int,
    *,
    mutant: Patch | None = None,
    trace: Callable[[str], None] | None = None,
    profile: str | None = None,
) -> Result:
    """Run a seed and say what is wrong. ``mutant`` takes something out of the engine first; ``profile`` as in scenarios."""
    engine.prepare()
    scenario = scenario_of(seed, profile)
    patches = Patches()
    if mutant is not None:
        mutant(patches)
    gc.disable()
    SharedFile.of_this_process().empty()
    actions.Seen.forget()
    random.seed(seed)
    patches.set(ids, "_last", 0)
    simulation = Simulation(scenario, trace)
    _put_in_place(simulation, patches)
    threads.use(simulation.kernel)
    crash: list[str] = []
    try:
        simulation.run()
        found = violations(_evidence(simulation))
    except Exception:
        crash = [f"the simulation itself failed: {traceback.format_exc()}"]
        found = []
    finally:
        result = _result(simulation)
        try:
            simulation.kernel.close()
        finally:
            threads.use(None)
            patches.undo()
            gc.enable()
            gc.collect(0)
    result.violations = [*crash, *found]
    return result


def _put_in_place(simulation: Simulation, patches: Patches) -> None:
    patches.set("dynflow_mp.world.parts", "Coordinator", SimulatedCoordinator)
    SimulatedDatabase.journal = simulation.journal
    SimulatedDatabase.faults = simulation.faults.weather
    SimulatedConnector.network = simulation.network
    SimulatedProcesses.effects = simulation.effects
    SimulatedCoordinator.simulation = simulation


def _evidence(simulation: Simulation) -> Evidence:
    return Evidence(
        simulation.scenario,
        simulation.kernel.now,
        simulation.effects.all,
        simulation.journal,
        simulation.story,
        simulation.hosts,
        simulation.kernel.thread_failures,
        simulation.unlocked,
        simulation.network.lost_events,
    )


def _result(simulation: Simulation) -> Result:
    faults = Counter(simulation.faults.counts)
    faults.update(simulation.journal.faults)
    faults.update(
        {f"envelope {kind}": number for kind, number in simulation.network.counts.items() if kind != "sent"}
    )
    return Result(
        simulation.scenario.seed,
        [],
        simulation.kernel.now,
        simulation.kernel.switches,
        simulation.journal.commits,
        len(simulation.story.acknowledged),
        len(simulation.effects.all),
        faults,
    )
