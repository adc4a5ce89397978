"""``dynflow-mp plans why``."""

from __future__ import annotations

import click

from dynflow_mp.cli.opening import Where
from dynflow_mp.cli.options import on_database, plan_argument, prints
from dynflow_mp.cli.terminal import Terminal
from dynflow_mp.cli.words import moment


@click.command()
@plan_argument
@on_database
@prints
def why(plan_id: str, where: Where, terminal: Terminal) -> None:
    """Say what a plan and each of its steps wait for: a step, an event, a slot, a lock, a time, an executor."""
    from dynflow_mp.reading.data_shape import time_shape

    with where.looked_at(actions=False) as look:
        waits = look.why_waiting(plan_id)
    if terminal.as_json:
        shapes = [
            {
                "step_id": wait.step_id,
                "kind": str(wait.kind),
                "sentence": wait.sentence,
                "since": time_shape(wait.since),
            }
            for wait in waits
        ]
        terminal.json({"plan_id": plan_id, "waits": shapes})
        return
    if not waits:
        terminal.line("it waits for nothing")
        return
    for wait in waits:
        whose = "the plan" if wait.step_id is None else f"step {wait.step_id}"
        since = "" if wait.since is None else f" (since {moment(wait.since)})"
        terminal.line((f"{wait.kind:<13}", "bold"), f"{whose} {wait.sentence}", (since, "dim"))
