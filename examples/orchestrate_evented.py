"""Waiting without a worker: steps that order something elsewhere, sleep, and are woken by an event.

    operator ── trigger ──▶ supervisor, 2 workers ── order (plan, step) ──▶ cloud, a process of its own
       ▲                          ▲    step suspended: no worker, no thread       │ takes its time
       └──── the plan's end ──────┘◀──────────── event: {"address": …} ──────────┘

``python -m examples.orchestrate_evented`` orders twenty machines from a "cloud" that takes a while for each. Two workers are
plenty: a step that waits holds none, so all twenty orders are out at once. The cloud knows nothing of the engine but
the handle that came with the order (plan id, step id) and answers by an event. One order it refuses, which fails that step and pauses the plan;
the operator raises the limit and resumes. One it forgets: the step has asked to be woken if nothing comes, and orders again.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import click

from dynflow_mp import Action, ExecutionPlan, Triggered, UnprocessableEvent, World
from examples.supervisor_process import SupervisorProcess, stop

APP = "examples.orchestrate_evented"
FINISHED_S = 60.0
LOOK_S = 0.05
STOP_S = 30.0


class CreateMachines(Action):
    """Machines from the cloud, all at once, and how many came."""

    def plan(self, cloud: str, machines: int, patience_s: float) -> None:
        ordered = [
            self.plan_action(OrderMachine, cloud=cloud, number=number, patience_s=patience_s)
            for number in range(1, machines + 1)
        ]
        self.plan_self(addresses=[machine.output["address"] for machine in ordered])

    def run(self) -> None:
        self.output["machines"] = len(set(self.input["addresses"]))


class OrderMachine(Action):
    """Orders a machine, waits for the cloud's word, and asks again if none comes."""

    def run(self, event: Any = None) -> None:
        match event:
            case None:
                self.order()
            case {"no answer to": order}:
                self.order() if order == self.output["orders"] else self.suspend()
            case {"refused": why}:
                self.error(f"machine {self.input['number']} was refused: {why}")
            case {"address": address}:
                self.output["address"] = address

    def order(self) -> None:
        """Put the order into the cloud's box, and leave. What comes back calls ``run`` again, with the event."""
        handle = self.suspended_action()
        orders = self.output["orders"] = self.output.get("orders", 0) + 1
        order = {
            "plan": handle.plan_id,
            "step": handle.step_id,
            "number": self.input["number"],
            "try": orders,
        }
        self.plan_event({"no answer to": orders}, delay_s=self.input["patience_s"], optional=True)
        self.suspend(before=lambda _: drop(Path(self.input["cloud"]), order))


def drop(cloud: Path, order: dict[str, Any]) -> None:
    """Leave an order in the cloud's box, whole or not at all."""
    name = f"{order['step']}-{order['try']}"
    written = cloud / f"{name}.new"
    written.write_text(json.dumps(order))
    written.rename(cloud / f"{name}.order")


# -- the cloud ---------------------------------------------------------------------------------------


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--machines", default=20, show_default=True, type=click.IntRange(3))
@click.option("--patience", default=2.0, show_default=True, help="Seconds until a step orders again.")
@click.pass_context
def main(context: click.Context, machines: int, patience: float) -> None:
    """Supervisor, cloud and operator, each a process of its own."""
    if context.invoked_subcommand is None:
        operate(machines, patience)


@main.command()
@click.argument("box", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--database", required=True)
@click.option("--seconds", default=0.5, show_default=True, help="How long a machine takes to make.")
def cloud(box: Path, database: str, seconds: float) -> None:
    """Take orders from BOX; answer each with an event when its machine is ready."""
    stopping = Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.set())
    with World(database_url=database) as world:
        made: list[tuple[float, dict[str, Any]]] = []
        while not stopping.wait(LOOK_S):
            made += [(monotonic() + seconds, order) for order in taken(box)]
            ready = [order for due, order in made if due <= monotonic()]
            made = [waiting for waiting in made if waiting[1] not in ready]
            for order in ready:
                answer(world, box, order)


def taken(box: Path) -> list[dict[str, Any]]:
    """The new orders, which leave the box."""
    orders = []
    for file in sorted(box.glob("*.order")):
        orders.append(json.loads(file.read_text()))
        file.unlink()
    return orders


def answer(world: World, box: Path, order: dict[str, Any]) -> None:
    """Number 2 is refused until the limit is raised; the first order of number 3 is forgotten.

    An order given twice, because the first answer took long, is answered twice: its step has ended by then.
    """
    number = order["number"]
    if number == 3 and order["try"] == 1:
        return
    refused = number == 2 and not (box / "limit raised").exists()
    word = {"refused": "the limit is reached"} if refused else {"address": f"10.1.0.{number}"}
    with suppress(UnprocessableEvent):
        world.event(order["plan"], order["step"], word).result(STOP_S)


# -- the operator ------------------------------------------------------------------------------------


def operate(machines: int, patience_s: float) -> None:
    with tempfile.TemporaryDirectory(prefix="dynflow-evented-") as directory:
        database, box = f"sqlite:///{directory}/plans.db", Path(directory, "cloud")
        box.mkdir()
        with SupervisorProcess(database, APP), Cloud(database, box), World(database_url=database) as world:
            triggered = world.trigger(CreateMachines, str(box), machines, patience_s)
            if not isinstance(triggered, Triggered):
                raise SystemExit(f"the plan could not be made: {triggered}")
            watch(world, triggered)
            plan = tell(triggered.finished.result(FINISHED_S))
            (box / "limit raised").touch()
            say("operator", "the limit is raised; the plan is resumed")
            plan = tell(world.execute(plan.id).result(FINISHED_S))
            orders = [step.action(plan).output.get("orders", 0) for step in plan.run_steps]
            again = sum(count > 1 for count in orders)
            say(
                "operator",
                f"{plan.entry_action.output['machines']} machines; {again} ordered more than once",
            )


class Cloud:
    """The cloud's process, gone when left."""

    def __init__(self, database: str, box: Path) -> None:
        command = [sys.executable, "-m", "examples.orchestrate_evented", "cloud", str(box)]
        self.process = subprocess.Popen([*command, "--database", database])

    def __enter__(self) -> Cloud:
        return self

    def __exit__(self, *exception: object) -> None:
        stop(self.process)


def watch(world: World, triggered: Triggered) -> None:
    """Say how many steps wait, until the plan has ended or paused."""
    most, ends = 0, monotonic() + FINISHED_S
    while not triggered.finished.done() and monotonic() < ends:
        plan = world.persistence.load_execution_plan(triggered.id)
        most = max(most, len(plan.steps_in_state("suspended")))
        Event().wait(LOOK_S)
    say("operator", f"up to {most} steps waited at once, on 2 workers")


def tell(plan: ExecutionPlan) -> ExecutionPlan:
    states = Counter(step.state.value for step in plan.run_steps)
    counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    say("operator", f"{plan.state}, {plan.result}: {counts}")
    for step in plan.failed_steps:
        say("operator", f"step {step.id}: {step.error.message if step.error else None}")
    return plan


def say(who: str, what: str) -> None:
    click.echo(f"{who:>8} │ {what}")


if __name__ == "__main__":
    main()
