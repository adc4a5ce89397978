"""``dynflow-mp worlds``: executors and clients, what they are at, and what is to be done when one is ill or gone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from dynflow_mp.cli import completion
from dynflow_mp.cli.deeds import by
from dynflow_mp.cli.escaping import in_one_line
from dynflow_mp.cli.exit_status import NOT_FOUND, WELL, status_of
from dynflow_mp.cli.groups import HelpfulGroup
from dynflow_mp.cli.opening import Where
from dynflow_mp.cli.options import asked, on_database, prints, yes_option
from dynflow_mp.cli.terminal import Terminal
from dynflow_mp.cli.waiting import answer
from dynflow_mp.cli.words import SPAN, amount, span
from dynflow_mp.errors import DynflowError, RecordNotFound

if TYPE_CHECKING:
    from dynflow_mp.world.world import World

_MORE_S = 5.0
_world = click.argument("world_id", shell_complete=completion.world_ids)
_worlds = click.argument("world_ids", nargs=-1, metavar="[WORLD_ID]...", shell_complete=completion.world_ids)
_timeout = click.option(
    "--timeout", type=SPAN, default=5.0, show_default="5s", help="How long each may take to answer."
)


@click.group(cls=HelpfulGroup)
def worlds() -> None:
    """See executors and clients, and look after them."""


# -- looking -----------------------------------------------------------------------------------------


@worlds.command("list")
@click.option("--executors", is_flag=True, help="Only executors.")
@click.option("--clients", is_flag=True, help="Only clients.")
@click.option("--state", type=click.Choice(["alive", "draining", "dead"]), help="Only those in this state.")
@on_database
@prints
def list_worlds(executors: bool, clients: bool, state: str | None, where: Where, terminal: Terminal) -> None:
    """List the worlds that are registered. GONE: its process is known to have ended."""
    from dynflow_mp.cli.shapes import world_shape
    from dynflow_mp.maintenance.processes_alive import gone

    with where.looked_at(actions=False) as look:
        found = look.coordinator.find_worlds()
    shapes = [world_shape(world, gone(world)) for world in found if state in (None, world.state)]
    if executors != clients:
        shapes = [shape for shape in shapes if (shape["kind"] == "executor") == executors]
    if terminal.as_json:
        terminal.json({"worlds": shapes})
        return
    terminal.table(
        ("ID", "KIND", "STATE", "HOST", "PID", "FREE", "ENDPOINT", "REMARK"),
        [_row(shape) for shape in shapes],
        flexible="REMARK",
        spare=("ENDPOINT", "HOST", "FREE"),
    )


def _row(shape: dict[str, Any]) -> tuple[str, ...]:
    free = shape["free"]
    return (
        shape["id"],
        shape["kind"],
        "gone" if shape["gone"] and shape["state"] != "dead" else shape["state"],
        str(shape["hostname"] or "-"),
        str(shape["pid"] or "-"),
        "-"
        if free is None
        else ", ".join(f"{queue} {n}" for queue, n in free.items())
        if isinstance(free, dict)
        else str(free),
        str(shape["endpoint"] or "-"),
        f"degraded: {shape['degraded']}" if shape["degraded"] else "",
    )


@worlds.command()
@on_database
@prints
def locks(where: Where, terminal: Terminal) -> None:
    """List who holds which lock: plans that are run, singletons, and what one world at a time does."""
    from dynflow_mp.reading.lock_shape import lock_shape

    with where.looked_at(actions=False) as look:
        shapes = [lock_shape(lock) for lock in look.coordinator.find_locks()]
    if terminal.as_json:
        terminal.json({"locks": shapes})
        return
    terminal.table(
        ("LOCK", "ID", "HELD BY"), [(shape["class"], shape["id"], shape["owner_id"]) for shape in shapes]
    )


# -- asking ------------------------------------------------------------------------------------------


@worlds.command()
@_worlds
@_timeout
@on_database
@prints
def ping(world_ids: Sequence[str], timeout: float, where: Where, terminal: Terminal) -> int:
    """Ask worlds whether they are there; without an id all executors. Exit status 5 if one does not answer."""
    with where.world() as world:

        def one(world_id: str) -> dict[str, Any]:
            began = monotonic()
            answer(world.ping(world_id, timeout), timeout + _MORE_S, f"ping of {world_id}")
            return {"took_s": round(monotonic() - began, 6)}

        answers = _asked(world, world_ids, one)
    if terminal.as_json:
        terminal.json({"worlds": answers})
    for each in answers:
        if each["ok"]:
            terminal.line(f"{each['id']}: ", ("alive", "green"), f", {each['took_s'] * 1000:.1f} ms")
    return _status(answers)


@worlds.command()
@_worlds
@_timeout
@on_database
@prints
def workers(world_ids: Sequence[str], timeout: float, where: Where, terminal: Terminal) -> int:
    """Show the worker processes of executors, what each is at, and how their queues are; without an id of all."""
    with where.world() as world:

        def one(world_id: str) -> dict[str, Any]:
            report = answer(
                world.workers_report(world_id, timeout), timeout + _MORE_S, f"report of {world_id}"
            )
            return _report_shape(report)

        answers = _asked(world, world_ids, one)
    if terminal.as_json:
        terminal.json({"worlds": answers})
        return _status(answers)
    for each in answers:
        if each["ok"]:
            _show_report(each, terminal)
    return _status(answers)


def _report_shape(report: Any) -> dict[str, Any]:
    from dynflow_mp.reading.data_shape import time_shape

    return {
        "at": time_shape(report.at),
        "started_at": time_shape(report.started_at),
        "degraded": report.degraded,
        "running_plans": report.running_plans,
        "queues": [queue._asdict() for queue in report.queues],
        "workers": [
            {**worker._asdict(), "state": str(worker.state.value), "since": time_shape(worker.since)}
            for worker in report.workers
        ],
    }


def _show_report(told: dict[str, Any], terminal: Terminal) -> None:
    degraded = f", degraded: {told['degraded']}" if told["degraded"] else ""
    terminal.line((told["id"], "bold"), f"  runs {told['running_plans']:,} plans", (degraded, "red"))
    for queue in told["queues"]:
        deaths = "".join(f", {count} died by {cause}" for cause, count in queue["deaths"].items())
        terminal.line(
            f"  queue {queue['name']}: {queue['free']} of {queue['size']} free, {queue['waiting']:,} waiting, "
            f"{queue['restarts']} restarts{deaths}"
        )
    terminal.table(
        ("WORKER", "PID", "QUEUE", "STATE", "MEMORY", "AGE", "STEPS", "AT"),
        [
            (
                worker["id"],
                str(worker["pid"] or "-"),
                worker["queue"],
                worker["state"],
                "-" if worker["resident"] is None else amount(worker["resident"]),
                span(worker["age_s"]),
                f"{worker['steps_done']:,}",
                _work(worker),
            )
            for worker in told["workers"]
        ],
        flexible="AT",
        spare=("AGE", "MEMORY", "STEPS", "QUEUE"),
    )


def _work(worker: dict[str, Any]) -> str:
    if worker["plan_id"] is None:
        return ""
    what = worker["errand"] or f"step {worker['step_id']}"
    return f"{worker['action_class']} ({what} of {worker['plan_id']})"


def _asked(
    world: World, world_ids: Sequence[str], ask: Callable[[str], dict[str, Any]]
) -> list[dict[str, Any]]:
    """What each says; what went wrong is on standard error, too."""
    known = {record.id: record for record in world.coordinator.find_worlds()}
    wanted = world_ids or [
        record.id for record in known.values() if record.executor and record.state != "dead"
    ]
    answers = []
    for world_id in dict.fromkeys(wanted):
        told: dict[str, Any] = {"id": world_id, "ok": True, "error": None}
        try:
            if world_id not in known:
                raise RecordNotFound(f"no world {world_id} is registered")
            told.update(ask(world_id))
            told["status"] = WELL
        except DynflowError as error:
            told.update(ok=False, error=str(error), status=status_of(error))
            click.echo(f"dynflow-mp: {in_one_line(f'{world_id}: {error}')}", err=True)
        answers.append(told)
    if not answers:
        click.echo("dynflow-mp: no executor is registered", err=True)
    return answers


def _status(answers: list[dict[str, Any]]) -> int:
    """Whatever was the worst; without any executor there was nothing to find."""
    return max((each["status"] for each in answers), default=NOT_FOUND)


# -- doing -------------------------------------------------------------------------------------------


@worlds.command()
@on_database
@prints
def check(where: Where, terminal: Terminal) -> None:
    """Look whether the processes of all worlds are there; take over the plans of those that are known to be gone."""
    with where.world() as world:
        found = world.validity_check()
    if terminal.as_json:
        terminal.json({"worlds": [{"id": world_id, "state": state} for world_id, state in found.items()]})
        return
    terminal.table(("ID", "STATE"), list(found.items()))


@worlds.command()
@_world
@yes_option
@on_database
@prints
def invalidate(world_id: str, yes: bool, where: Where, terminal: Terminal) -> int:
    """Declare a world dead for good, and take its plans over. If it lives it ends itself; steps it runs are errors."""
    with where.world() as world:
        _check_known(world, world_id)
        asked(f"Declare world {world_id} dead?", yes)
        taken = world.invalidate(world_id, by=by())
    if terminal.as_json:
        terminal.json({"deed": "invalidate", "world_id": world_id, "plans": taken})
    terminal.line(f"{world_id}: ", ("dead", "red"), f", {taken:,} plans of it taken over")
    return WELL


@worlds.command()
@_world
@yes_option
@_timeout
@on_database
@prints
def drain(world_id: str, yes: bool, timeout: float, where: Where, terminal: Terminal) -> int:
    """Have a supervisor end as on SIGTERM: nothing new, running steps get their time, other executors go on."""
    with where.world() as world:
        _check_known(world, world_id)
        asked(f"Have supervisor {world_id} end?", yes)
        answer(world.drain(world_id, timeout, by=by()), timeout + _MORE_S, f"draining {world_id}")
    if terminal.as_json:
        terminal.json({"deed": "drain", "world_id": world_id, "draining": True})
    terminal.line(f"{world_id}: ", ("draining", "yellow"))
    return WELL


def _check_known(world: World, world_id: str) -> None:
    """One whose record is gone may still hold locks, and have to be invalidated because of them."""
    known = {record.id for record in world.coordinator.find_worlds()}
    if world_id not in known and world_id not in world.coordinator.lock_holders():
        raise RecordNotFound(f"no world {world_id} is registered")
