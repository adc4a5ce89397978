"""Plans that come after others: each starts when the last of those it waits for has stopped, or says why it cannot.

    build ─▶ ┌ check ┐ ─▶ publish            build (broken) ✗ ─▶ check ✗ ─▶ publish ✗
             └ pack  ┘

``python -m examples.chaining`` releases two packages. Every box is a plan of its own, with its own history, to be
looked at, cancelled or deleted by itself; the second release breaks in its first plan, and the error of each later
one names the plan it failed after.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click

from dynflow_mp import Action, ExecutionPlan, World

ENDED_S = 60.0
WORK_S = 0.2


class Stage(Action, abstract=True):
    """One stage of a release, which leaves a line in the package's log."""

    def run(self) -> None:
        time.sleep(WORK_S)
        with open(Path(self.input["directory"], f"{self.input['package']}.log"), "a") as log:
            log.write(f"{type(self).__name__}\n")


class Build(Stage):
    """What is no Python is found out when the plan is made: then it stops, and nothing of it runs."""

    def plan(self, directory: str, package: str) -> None:
        compile(Path(directory, package).read_text(), package, "exec")
        self.plan_self(directory=directory, package=package)


class Check(Stage):
    pass


class Pack(Stage):
    pass


class Publish(Stage):
    pass


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1), help="Worker processes.")
def main(workers: int) -> None:
    """Release a package that can be built and one that cannot."""
    with tempfile.TemporaryDirectory(prefix="dynflow-release-") as directory:
        Path(directory, "good").write_text("answer = 42\n")
        Path(directory, "broken").write_text("answer =\n")
        with World(database_url=f"sqlite:///{directory}/plans.db", workers=workers) as world:
            for package in ("good", "broken"):
                release(world, directory, package)


def release(world: World, directory: str, package: str) -> None:
    given = {"directory": directory, "package": package}
    build = world.plan_elsewhere(Build, **given)
    check = world.chain(build.id, Check, **given)
    pack = world.chain(build.id, Pack, **given)
    publish = world.chain([check.id, pack.id], Publish, **given)
    waiting = world.persistence.load_execution_plan(publish.id)
    click.echo(f"{package:>6} │ Publish is {waiting.state}, to come after two others")
    plans = [stopped(world, scheduled.id) for scheduled in (build, check, pack, publish)]
    for plan in plans:
        tell(package, plan)
    log = Path(directory, f"{package}.log")
    done = log.read_text().split() if log.exists() else []
    click.echo(f"{package:>6} │ done: {', '.join(done) or 'nothing'}")


def tell(package: str, plan: ExecutionPlan) -> None:
    why = "".join(f": {error.message}" for error in plan.errors)
    click.echo(f"{package:>6} │ {plan.label} {plan.id[-6:]} {plan.state}, {plan.result}{why}")


def stopped(world: World, plan_id: str) -> ExecutionPlan:
    """The plan, once it has stopped."""
    give_up_at = time.monotonic() + ENDED_S
    while time.monotonic() < give_up_at:
        plan = world.persistence.load_execution_plan(plan_id)
        if plan.state == "stopped":
            return plan
        time.sleep(0.05)
    raise SystemExit(f"plan {plan_id} did not stop within {ENDED_S:g} s")


if __name__ == "__main__":
    main()
