"""One fault at one moment of a plan's way: the table of what is to come of it, and the place where it is tried.

Codes: ``=`` nothing shows · ``P`` picked up by the reconcilers, nothing else shows · ``R`` tried again inside, nothing shows ·
``X`` the caller has an exception, there is no plan · ``E`` one step is an error, the plan pauses and can be resumed.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from concurrent.futures import wait
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import psutil

from chaos import evidence
from chaos.actions import Pair
from chaos.history import violations
from chaos.processes import QUICK, Program, Supervisor, environment, wait_until
from dynflow_mp import World
from dynflow_mp.errors import PlanNotFound
from dynflow_mp.failpoints import MOMENTS, prepare

FAULT_S = 0.3
"""How long what stands still or hangs does so: longer than anybody here waits before looking around."""

CLIENT, SUPERVISOR, WORKER = "client", "supervisor", "worker"


class Expected(NamedTuple):
    """What is to come of a fault. ``step``: which of the plan's steps is the error, in the order in which they run."""

    code: str
    step: int = 0


NOTHING, PICKED_UP, REPEATED, REFUSED = Expected("="), Expected("P"), Expected("R"), Expected("X")
FIRST, SECOND, FINALIZE = Expected("E", 1), Expected("E", 2), Expected("E", 3)


def _row(kill9: Expected, raised: Expected) -> dict[str, Expected]:
    """Whatever stands still or hangs for a moment and then goes on is only late."""
    return {"kill9": kill9, "stop": NOTHING, "raise": raised, "hang": NOTHING}


TABLE: Mapping[str, tuple[str, dict[str, Expected]]] = {
    "plan_planned": (CLIENT, _row(REFUSED, REFUSED)),
    "plan_stored": (CLIENT, _row(PICKED_UP, PICKED_UP)),
    "request_sent": (CLIENT, _row(PICKED_UP, NOTHING)),
    "plan_claimed": (SUPERVISOR, _row(PICKED_UP, REPEATED)),
    # The running mark is durable, and nobody can prove that the step did not begin.
    "running_stored": (SUPERVISOR, _row(FIRST, FIRST)),
    # The worker's page says that nothing began: the jobs go to another one, uncounted.
    "jobs_received": (WORKER, _row(NOTHING, NOTHING)),
    "in_run": (WORKER, _row(FIRST, FIRST)),
    "outcomes_encoded": (WORKER, _row(FIRST, FIRST)),
    "outcomes_heard": (SUPERVISOR, _row(FIRST, FIRST)),
    # An outcome and the next step's running mark are one transaction: from here on it is the second step
    # of which nobody can prove that it did not begin.
    "commit_unheard": (SUPERVISOR, _row(SECOND, REPEATED)),
    "outcomes_stored": (SUPERVISOR, _row(SECOND, SECOND)),
    "turn_over": (SUPERVISOR, _row(SECOND, SECOND)),
    "in_finalize": (WORKER, _row(FINALIZE, FINALIZE)),
    # The last outcome, the plan's end and the lock's are one transaction, too: none of it is there.
    "before_release": (SUPERVISOR, _row(FINALIZE, REPEATED)),
    "before_terminal_commit": (SUPERVISOR, _row(FINALIZE, REPEATED)),
}

ERRORS = {
    (SUPERVISOR, "kill9"): "AbnormalTermination",
    (SUPERVISOR, "raise"): "AbnormalTermination",
    (WORKER, "kill9"): "WorkerLost",
}
"""What the error is called of a step that was lost with a process."""
USERS_OWN = ("in_run", "in_finalize")
"""Where what is raised is the step's own error; elsewhere in a worker it ends the worker."""


def lost_with(place: str, action: str) -> str | None:
    """What the error is called of a step that this fault takes along; None where it fails by itself."""
    whom, _ = TABLE[place]
    if whom == WORKER and action == "raise" and place not in USERS_OWN:
        return "WorkerLost"
    return ERRORS.get((whom, action))


def number_of(place: str) -> str:
    """``m07`` for the moment M7."""
    return f"m{int(MOMENTS[place].partition(':')[0][1:]):02d}"


