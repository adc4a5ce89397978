"""What goes wrong, done when its time has come."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.simulation.database import Weather
from tests.simulation.hosts import Host
from tests.simulation.kernel import Process
from tests.simulation.scenario import Fault

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

_COMES_BACK = 0.75
"""How likely who was killed is started again before the faults are over."""


class Faults:
    """Of one simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation, self._kernel = simulation, simulation.kernel
        self.counts: Counter[str] = Counter()
        self.weather: dict[int, Weather] = _WeatherOfAll(
            simulation.scenario.refused, simulation.scenario.unknown
        )
        self._stopped: list[Process] = []
        self._ways = {
            "kill executor": self._kill_executor,
            "kill client": self._kill_client,
            "kill worker": self._kill_worker,
            "stop executor": self._stop_executor,
            "stop worker": self._stop_worker,
            "end executor": self._end_executor,
            "set clock": self._set_clock,
            "database away": self._database_away,
            "database slow": self._database_slow,
            "network cut": self._cut,
        }

    def plan(self) -> None:
        """They happen when they are to."""
        for fault in self._simulation.scenario.faults:
            self._kernel.at(fault.at, lambda fault=fault: self._happen(fault))

    def _happen(self, fault: Fault) -> None:
        if self._ways[fault.kind](fault):
            self.counts[fault.kind] += 1

    def end(self) -> None:
        """From now on nothing goes wrong, and everybody is there."""
        simulation, kernel = self._simulation, self._kernel
        kernel.say("-", "no more faults")
        for process in self._stopped:
            process.thaw()
        network = simulation.network
        network.lost = network.doubled = 0.0
        network.late_s = 0.005
        network._cut.clear()
        for weather in self.weather.values():
            weather.away_until = weather.stalled_until = 0.0
            weather.refused = weather.unknown = 0.0
        self.weather.calm = True  # type: ignore[attr-defined]
        for host in [*simulation.executors, *(client.host for client in simulation.clients)]:
            if host.process is None or not host.process.alive:
                host.begin()

    # -- processes -------------------------------------------------------------------------------------

    def _kill_executor(self, fault: Fault) -> bool:
        return self._kill_host(self._one_of(self._simulation.executors, fault), fault)

    def _kill_client(self, fault: Fault) -> bool:
        return self._kill_host(
            self._one_of([client.host for client in self._simulation.clients], fault), fault
        )

    def _kill_host(self, host: Host, fault: Fault) -> bool:
        process = host.process
        if process is None or not process.alive:
            return False
        process.kill()
        if fault.chance < _COMES_BACK:
            self._kernel.later(fault.lasts_s / 4, lambda: self._back(host))
        return True

    def _back(self, host: Host) -> None:
        if host.process is None or not host.process.alive:
            host.begin()

    def _kill_worker(self, fault: Fault) -> bool:
        worker = self._worker(fault)
        if worker is not None:
            worker.kill()
        return worker is not None

    def _stop_executor(self, fault: Fault) -> bool:
        return self._stop(self._one_of(self._simulation.executors, fault).process, fault)

    def _stop_worker(self, fault: Fault) -> bool:
        return self._stop(self._worker(fault), fault)

    def _stop(self, process: Process | None, fault: Fault) -> bool:
        if process is None or not process.alive:
            return False
        process.freeze()
        self._stopped.append(process)
        self._kernel.later(fault.lasts_s, process.thaw)
        return True

    def _end_executor(self, fault: Fault) -> bool:
        """Somebody ends it in an orderly way, and starts it again."""
        host = self._one_of(self._simulation.executors, fault)
        world, process = host.world, host.process
        if not host.up or world is None or process is None:
            return False
        process.spawn(lambda: world.terminate(timeout=fault.lasts_s / 4), "signal")
        process.on_death.append(lambda: self._kernel.later(fault.lasts_s / 4, lambda: self._back(host)))
        return True

    def _worker(self, fault: Fault) -> Process | None:
        """A worker that is at something, if there is one."""
        workers = [
            worker
            for host in self._simulation.executors
            if host.process is not None and host.process.alive
            for worker in getattr(getattr(host.process, "workforce", None), "workers", {}).values()
            if worker.process.alive
        ]
        busy = [effect.process for effect in self._simulation.effects.all if effect.over == float("inf")]
        at_it = [worker.process for worker in workers if worker.process in busy]
        if at_it and fault.chance < 0.8:
            return at_it[fault.whom % len(at_it)]
        return workers[fault.whom % len(workers)].process if workers else None

    def _one_of(self, hosts: list[Host], fault: Fault) -> Host:
        return hosts[fault.whom % len(hosts)]

    # -- all else --------------------------------------------------------------------------------------

    def _set_clock(self, fault: Fault) -> bool:
        machines = self._simulation.machines
        most_s = min(self._simulation.scenario.most_set_s, (3600.0, 86400.0, 5.0)[fault.whom % 3])
        jump_s = (fault.chance * 2 - 1) * most_s
        machine = machines[fault.whom % len(machines)]
        machine.wall_offset_s += jump_s
        self._kernel.say(machine.name, f"has its clock set by {jump_s:.0f} s")
        return True

    def _database_away(self, fault: Fault) -> bool:
        weather = self._weather_of(fault)
        if weather is not None:
            weather.away_until = self._kernel.now + fault.lasts_s
        return weather is not None

    def _database_slow(self, fault: Fault) -> bool:
        weather = self._weather_of(fault)
        if weather is not None:
            weather.stalled_until = self._kernel.now + fault.lasts_s
        return weather is not None

    def _weather_of(self, fault: Fault) -> Weather | None:
        hosts = [*self._simulation.executors, *(client.host for client in self._simulation.clients)]
        host = hosts[fault.whom % len(hosts)]
        if host.process is None or not host.process.alive:
            return None
        self._kernel.say(host.process.name, f"{fault.kind} for {fault.lasts_s:.1f} s")
        return self.weather.get(host.process.pid)

    def _cut(self, fault: Fault) -> bool:
        machines = self._simulation.machines
        if len(machines) < 2:
            return False
        one = machines[fault.whom % len(machines)]
        other = machines[(fault.whom + 1) % len(machines)]
        network = self._simulation.network
        network.cut(one, other)
        self._kernel.say("-", f"{one.name} and {other.name} are cut apart for {fault.lasts_s:.1f} s")
        self._kernel.later(fault.lasts_s, lambda: network.heal(one, other))
        return True


class _WeatherOfAll(dict[int, Weather]):
    """Every process has some from its beginning."""

    def __init__(self, refused: float, unknown: float) -> None:
        super().__init__()
        self._refused, self._unknown = refused, unknown
        self.calm = False

    def setdefault(self, pid: int, default: Weather | None = None) -> Weather:  # type: ignore[override]
        if pid not in self:
            self[pid] = Weather() if self.calm else Weather(refused=self._refused, unknown=self._unknown)
        return self[pid]
