"""Plans that start later: at a time, not after a time, not before somebody lets them, and made by a worker.

    delay(start_at=in a second) ─▶ scheduled … ─▶ planned by a worker ─▶ run
    delay(start_before=…, frozen) ─▶ scheduled … too late ─▶ stopped, with an error that says so
    delay(frozen) ─▶ scheduled … set_delayed_plan_frozen(False) ─▶ planned, run

``python -m examples.future_execution`` schedules four reports of a shop. A scheduled plan is in the database: this
program could end and be started again meanwhile, the reports would be written all the same.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from dynflow_mp import Action, ExecutionPlan, Scheduled, World

ENDED_S = 60.0
ORDERS = {"north": 12, "south": 30, "west": 7}


class WriteReport(Action):
    """One section per region, then the report. How many regions there are is looked up when it is planned, not now."""

    def delay(self, options: Mapping[str, Any], /, *args: Any, **kwargs: Any) -> None:
        self.input["asked_in"] = os.getpid()

    def plan(self, directory: str, title: str) -> None:
        regions = sorted(path.stem for path in Path(directory).glob("*.orders"))
        with self.sequence():
            with self.concurrence():
                sections = [self.plan_action(CountOrders, directory=directory, region=it) for it in regions]
            self.plan_self(
                title=title,
                directory=directory,
                planned_in=os.getpid(),
                sections=[section.output["text"] for section in sections],
            )

    def run(self) -> None:
        lines = [self.input["title"], *self.input["sections"]]
        Path(self.input["directory"], f"{self.input['title']}.txt").write_text("\n".join(lines))
        self.output["lines"] = len(lines)


class CountOrders(Action):
    """The section of one region."""

    def run(self) -> None:
        region = self.input["region"]
        orders = Path(self.input["directory"], f"{region}.orders").read_text()
        self.output["text"] = f"{region}: {orders} orders"


# -- the shop ----------------------------------------------------------------------------------------


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1), help="Worker processes.")
def main(workers: int) -> None:
    """Schedule reports and look at what becomes of them."""
    with tempfile.TemporaryDirectory(prefix="dynflow-shop-") as directory:
        for region in ("north", "south"):
            add_region(directory, region)
        with World(database_url=f"sqlite:///{directory}/plans.db", workers=workers) as world:
            schedule(world, directory)


def schedule(world: World, directory: str) -> None:
    in_a_second = datetime.now(UTC) + timedelta(seconds=1)
    evening = world.delay(WriteReport, directory, "evening", start_at=in_a_second)
    urgent = world.delay(WriteReport, directory, "urgent", start_before=in_a_second, frozen=True)
    held_back = world.delay(WriteReport, directory, "held back", frozen=True)
    tell("evening", world.persistence.load_execution_plan(evening.id))
    click.echo(f"{len(world.persistence.find_execution_plans({'delayed': True}))} plans wait for their time")

    add_region(directory, "west")
    tell("now", ended(world, world.plan_elsewhere(WriteReport, directory, "now")))

    plan = ended(world, evening)
    tell("evening", plan)
    report = plan.entry_action
    elsewhere = report.input["planned_in"] != report.input["asked_in"]
    late_s = (plan.started_at - in_a_second).total_seconds() if plan.started_at else 0.0
    click.echo(
        f"  evening │ planned by {'a worker' if elsewhere else 'this process'}, {late_s:.1f} s after its time"
    )
    click.echo(f"  evening │ {report.output['lines'] - 1} regions: west was added after it was scheduled")

    for scheduled in (urgent, held_back):
        world.set_delayed_plan_frozen(scheduled.id, False)
    tell("urgent", ended(world, urgent))
    tell("held back", ended(world, held_back))


def add_region(directory: str, region: str) -> None:
    Path(directory, f"{region}.orders").write_text(str(ORDERS[region]))


def tell(name: str, plan: ExecutionPlan) -> None:
    past = " ─▶ ".join(entry.name for entry in plan.execution_history)
    click.echo(f"{name:>9} │ {plan.state}, {plan.result}: {past}")
    for error in plan.errors:
        click.echo(f"{name:>9} │ {error.message}")


def ended(world: World, scheduled: Scheduled) -> ExecutionPlan:
    """The plan once it has stopped; whoever scheduled a plan need not be there by then, so there is no future of it."""
    give_up_at = time.monotonic() + ENDED_S
    while time.monotonic() < give_up_at:
        plan = world.persistence.load_execution_plan(scheduled.id)
        if plan.state in ("stopped", "paused"):
            return plan
        time.sleep(0.05)
    raise SystemExit(f"plan {scheduled.id} did not end within {ENDED_S:g} s")


if __name__ == "__main__":
    main()