class Arena:
    """Two supervisors, a client that can be killed, and this process as another client, on one database."""

    def __init__(self, directory: Path, url: str) -> None:
        self.url = url
        self.effects = directory / "effects"
        self.effects.mkdir()
        self.orders = prepare(directory / "armed")
        self.log = open(directory / "errors", "wb")  # noqa: SIM115 - closed with the arena
        self.environment = environment(self.effects, QUICK, DYNFLOW_FAILPOINTS_ARMED=str(self.orders))
        self.supervisors: list[Supervisor] = []
        self.clients: list[Program] = []
        self.world = World(
            database_url=url, **{k: QUICK[k] for k in ("reask_interval_s", "no_executor_timeout_s")}
        )
        self.set_up()

    # -- who is there ------------------------------------------------------------------------------

    def set_up(self) -> None:
        """Replace whoever is gone; those that come meanwhile may come late."""
        self.supervisors = [one for one in self.supervisors if self._is_there(one)]
        while len(self.supervisors) < 2:
            self.supervisors.append(Supervisor(self.url, 1, self.environment, self.log))
        self.clients = [one for one in self.clients if self._is_there(one)]
        if not self.clients:
            self.clients.append(Program(["chaos.one_client", self.url], self.environment, self.log))

    def _is_there(self, program: Program) -> bool:
        if not program.alive:
            program.end()
        return program.alive

    def close(self) -> None:
        for program in (*self.supervisors, *self.clients):
            program.end()
        self.world.terminate().result(30)
        self.log.close()

    # -- faults ------------------------------------------------------------------------------------

    def order(self, text: str) -> None:
        """From now on this is what is wanted, and nothing of it was done yet."""
        for left in (*self.orders.glob("fired-*"), *self.orders.glob("release-*")):
            left.unlink()
        new = self.orders / "new"
        new.write_text(text)
        new.replace(self.orders / "orders")

    def fired(self, place: str) -> int | None:
        """The process that carried the order out."""
        try:
            words = (self.orders / f"fired-{place}").read_text().split()
        except FileNotFoundError:
            return None
        return int(words[0]) if len(words) == 2 else None

    def go_through_with(self, place: str, action: str) -> int:
        """Wait for the fault; what stands still goes on after a moment. Whom it hit."""
        pid: int = wait_until(lambda: self.fired(place), f"the fault at {place}")
        if action == "stop":
            wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, "the standstill")
            time.sleep(FAULT_S)  # the fault itself: it lasts that long
            os.kill(pid, signal.SIGCONT)
        elif action == "hang":
            time.sleep(FAULT_S)
            (self.orders / f"release-{place}").touch()
        return pid

    def settle(self) -> None:
        """Wait until nobody is in the turn any more in which it said that the last plan has ended: it would meet the next order."""
        worlds = self.world.coordinator.find_worlds(executor=True)
        wait([self.world.ping(one.id, timeout=1.0) for one in worlds if one.state != "dead"], 5.0)

    def one_is_ready(self) -> bool:
        return any(supervisor.is_ready() for supervisor in self.supervisors)


def try_fault(arena: Arena, place: str, action: str, idempotent: bool = False) -> None:
    """Let the fault happen to one plan, and see that what comes of it is what the table says."""
    whom, row = TABLE[place]
    expected = row[action]
    arena.set_up()
    wait_until(arena.one_is_ready, "a supervisor that is ready")
    arena.settle()
    arena.order(f"{place}={action}")
    if whom == CLIENT:
        plan_id, future = _asked_by_another(arena, place, action), None
    else:
        triggered = arena.world.trigger(Pair, idempotent)
        plan_id, future = triggered.id, triggered.finished
        _check_whom(arena, whom, arena.go_through_with(place, action))
    if expected.code == "X":
        _is_not_there(arena, plan_id)
        return
    if future is not None:
        future.result(60)
    plan = wait_until(lambda: _at_rest(arena.world, plan_id), f"the end of plan {plan_id}")
    lost_with_process = lost_with(place, action)
    again = idempotent and expected in (FIRST, SECOND) and lost_with_process is not None
    if expected.code == "E" and not again:
        _is_an_error(plan, expected.step, lost_with_process or "FailpointRaised")
        plan = arena.world.execute(plan_id).result(60)
    _ended_well(arena, plan, expected)


def _check_whom(arena: Arena, whom: str, pid: int) -> None:
    supervisors = {supervisor.pid for supervisor in arena.supervisors}
    assert (pid in supervisors) == (whom == SUPERVISOR), f"the fault hit process {pid}, no {whom}"


def _asked_by_another(arena: Arena, place: str, action: str) -> str:
    """Have the client that can be killed trigger a plan; its id, which was known before."""
    (client,) = arena.clients
    if not getattr(client, "said_ready", False):
        assert client.line() == "ready"
        client.said_ready = True  # type: ignore[attr-defined]
    plan_id = str(uuid4())
    client.say(plan_id)
    assert arena.go_through_with(place, action) == client.pid
    if action == "kill9":
        assert client.process.wait(60) == -signal.SIGKILL
        return plan_id
    answer = client.line()
    if action == "raise" and place in ("plan_planned", "plan_stored"):
        assert answer == "refused FailpointRaised"
    else:
        assert answer == f"triggered {plan_id}"
        assert client.line() == f"ended {plan_id} stopped success"
    return plan_id


def _is_not_there(arena: Arena, plan_id: str) -> None:
    try:
        plan = arena.world.persistence.load_execution_plan(plan_id)
    except PlanNotFound:
        return
    raise AssertionError(f"{plan} is stored although nobody was told so")


def _at_rest(world: World, plan_id: str) -> Any:
    """The plan, once nobody runs it and nobody will."""
    plan = world.persistence.load_execution_plan(plan_id)
    over = plan.state == "stopped" or (plan.state == "paused" and plan.result == "error")
    return plan if over and world.coordinator.execution_lock(plan_id) is None else None


def _is_an_error(plan: Any, number: int, error: str) -> None:
    assert (str(plan.state), str(plan.result)) == ("paused", "error"), (plan, plan.execution_history)
    (failed,) = plan.failed_steps
    assert _in_order(plan).index(failed.id) == number - 1, (failed, plan.execution_history)
    assert failed.error.exception_class.rpartition(".")[2] == error, failed.error


def _in_order(plan: Any) -> list[int]:
    return [*sorted(step.id for step in plan.run_steps), *(step.id for step in plan.finalize_steps)]


def _ended_well(arena: Arena, plan: Any, expected: Expected) -> None:
    """Every step has succeeded, at its first attempt, or at its second where the fault had cost it one."""
    assert (str(plan.state), str(plan.result)) == ("stopped", "success"), (plan, plan.errors)
    charged = expected.step if expected.code == "E" else 0
    attempts = [plan.steps[step_id].attempts for step_id in _in_order(plan)]
    assert attempts == [2 if number == charged else 1 for number in (1, 2, 3)], plan.execution_history
    found = violations(evidence.about(arena.world, arena.effects, plan.id))
    assert found == [], "\n".join(map(str, found))
