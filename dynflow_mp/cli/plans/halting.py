"""``dynflow-mp plans halt``."""

from __future__ import annotations

import click

from dynflow_mp.cli.deeds import Outcome, by, done_with, told
from dynflow_mp.cli.opening import Where
from dynflow_mp.cli.options import asked, on_database, prints
from dynflow_mp.cli.plans.choosing import chosen, in_bulk
from dynflow_mp.cli.plans.filters import Filters
from dynflow_mp.cli.terminal import Terminal
from dynflow_mp.cli.waiting import answer

_ANSWER_S = 60.0


@click.command()
@chosen
@on_database
@prints
def halt(
    plan_ids: tuple[str, ...],
    filters: Filters | None,
    yes: bool,
    dry_run: bool,
    where: Where,
    terminal: Terminal,
) -> int:
    """Stop plans for good, whatever they do: nothing more of them begins, code that runs is stopped."""
    if filters is None and not dry_run:
        asked(f"Stop {len(plan_ids)} plan{'' if len(plan_ids) == 1 else 's'} for good?", yes)
    with where.world() as world:
        if filters is not None or dry_run:
            of = filters if filters is not None else plan_ids
            return in_bulk(world, "halt", of, terminal, yes=yes, dry_run=dry_run)

        def one(plan_id: str) -> Outcome:
            plan = answer(world.halt(plan_id, by=by()), _ANSWER_S, f"halting plan {plan_id}")
            state, result = str(plan.state), str(plan.result)
            return Outcome(plan_id, f"{state} with {result}", {"state": state, "result": result})

        return told("halt", done_with(plan_ids, one), terminal)
