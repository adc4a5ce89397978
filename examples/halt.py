"""Putting an end to plans, whatever they do.

``python -m examples.halt`` runs three plans on two workers. One computes and lets nobody get a word in: not an exception, not SIGTERM. One waits for an
event that will not come. One has failed and waits for somebody to look. Each is halted: it ends ``stopped``, its steps stay to be looked at as they were,
and nothing of it runs any more – the worker that did not listen has been replaced by another one. A plan that nobody runs is halted by whoever asks.
"""

from __future__ import annotations

import signal
import tempfile
from concurrent.futures import Future
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

import click

from dynflow_mp import Action, DynflowError, ExecutionPlan, Triggered, World

FINISHED_S = 30.0
LOOK_S = 0.02


class Stubborn(Action):
    """Never ends, and listens to nobody; what comes after it never begins."""

    def plan(self) -> None:
        with self.sequence():
            self.plan_action(Compute)
            self.plan_action(Afterwards)


class Compute(Action):
    def run(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            with suppress(BaseException):  # what a step should not do, and some library may
                while True:
                    sum(range(1000))


class Afterwards(Action):
    def run(self) -> None:
        self.output["ran"] = True


class WaitForWord(Action):
    """Waits for an event."""

    def run(self, event: Any = None) -> None:
        if event is None:
            self.suspend()


class Fail(Action):
    def run(self) -> None:
        self.error("no disk")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Three plans that would never end by themselves, and what becomes of them when they are halted."""
    with (
        tempfile.TemporaryDirectory(prefix="dynflow-halt-") as directory,
        World(database_url=f"sqlite:///{directory}/plans.db", workers=2) as world,
    ):
        stubborn = begun(world, Stubborn, "running", Compute)
        waiting = begun(world, WaitForWord, "suspended", WaitForWord)
        failed = begun(world, Fail, "error", Fail)
        failed.finished.result(FINISHED_S)
        workers = set(world.worker_pids.values())

        began = monotonic()
        plans = [world.halt(triggered.id) for triggered in (stubborn, waiting, failed)]
        for future in plans:
            tell(future.result(FINISHED_S))
        say(f"all three within {monotonic() - began:.1f} s")
        say(f"who waited for the first got it: {stubborn.finished.result(FINISHED_S).state}")

        wait_until(lambda: len(world.worker_pids) == 2)
        say(f"workers replaced: {len(set(world.worker_pids.values()) - workers)} of 2")
        say(f"locks held: {len(world.coordinator.find_locks(class_name='ExecutionLock'))}")
        say(f"halted again: {why_not(world.halt(stubborn.id))}")
        say(f"resumed: {why_not(world.execute(failed.id))}")


def begun(world: World, action_class: type[Action], state: str, of: type[Action]) -> Triggered:
    """A plan of ``action_class`` of which the step of ``of`` has come to this state."""
    triggered = world.trigger(action_class)
    if not isinstance(triggered, Triggered):
        raise SystemExit(f"not planned: {triggered}")

    def has_come() -> bool:
        plan = world.persistence.load_execution_plan(triggered.id)
        return any(step.action_class == of.__name__ for step in plan.steps_in_state(state))

    wait_until(has_come)
    return triggered


def wait_until(condition: Any) -> None:
    ends = monotonic() + FINISHED_S
    while not condition():
        if monotonic() > ends:
            raise SystemExit("what should have happened did not")
        sleep(LOOK_S)


def tell(plan: ExecutionPlan) -> None:
    """How the plan ended and what is left of its steps."""
    say(f"{plan.label}: {plan.state}, {plan.result}")
    for step in plan.run_steps:
        why = f" – {step.error.message.partition(';')[0]}" if step.error else ""
        say(f"    {step.action_class} is {step.state}{why}")


def why_not(future: Future[ExecutionPlan]) -> str:
    try:
        return f"{future.result(FINISHED_S).state}"
    except DynflowError as error:
        return f"{type(error).__name__}, {error}"


def say(what: str) -> None:
    click.echo(what)


if __name__ == "__main__":
    main()
