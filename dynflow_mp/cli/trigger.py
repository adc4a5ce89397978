"""``dynflow-mp trigger``: an action planned from a terminal or a script."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from dynflow_mp.cli.escaping import in_one_line
from dynflow_mp.cli.exit_status import BROKEN, WELL
from dynflow_mp.cli.given import mapping_of, pairs_of, value_of
from dynflow_mp.cli.modules import imported
from dynflow_mp.cli.opening import Where
from dynflow_mp.cli.options import on_database, prints
from dynflow_mp.cli.terminal import Terminal
from dynflow_mp.cli.waiting import WaitingCommand, answer, is_taken, seconds_of, until, wait_option
from dynflow_mp.cli.words import AHEAD, SPAN
from dynflow_mp.errors import ConfigError

if TYPE_CHECKING:
    from dynflow_mp.actions.action import Action
    from dynflow_mp.world.world import World

_TAKEN_S = 2.0
"""How long an executor has to take a plan that is not waited for: it stays asked for anyway."""


@click.command(cls=WaitingCommand)
@click.argument("action", metavar="MODULE:CLASS")
@click.option(
    "--arg", "positional", multiple=True, metavar="JSON|@FILE", help="An argument of plan, in order."
)
@click.option(
    "--input", "given", metavar="JSON|@FILE", help="Arguments by name, as an object; @- reads standard input."
)
@click.option(
    "--set", "pairs", multiple=True, metavar="KEY=JSON", help="One argument by name. May be repeated."
)
@wait_option
@click.option("--at", "at", type=AHEAD, help="Start at this time: ISO 8601 (UTC), or 2h for in two hours.")
@click.option("--after", type=SPAN, help="Start after so long (90s, 5m, 2h).")
@click.option("--before", type=AHEAD, help="With --at or --after: not later than this.")
@click.option("--unique-key", help="Only if no other plan holds this key: exit status 4.")
@click.option(
    "--on-conflict", type=click.Choice(["raise", "return", "replace"]), help="What to do if one does."
)
@click.option("--deadline", type=SPAN, help="After so long nothing more of it begins.")
@click.option("--id", "plan_id", type=click.UUID, help="The plan's id, a UUID of your choice.")
@on_database
@prints
def trigger(
    action: str,
    positional: tuple[str, ...],
    given: str | None,
    pairs: tuple[str, ...],
    wait_s: float | None,
    at: datetime | None,
    after: float | None,
    before: datetime | None,
    where: Where,
    terminal: Terminal,
    **options: Any,
) -> int:
    """Plan an action here and now and have an executor run it; prints the plan's id.

    The class is found in its module, in the working directory or in PYTHONPATH. Exit status 1 if it
    cannot be planned, or with --wait if it did not end well.
    """
    kind = _class_at(action)
    args = [value_of(text, f"--arg {number}") for number, text in enumerate(positional, start=1)]
    kwargs = {**({} if given is None else mapping_of(given, "--input")), **pairs_of(pairs, "--set")}
    options = {name: value for name, value in options.items() if value is not None}
    start_at = _start(at, after)
    if start_at is None and before is not None:
        raise click.UsageError("--before is for plans that start later: with --at or --after")
    if start_at is not None and (options or wait_s is not None):
        raise click.UsageError("--wait, --id, --unique-key and --deadline are for plans that start at once")
    with where.world(may_make=True) as world:
        if start_at is not None:
            plan_id = world.delay(kind, *args, start_at=start_at, start_before=before, **kwargs).id
            return _tell(terminal, plan_id, "scheduled", start_at=start_at.isoformat())
        return _run(world, kind, args, kwargs, _named(options), wait_s, terminal)


def _class_at(place: str) -> type[Action]:
    """The action class at ``module:name``. Raises :class:`ConfigError`."""
    from dynflow_mp.actions.action import Action

    module, colon, name = place.partition(":")
    if not colon or not all(module.split(".")) or not name:
        raise click.UsageError(f"{place[:80]!r} is not MODULE:CLASS, such as shop.orders:Order")
    found: Any = imported(module, module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type) or not issubclass(found, Action):
        there = sorted(
            name
            for name, value in vars(imported(module, module)).items()
            if isinstance(value, type) and issubclass(value, Action) and value.__module__ == module
        )
        raise ConfigError(
            f"{place}: there is no action class {name}; {module} has {', '.join(there) or 'none'}"
        )
    return found


def _start(at: datetime | None, after: float | None) -> datetime | None:
    if after is None:
        return at
    if at is not None:
        raise click.UsageError("--at and --after say the same: give one of them")
    return AHEAD.convert(f"{after:f}", None, None)


def _named(options: dict[str, Any]) -> dict[str, Any]:
    names = {"deadline": "deadline_s", "plan_id": "id"}
    return {
        names.get(name, name): str(value) if name == "plan_id" else value for name, value in options.items()
    }


def _run(
    world: World,
    kind: type[Action],
    args: list[Any],
    kwargs: dict[str, Any],
    options: dict[str, Any],
    wait_s: float | None,
    terminal: Terminal,
) -> int:
    from dynflow_mp.reading.trigger_result import PlanningFailed, Triggered

    made = world.trigger_with_options(kind, tuple(args), kwargs, **options)
    if isinstance(made, PlanningFailed):
        words = f"{type(made.error).__name__}: {made.error}"
        click.echo(f"dynflow-mp: it could not be planned: {in_one_line(words)}", err=True)
        _tell(terminal, made.id, "stopped", result="error")
        return BROKEN
    if not isinstance(made, Triggered):
        return _tell(terminal, made.id, "scheduled")
    if wait_s is None:
        statuses = world.persistence.find_statuses
        if not until(
            lambda: made.finished.done() or is_taken(statuses({"id": made.id}), made.id),
            _TAKEN_S,
            made.finished,
        ):
            _say_nobody_took(world, made.id)
        return _tell(terminal, made.id, "triggered")
    return _waited(made, wait_s, terminal)


def _say_nobody_took(world: World, plan_id: str) -> None:
    """Which is no error, but who is in the wrong directory has just made a database there."""
    from dynflow_mp.persistence.opening import parsed_url, shown

    words = (
        f"no executor has taken it from {shown(parsed_url(world.config.database_url))} within {_TAKEN_S:g} s; "
        f"it stays asked for: dynflow-mp plans why {plan_id}"
    )
    click.echo(f"dynflow-mp: {in_one_line(words)}", err=True)


def _waited(made: Any, wait_s: float, terminal: Terminal) -> int:
    from dynflow_mp.cli.plans.watching import status_of_plan
    from dynflow_mp.reading.concealment import shown_error_of
    from dynflow_mp.reading.data_shape import action_data_shapes

    if not terminal.as_json:
        _tell(terminal, made.id, "triggered")
    plan = answer(made.finished, seconds_of(wait_s), f"plan {made.id}")
    _, output = action_data_shapes(plan, plan.root_plan_step.action_id)
    errors = [
        f"step {step.id} {step.action_class}: {shown_error_of(step, plan)}" for step in plan.failed_steps
    ]
    for error in errors:
        click.echo(f"dynflow-mp: {in_one_line(error)}", err=True)
    if terminal.as_json:
        _tell(terminal, made.id, str(plan.state), result=str(plan.result), output=output, errors=errors)
    else:
        click.echo(f"{plan.state} with {plan.result}", err=True)
    return status_of_plan(plan)


def _tell(terminal: Terminal, plan_id: str, state: str, **facts: Any) -> int:
    if terminal.as_json:
        terminal.json({"plan_id": plan_id, "state": state, **facts})
    terminal.line(plan_id)
    return WELL
