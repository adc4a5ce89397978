"""Whole worlds under random kills, from a seed, and the count of what was lost, doubled or stuck in the end.

customers ══ plans of every kind ══ supervisors, two or three ══ workers
    ▲ kill -9                         ▲ kill -9, stop, drain       ▲ kill -9, stop
    └───────────────── the campaign's own loop ────────────────────┘ ─▶ quiescence ─▶ history checker
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from chaos import evidence
from chaos.effects import Effect
from chaos.history import History, doubled, violations
from chaos.processes import QUICK, Program, Supervisor, environment, of_campaign, wait_until, zombies_below
from chaos.quiescence import Quiescence
from dynflow_mp import World

READY_S = 120.0
"""How long processes may take to start on a machine that is busy with everything else."""
LONGEST_STANDSTILL_S = 1.5
STARTING = 0.05
"""How many of the workers that are killed may have begun nothing yet."""
_LONGEST_BASE = 60


class Goals(NamedTuple):
    """What a campaign is to do before it looks at what came of it; ``minutes``: no longer than that."""

    workers: int = 80
    supervisors: int = 10
    clients: int = 3
    stops: int = 10
    drains: int = 2
    minutes: float = 1.0


class Report(NamedTuple):
    """What a campaign came to."""

    seed: int
    database: str
    done: dict[str, int]
    plans: int
    acknowledged: int
    steps: int
    calls: int
    lost: int
    doubled: int
    stuck: int
    violations: list[str]
    seconds: float

    @property
    def well(self) -> bool:
        return not (self.lost or self.doubled or self.stuck or self.violations)

    def __str__(self) -> str:
        done = ", ".join(f"{number} {what}" for what, number in self.done.items())
        lines = [
            f"seed {self.seed} on {self.database}, {self.seconds:.0f} s: {done}",
            f"plans {self.plans} (acknowledged {self.acknowledged}), steps {self.steps}, calls {self.calls}; "
            f"lost {self.lost}, doubled {self.doubled}, stuck {self.stuck}",
        ]
        return "\n".join([*lines, *(f"  {found}" for found in self.violations[:40])])


class Campaign:
    """One campaign on one database. ``directory`` keeps its effects, its log, and SQLite's file."""

    def __init__(
        self,
        url: str,
        directory: Path,
        seed: int,
        goals: Goals,
        *,
        supervisors: int = 2,
        workers: int = 2,
        customers: int = 2,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.url, self.seed, self.goals, self.say = url, seed, goals, say
        self.chance = random.Random(seed)
        self.done: Counter[str] = Counter(
            {"worker kills": 0, "supervisor kills": 0, "client kills": 0, "standstills": 0, "drains": 0}
        )
        self.how_many = {"supervisors": supervisors, "workers": workers, "customers": customers}
        self.effects = directory / "effects"
        self.effects.mkdir(parents=True)
        self.log = open(directory / "errors", "ab")  # noqa: SIM115 - closed at the end
        self.sockets = Path(tempfile.mkdtemp(prefix="dyn-", dir="/tmp"))
        self.environment = environment(self.effects, QUICK, TMPDIR=str(self.sockets))
        self.supervisors: list[Supervisor] = []
        self.customers: list[Program] = []
        self.standing: dict[int, float] = {}
        """Processes that were stopped, and when they go on."""
        self.exits: list[str] = []
        self._read_up_to, self._seen = 0, set[int]()

    def run(self) -> Report:
        """Go through with it, whatever happens leaving no process behind."""
        began = time.monotonic()
        try:
            self._start_missing()
            wait_until(lambda: any(one.is_ready() for one in self.supervisors), "a supervisor", READY_S)
            self._kill_for_a_while(began + self.goals.minutes * 60)
            stuck = self._come_to_rest()
            return self._report(stuck, self._end(), time.monotonic() - began)
        finally:
            self._clear_away()

    # -- who is there ------------------------------------------------------------------------------

    def _start_missing(self) -> None:
        self.supervisors = [one for one in self.supervisors if self._is_there(one)]
        while len(self.supervisors) < self.how_many["supervisors"]:
            new = Supervisor(self.url, self.how_many["workers"], self.environment, self.log)
            self.supervisors.append(new)
        self.customers = [one for one in self.customers if self._is_there(one)]
        while len(self.customers) < self.how_many["customers"]:
            arguments = ["chaos.customer", self.url, "12", str(self.chance.randrange(10**9))]
            self.customers.append(Program(arguments, self.environment, self.log))

    def _is_there(self, program: Program) -> bool:
        if program.alive:
            return True
        status = program.process.wait()
        if status not in (0, -signal.SIGKILL):
            self.exits.append(f"{type(program).__name__} {program.pid} ended with status {status}")
        program.end()
        return False

    # -- what is done to them ----------------------------------------------------------------------

    def _kill_for_a_while(self, until: float) -> None:
        next_word = 0.0
        while time.monotonic() < until and (deeds := self._left_to_do()):
            self._start_missing()
            self._let_go_on()
            kinds, weights = zip(*deeds, strict=True)
            (deed,) = self.chance.choices(kinds, weights)
            deed()
            if time.monotonic() > next_word:
                next_word = time.monotonic() + 5
                self.say(", ".join(f"{number} {what}" for what, number in self.done.items()))
            time.sleep(self.chance.uniform(0.0, 0.05))  # the campaign's own pace
        for pid in list(self.standing):
            self._continue(pid)

    def _left_to_do(self) -> list[tuple[Callable[[], None], int]]:
        """What is not done as often as it is to be, each with what is left of it."""
        goals, done = self.goals, self.done
        left = [
            (self._kill_a_worker, goals.workers - done["worker kills"]),
            (self._kill_a_supervisor, goals.supervisors - done["supervisor kills"]),
            (self._kill_a_customer, goals.clients - done["client kills"]),
            (self._stop_somebody, goals.stops - done["standstills"]),
            (self._drain_a_supervisor, goals.drains - done["drains"]),
        ]
        return [(deed, number) for deed, number in left if number > 0]

    def _kill_a_worker(self) -> None:
        workers = [worker for one in self.supervisors if one.is_ready() for worker in one.workers()]
        if self.chance.random() > STARTING:
            # One that dies while it starts makes its supervisor wait before the next: as it should be, but rare.
            at_work = self._at_work()
            workers = [worker for worker in workers if worker.pid in at_work]
        if not workers:
            return
        with suppress(psutil.NoSuchProcess):
            self.chance.choice(workers).kill()
            self.done["worker kills"] += 1

    def _at_work(self) -> set[int]:
        """Processes that have begun steps."""
        try:
            with open(self.effects / "effects", "rb") as file:
                file.seek(self._read_up_to)
                new = file.read()
        except FileNotFoundError:
            return set()
        whole = new[: new.rfind(b"\n") + 1]
        self._read_up_to += len(whole)
        self._seen.update(Effect(*json.loads(line)).pid for line in whole.splitlines())
        return self._seen

    def _one_that_serves(self, leaving: int = 0) -> Supervisor | None:
        """A supervisor that is ready, if so many others are."""
        ready = [one for one in self.supervisors if one.is_ready()]
        return self.chance.choice(ready) if len(ready) > leaving else None

    def _kill_a_supervisor(self) -> None:
        victim = self._one_that_serves()
        if victim is not None:
            victim.signal(signal.SIGKILL)
            victim.process.wait(30)
            self.standing.pop(victim.pid, None)
            self.done["supervisor kills"] += 1

    def _drain_a_supervisor(self) -> None:
        victim = self._one_that_serves(leaving=1)
        if victim is not None and victim.pid not in self.standing:
            victim.signal(signal.SIGTERM)
            victim.process.wait(60)
            self.done["drains"] += 1

    def _kill_a_customer(self) -> None:
        victim = self.chance.choice(self.customers)
        victim.signal(signal.SIGKILL)
        victim.process.wait(30)
        self.done["client kills"] += 1

    def _stop_somebody(self) -> None:
        supervisor = self._one_that_serves()
        if supervisor is None:
            return
        workers = supervisor.workers()
        pid = self.chance.choice([supervisor.pid, *(worker.pid for worker in workers)])
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            self.standing[pid] = time.monotonic() + self.chance.uniform(0.05, LONGEST_STANDSTILL_S)
            self.done["standstills"] += 1

    def _let_go_on(self) -> None:
        for pid, at in list(self.standing.items()):
            if at <= time.monotonic():
                self._continue(pid)

    def _continue(self, pid: int) -> None:
        del self.standing[pid]
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    # -- the end -----------------------------------------------------------------------------------

    def _come_to_rest(self) -> list[str]:
        """Nobody is killed any more: every plan must come to its end. Those that do not."""
        self._start_missing()
        for customer in self.customers:
            customer.say("stop")
        self.say("coming to rest")
        with World(database_url=self.url, no_executor_timeout_s=60) as world:
            return Quiescence(world).reach()

    def _end(self) -> tuple[History, int, int]:
        """End everything politely, and gather what there is to know."""
        for customer in self.customers:
            customer.process.wait(READY_S)
        for supervisor in self.supervisors:
            wait_until(lambda one=supervisor: not zombies_below(one.pid), "the end of zombies", 15)  # type: ignore[misc]
        for supervisor in self.supervisors:
            supervisor.signal(signal.SIGTERM)
        for supervisor in self.supervisors:
            status = supervisor.process.wait(READY_S)
            if status:
                self.exits.append(f"supervisor {supervisor.pid} ended with status {status}")
        left = self._processes_left()
        left += [str(path) for path in self.sockets.glob("*/workers")]
        with World(database_url=self.url) as world:
            history = evidence.gathered(world, self.effects, self._acknowledged(), [*left, *self.exits])
            plans = evidence.all_plans(world)
            steps = sum(len(plan.steps) for plan in plans)
            unhooked = {plan.id for plan in plans if plan.label == "Hooked"} - self._lines("told")
        if unhooked:
            told = [f"no hook was called for plan {plan}" for plan in sorted(unhooked)]
            history = history._replace(rows_left=(*history.rows_left, *told))
        return history, steps, len(unhooked)

    def _processes_left(self) -> list[str]:
        """Those that outlive their supervisors by more than a moment; this very process is none of them."""
        deadline = time.monotonic() + 10
        while (left := of_campaign(self.effects)) and time.monotonic() < deadline:
            time.sleep(0.05)
        found = []
        for process in left:
            with suppress(psutil.Error):
                found.append(f"process {process.pid}: {' '.join(process.cmdline())[:120]}")
        return found

    def _lines(self, name: str) -> frozenset[str]:
        try:
            return frozenset((self.effects / name).read_text().split())
        except FileNotFoundError:
            return frozenset()

    def _acknowledged(self) -> frozenset[str]:
        return self._lines("acknowledged")

    def _report(self, stuck: list[str], found: tuple[History, int, int], seconds: float) -> Report:
        history, steps, _ = found
        wrong = violations(history)
        lost = sum(violation.rule == "C1" for violation in wrong)
        still = {violation.what for violation in wrong if violation.rule == "C2"} | set(stuck)
        return Report(
            self.seed,
            self.url.partition(":")[0].partition("+")[0],
            dict(self.done),
            len(history.plans),
            len(history.acknowledged),
            steps,
            sum(effect.event == "start" for effect in history.effects),
            lost,
            doubled(history),
            len(still),
            [*map(str, wrong), *stuck],
            seconds,
        )

    def _clear_away(self) -> None:
        for pid in list(self.standing):
            self._continue(pid)
        for program in (*self.supervisors, *self.customers):
            program.end()
        for process in of_campaign(self.effects):
            with suppress(psutil.Error):
                process.kill()
        self.log.close()
        shutil.rmtree(self.sockets, ignore_errors=True)
