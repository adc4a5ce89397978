"""``dynflow-mp plans edit``."""

from __future__ import annotations

import click

from dynflow_mp.cli.deeds import Outcome, attempted_on_steps, by, told
from dynflow_mp.cli.given import mapping_of, pairs_of
from dynflow_mp.cli.opening import Where
from dynflow_mp.cli.options import on_database, plan_argument, prints, step_argument
from dynflow_mp.cli.plans.resuming import resumed
from dynflow_mp.cli.terminal import Terminal
from dynflow_mp.cli.waiting import WaitingCommand, wait_option


@click.command(cls=WaitingCommand)
@plan_argument
@step_argument
@click.option(
    "--set", "pairs", multiple=True, metavar="KEY=JSON", help="A key and its new value. May be repeated."
)
@click.option(
    "--input", "given", metavar="JSON|@FILE", help="Several keys as an object; @- reads standard input."
)
@click.option("--replace", is_flag=True, help="What is given is all of the input; other keys go.")
@click.option("--resume", "then_resume", is_flag=True, help="Resume the plan after it.")
@wait_option
@on_database
@prints
def edit(
    plan_id: str,
    step_id: int,
    pairs: tuple[str, ...],
    given: str | None,
    replace: bool,
    then_resume: bool,
    wait_s: float | None,
    where: Where,
    terminal: Terminal,
) -> int:
    """Change keys of a failed step's input before its plan is resumed. Which keys stands in the history.

    Exit status 4 if the step did not fail or the plan runs.
    """
    if not pairs and given is None:
        raise click.UsageError("what is to change? --set KEY=JSON, or --input JSON")
    changes = {**({} if given is None else mapping_of(given, "--input")), **pairs_of(pairs, "--set")}
    with where.world() as world:

        def one(plan_id: str) -> Outcome:
            world.edit_input(plan_id, step_id, changes, replace=replace, by=by())
            keys = sorted(changes)
            return Outcome(
                plan_id,
                f"edited step {step_id}: {', '.join(keys) or 'no keys'}",
                {"step_id": step_id, "keys": keys},
            )

        outcome = attempted_on_steps(world, plan_id, (step_id,), one)
        if outcome.error is not None or not (then_resume or wait_s is not None):
            return told("edit", [outcome], terminal)
        (after,) = resumed(world, (plan_id,), wait_s)
        facts = {**(outcome.facts or {}), **(after.facts or {})}
        return told("edit", [after._replace(words=f"{outcome.words}; {after.words}", facts=facts)], terminal)
