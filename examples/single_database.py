"""Nothing but one database: several executors and a client that share it, and one of them killed.

    client ─┐                    ┌─ supervisor A ─ 2 workers      no broker, no other server: plans, locks and the
            ├── one database ────┤                                list of who is there are rows in its tables
     you ───┘                    └─ supervisor B ─ 2 workers

``python -m examples.single_database`` plays it on an SQLite file; ``--database postgresql+psycopg://…`` (or MariaDB) on a server. The
client asks for some invoices; the two supervisors share them. Then A is killed with SIGKILL while it works. Its plans are B's now: those that were
between two steps go on by themselves; a step that was running is an error, because nobody knows how far it came, and its plan pauses until somebody
says what to do. Here that is resuming it, since a page may be written twice.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from concurrent.futures import wait

import click

from dynflow_mp import Action, ExecutionPlan, Triggered, World
from examples.supervisor_process import SupervisorProcess

APP = "examples.single_database"
FINISHED_S = 60.0
LOOK_S = 0.02


class Invoice(Action):
    """A few pages, written one after the other, and who wrote them."""

    def plan(self, pages: int, seconds: float) -> None:
        with self.sequence():
            written = [
                self.plan_action(Page, number=number, seconds=seconds) for number in range(1, pages + 1)
            ]
        self.plan_self(writers=[page.output["writer"] for page in written])

    def run(self) -> None:
        self.output["writers"] = sorted(set(self.input["writers"]))


class Page(Action):
    """One page; says which supervisor's worker wrote it."""

    def run(self) -> None:
        time.sleep(self.input["seconds"])
        self.output["writer"] = os.getppid()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--database", help="SQLAlchemy URL.  [default: an SQLite file of its own]")
@click.option("--invoices", default=12, show_default=True, type=click.IntRange(4))
def main(database: str | None, invoices: int) -> None:
    """Two supervisors and a client on one database; one supervisor is killed at work."""
    with tempfile.TemporaryDirectory(prefix="dynflow-single-") as directory:
        url = database or f"sqlite:///{directory}/plans.db"
        with (
            SupervisorProcess(url, APP) as a,
            SupervisorProcess(url, APP) as b,
            World(database_url=url) as client,
        ):
            share(client, {"A": a, "B": b}, invoices)


def share(client: World, supervisors: dict[str, SupervisorProcess], invoices: int) -> None:
    """Ask for the invoices, kill A at work, and bring what it left to its end."""
    names = {supervisor.process.pid: name for name, supervisor in supervisors.items()}
    asked = [client.trigger(Invoice, 4, 0.1) for _ in range(invoices)]
    futures = [triggered.finished for triggered in asked if isinstance(triggered, Triggered)]
    wait_until_busy(client, supervisors["A"])
    say("A", "killed while it works")
    supervisors["A"].process.kill()
    wait(futures, FINISHED_S)
    plans = [future.result(0) for future in futures]
    tell(plans, names)
    paused = [plan for plan in plans if plan.state == "paused"]
    for plan in paused:
        say("client", f"paused: {', '.join(error.message for error in plan.errors)}")
    say("client", f"{len(paused)} paused plans are resumed")
    resumed = [client.execute(plan.id) for plan in paused]
    tell([future.result(FINISHED_S) for future in resumed], names)


def wait_until_busy(client: World, supervisor: SupervisorProcess) -> None:
    """Until the database says that this supervisor holds plans."""
    world_id = supervisor.ready_line.split()[1].removeprefix("world=")
    ends = time.monotonic() + FINISHED_S
    while time.monotonic() < ends:
        locks = client.coordinator.find_locks(class_name="ExecutionLock")
        if any(lock.data["world_id"] == world_id for lock in locks):
            return
        time.sleep(LOOK_S)
    raise SystemExit("the supervisor was given nothing to do")


def tell(plans: list[ExecutionPlan], names: dict[int, str]) -> None:
    """How the plans ended, and who wrote them: A, B, or A and, after it, B."""
    ends = Counter(f"{plan.state}, {plan.result}{written_by(plan, names)}" for plan in plans)
    for end, count in sorted(ends.items()):
        say("client", f"{count} × {end}")


def written_by(plan: ExecutionPlan, names: dict[int, str]) -> str:
    if plan.result != "success":
        return ""
    writers = plan.entry_action.output["writers"]
    return f", written by {' and '.join(sorted(names[writer] for writer in writers))}"


def say(who: str, what: str) -> None:
    click.echo(f"{who:>6} │ {what}")


if __name__ == "__main__":
    main()
