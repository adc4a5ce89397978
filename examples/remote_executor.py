"""Client, supervisor and a watcher, each a process of its own, on one database.

    client ── Execution ──▶ server ─▶ workers          watch: a client world too; it only looks
       ▲────── Done ──────────┘                               at the worlds and plans in the store

``python -m examples.remote_executor`` runs all three and shows them. By hand, in three terminals:

    python -m examples.remote_executor server --database sqlite:///remote.db
    python -m examples.remote_executor watch  --database sqlite:///remote.db
    python -m examples.remote_executor client --database sqlite:///remote.db
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from threading import Event
from time import monotonic, perf_counter

import click

from dynflow_mp import Triggered, World
from examples.remote_actions import Order
from examples.supervisor_process import SupervisorProcess

APP = "examples.remote_actions"
LOOK_S = 0.1
SHOWN = 20
STOP_S = 30.0

database_option = click.option("--database", default="sqlite:///remote.db", show_default=True)


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def main(context: click.Context) -> None:
    """Run all three roles, or one of them."""
    if context.invoked_subcommand is None:
        all_three()


def all_three() -> None:
    """The three processes on a fresh file, until the client has had its orders."""
    with tempfile.TemporaryDirectory(prefix="dynflow-remote-") as directory:
        database = f"sqlite:///{directory}/remote.db"
        with SupervisorProcess(database, APP) as server:
            say("server", server.ready_line)
            watcher = role("watch", database)
            try:
                status = role("client", database, "--orders", "3").wait(120)
            finally:
                watcher.send_signal(signal.SIGTERM)
                watcher.wait(STOP_S)
        say("server", f"drained, exit status {server.process.returncode}")
    sys.exit(status)


def role(name: str, database: str, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "examples.remote_executor", name, "--database", database, *options]
    return subprocess.Popen(command)


@main.command()
@database_option
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1))
def server(database: str, workers: int) -> None:
    """A supervisor; ends on Ctrl-C, when running steps have ended."""
    command = [sys.executable, "-m", "dynflow_mp.supervisor", "--workers", str(workers)]
    process = subprocess.Popen([*command, "--database", database, "--app", APP])
    # Ctrl-C reaches the supervisor as well as us: it drains, and we wait for it.
    signal.signal(signal.SIGINT, lambda number, frame: None)
    signal.signal(signal.SIGTERM, lambda number, frame: process.terminate())
    sys.exit(process.wait())


@main.command()
@database_option
@click.option("--orders", default=5, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=0.2, show_default=True, help="How long a part takes to make.")
def client(database: str, orders: int, seconds: float) -> None:
    """A client world: asks for one order after the other and waits for each."""
    with World(database_url=database) as world:
        for number in range(1, orders + 1):
            began = perf_counter()
            triggered = world.trigger(Order, number + 1, seconds)
            if not isinstance(triggered, Triggered):
                raise SystemExit(f"the order could not be planned: {triggered}")
            plan = triggered.finished.result(60)
            output = plan.entry_action.output
            made_by = f"{output.get('workers')} workers" if plan.result == "success" else "nobody"
            passed = perf_counter() - began
            say(
                "client",
                f"order {number}: {plan.result}, {plan.run_flow}, made by {made_by} in {passed:.2f} s",
            )


@main.command()
@database_option
@click.option("--seconds", default=3600.0, show_default=True, help="How long to watch.")
def watch(database: str, seconds: float) -> None:
    """A client world that only looks: says which worlds and plans come, change and go; ends on Ctrl-C."""
    stopping = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: stopping.set())
    ends = monotonic() + seconds
    with World(database_url=database) as world:
        known: dict[str, str] = {}
        while not stopping.wait(LOOK_S) and monotonic() < ends:
            now = seen(world)
            tell_changes(known, now)
            known = now


def seen(world: World) -> dict[str, str]:
    """What is there now: worlds besides our own, and the newest plans."""
    facts = {
        f"world {record.id[:8]}": f"{'executor' if record.executor else 'client'}, {record.state}"
        for record in world.coordinator.find_worlds()
        if record.id != world.id
    }
    newest = world.persistence.find_execution_plans(order_by="started_at", desc=True, page=0, per_page=SHOWN)
    for plan in reversed(newest):
        facts[f"plan {plan.id[-8:]}"] = f"{plan.label}: {plan.state}, {plan.result}"
    return facts


def tell_changes(known: dict[str, str], now: dict[str, str]) -> None:
    for name, fact in now.items():
        if known.get(name) != fact:
            say("watch", f"{name}: {fact}")
    for name in known.keys() - now.keys():
        say("watch", f"{name}: gone")


def say(who: str, what: str) -> None:
    click.echo(f"{who:>6} │ {what}")


if __name__ == "__main__":
    main()
