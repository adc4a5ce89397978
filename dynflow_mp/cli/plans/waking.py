"""``dynflow-mp plans event``."""

from __future__ import annotations

import click

from dynflow_mp.cli.deeds import Outcome, attempted_on_steps, by, told
from dynflow_mp.cli.given import value_of
from dynflow_mp.cli.opening import Where
from dynflow_mp.cli.options import on_database, plan_argument, prints, step_argument
from dynflow_mp.cli.terminal import Terminal
from dynflow_mp.cli.waiting import answer
from dynflow_mp.cli.words import SPAN
from dynflow_mp.errors import UnprocessableEvent

_ANSWER_S = 30.0


@click.command()
@plan_argument
@step_argument
@click.argument("json_or_file", metavar="JSON|@FILE")
@click.option(
    "--optional", is_flag=True, help="It is no error if the step does not wait for events any more."
)
@click.option("--delay", type=SPAN, help="Have it arrive so much later (90s, 5m); then it is not waited for.")
@on_database
@prints
def event(
    plan_id: str,
    step_id: int,
    json_or_file: str,
    optional: bool,
    delay: float | None,
    where: Where,
    terminal: Terminal,
) -> int:
    """Send an event to a suspended step: '"finish"', '{"status": 200}'. Its run is called with it.

    Exit status 0 once the step has taken it, 4 if it cannot.
    """
    value = value_of(json_or_file, "the event")
    with where.world() as world:

        def one(plan_id: str) -> Outcome:
            future = world.event(plan_id, step_id, value, optional=optional, delay_s=delay, by=by())
            within_s = _ANSWER_S + (delay or 0.0)
            try:
                taken = answer(future, within_s, f"the event for step {step_id} of plan {plan_id}")
            except UnprocessableEvent:
                if not optional:
                    raise
                taken = False
            words = f"step {step_id} has taken it" if taken else f"step {step_id} does not take it"
            return Outcome(plan_id, words, {"step_id": step_id, "taken": bool(taken)})

        return told("event", [attempted_on_steps(world, plan_id, (step_id,), one)], terminal)
