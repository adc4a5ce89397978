"""``dynflow-mp plans cancel``."""

from __future__ import annotations

import click

from dynflow_mp.cli.deeds import Outcome, by, done_with, told
from dynflow_mp.cli.opening import Where
from dynflow_mp.cli.options import on_database, prints
from dynflow_mp.cli.plans.choosing import chosen, in_bulk
from dynflow_mp.cli.plans.filters import Filters
from dynflow_mp.cli.terminal import Terminal
from dynflow_mp.cli.waiting import answer

_ANSWER_S = 30.0


@click.command()
@chosen
@click.option("--force", is_flag=True, help="Send Abort instead of Cancel: what steps do then is theirs.")
@on_database
@prints
def cancel(
    plan_ids: tuple[str, ...],
    filters: Filters | None,
    yes: bool,
    dry_run: bool,
    force: bool,
    where: Where,
    terminal: Terminal,
) -> int:
    """Tell the cancellable steps of running plans to stop; scheduled plans are stopped at once.

    Exit status 4 for a plan of which nothing can be cancelled.
    """
    if force and filters is not None:
        raise click.UsageError("--force is for plans that are named by their ids")
    with where.world() as world:
        if filters is not None or dry_run:
            of = filters if filters is not None else plan_ids
            return in_bulk(world, "cancel", of, terminal, yes=yes, dry_run=dry_run)

        def one(plan_id: str) -> Outcome:
            steps = answer(world.cancel(plan_id, force, by=by()), _ANSWER_S, f"cancelling plan {plan_id}")
            words = f"told {len(steps)} step{'' if len(steps) == 1 else 's'}: {', '.join(map(str, steps))}"
            return Outcome(plan_id, words, {"steps": steps})

        return told("cancel", done_with(plan_ids, one), terminal)
