"""``dynflow-mp plans skip``."""

from __future__ import annotations

from typing import Any

import click

from dynflow_mp.cli import completion
from dynflow_mp.cli.deeds import Outcome, attempted_on_steps, by, told
from dynflow_mp.cli.exit_status import WELL
from dynflow_mp.cli.opening import Where
from dynflow_mp.cli.options import PLAN_ID, dry_run_option, on_database, prints, yes_option
from dynflow_mp.cli.plans.choosing import at_once_option, in_bulk, same_error_option
from dynflow_mp.cli.plans.filters import Filters, filtered_or_failed
from dynflow_mp.cli.plans.resuming import resumed
from dynflow_mp.cli.terminal import Terminal
from dynflow_mp.cli.waiting import FOREVER, WaitingCommand, wait_option
from dynflow_mp.errors import NotSkippable


@click.command(cls=WaitingCommand)
@click.argument("plan_id", type=PLAN_ID, required=False, shell_complete=completion.plan_ids)
@click.argument("step_ids", nargs=-1, type=click.IntRange(1), metavar="[STEP_ID]...")
@filtered_or_failed
@click.option("--failed", is_flag=True, help="All failed steps of the plan.")
@click.option("--resume", "then_resume", is_flag=True, help="Resume the plan after it.")
@wait_option
@yes_option
@dry_run_option
@same_error_option
@at_once_option
@on_database
@prints
def skip(
    plan_id: str | None,
    step_ids: tuple[int, ...],
    filters: Filters,
    failed: bool,
    then_resume: bool,
    wait_s: float | None,
    yes: bool,
    dry_run: bool,
    where: Where,
    terminal: Terminal,
    **limits: Any,
) -> int:
    """Skip failed steps of a paused plan, and with each the steps that need its output.

    With filters instead of a plan: skip the failed steps of all these plans and resume them.
    """
    _check(plan_id, step_ids, filters, failed)
    if plan_id is None and wait_s not in (None, FOREVER):
        raise click.UsageError("--wait=SPAN is for one plan that is named by its id")
    with where.world() as world:
        if plan_id is None:
            return in_bulk(world, "skip_and_resume", filters, terminal, yes=yes, dry_run=dry_run, **limits)
        plan = world.persistence.load_execution_plan(plan_id)
        wanted = [step.id for step in plan.failed_steps] if failed else list(step_ids)
        if dry_run:
            _tell_dry(plan.id, wanted, terminal)
            return WELL
        skipped: list[int] = []

        def one(plan_id: str) -> Outcome:
            if not wanted:
                raise NotSkippable(f"plan {plan_id} has no failed step", plan_id)
            for step_id in wanted:
                if step_id not in skipped:  # it may have gone with one before
                    skipped.extend(world.skip(plan_id, step_id, by=by()))
            words = f"skipped {len(skipped)} step{'' if len(skipped) == 1 else 's'}: {', '.join(map(str, skipped))}"
            return Outcome(plan_id, words, {"steps": skipped})

        outcome = attempted_on_steps(world, plan.id, wanted, one)
        if outcome.error is not None:  # what was skipped before stays so
            outcome = outcome._replace(facts={"steps": skipped})
        if outcome.error is not None or not (then_resume or wait_s is not None):
            return told("skip", [outcome], terminal)
        (after,) = resumed(world, (plan.id,), wait_s)
        facts = {**(outcome.facts or {}), **(after.facts or {})}
        words = f"{outcome.words}; {after.words}"
        return told("skip", [after._replace(words=words, facts=facts)], terminal)


def _check(plan_id: str | None, step_ids: tuple[int, ...], filters: Filters, failed: bool) -> None:
    if plan_id is not None and filters:
        raise click.UsageError("name one plan, or choose plans by filters, not both")
    if plan_id is None and not filters:
        raise click.UsageError("which plan? Name its id and steps, or filter plans (--error 'no route' …)")
    if plan_id is not None and bool(step_ids) == failed:
        raise click.UsageError("which steps? Name their ids, or say --failed for all that failed")


def _tell_dry(plan_id: str, step_ids: list[int], terminal: Terminal) -> None:
    if terminal.as_json:
        terminal.json({"deed": "skip", "dry_run": True, "plans": [{"plan_id": plan_id, "steps": step_ids}]})
    terminal.line(
        f"{plan_id}: would skip {', '.join(map(str, step_ids)) or 'nothing'}, and what needs their outputs"
    )
