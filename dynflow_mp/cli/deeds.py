"""What becomes of plans that a command does something with: asked one by one, told together, one exit status for all."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from dynflow_mp.cli.escaping import cut, in_one_line, visible
from dynflow_mp.cli.exit_status import BROKEN, NOT_FOUND, REFUSED, WELL, status_of
from dynflow_mp.cli.terminal import Terminal, style_of
from dynflow_mp.errors import DynflowError
from dynflow_mp.model.audits import MOST_NAME

if TYPE_CHECKING:
    from dynflow_mp.world.world import World

_HOW = " (cli)"


class Outcome(NamedTuple):
    """What came of one plan: ``words`` for people; ``facts`` stand beside id, ok and error for programs."""

    plan_id: str
    words: str = ""
    facts: dict[str, Any] | None = None
    error: DynflowError | None = None
    status: int = WELL
    """The exit status, if this were the only plan."""


def by() -> str:
    """Who does it, as the plan's history and the record of deeds have it."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # no such user on this machine, as in many containers
        user = f"uid {os.getuid()}"
    name = visible(f"{user}@{socket.gethostname()}")  # the environment says who it is, and may say anything
    return f"{cut(name, MOST_NAME - len(_HOW))}{_HOW}"


def done_with(plan_ids: Sequence[str], do: Callable[[str], Outcome]) -> list[Outcome]:
    """Each in turn; one that cannot be done does not keep the others from it."""
    return [attempted(plan_id, do) for plan_id in dict.fromkeys(plan_ids)]


def attempted(plan_id: str, do: Callable[[str], Outcome]) -> Outcome:
    """What came of it, or the error that kept it."""
    try:
        return do(plan_id)
    except DynflowError as error:
        return Outcome(plan_id, error=error, status=status_of(error))


def attempted_on_steps(
    world: World, plan_id: str, step_ids: Sequence[int], do: Callable[[str], Outcome]
) -> Outcome:
    """As :func:`attempted`; what is refused because a step that was named is not there ends as what is not there does."""
    outcome = attempted(plan_id, do)
    load = world.persistence.load_step
    if outcome.status == REFUSED and any(load(plan_id, step_id) is None for step_id in step_ids):
        return outcome._replace(status=NOT_FOUND)
    return outcome


def told(deed: str, outcomes: Sequence[Outcome], terminal: Terminal) -> int:
    """Say what came of each; the exit status of all: of one plan its own, of several 1 unless all agree."""
    if terminal.as_json:
        terminal.json({"deed": deed, "plans": [_shape(outcome) for outcome in outcomes]})
    for outcome in outcomes:
        if outcome.error is not None:
            click.echo(f"dynflow-mp: {in_one_line(_named(outcome))}", err=True)
        else:
            first, _, rest = outcome.words.partition(" ")
            terminal.line(f"{outcome.plan_id}: ", (first, style_of(first)), f" {rest}" if rest else "")
    statuses = {outcome.status for outcome in outcomes}
    return statuses.pop() if len(statuses) == 1 else BROKEN


def _named(outcome: Outcome) -> str:
    words = str(outcome.error)
    return words if outcome.plan_id in words else f"{outcome.plan_id}: {words}"


def _shape(outcome: Outcome) -> dict[str, Any]:
    error = outcome.error
    return {
        "plan_id": outcome.plan_id,
        "ok": error is None,
        "error": None if error is None else {"class": type(error).__name__, "message": str(error)},
        **(outcome.facts or {}),
    }
