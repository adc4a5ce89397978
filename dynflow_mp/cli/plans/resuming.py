"""``dynflow-mp plans resume``."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import click

from dynflow_mp.cli.deeds import Outcome, attempted, by, told
from dynflow_mp.cli.exit_status import NO_ANSWER, WELL
from dynflow_mp.cli.opening import Where
from dynflow_mp.cli.options import on_database, prints
from dynflow_mp.cli.plans.choosing import at_once_option, chosen, in_bulk, same_error_option, told_dry
from dynflow_mp.cli.plans.filters import Filters
from dynflow_mp.cli.plans.watching import status_of_plan
from dynflow_mp.cli.terminal import Terminal
from dynflow_mp.cli.waiting import (
    FOREVER,
    WaitingCommand,
    answer,
    is_taken,
    seconds_of,
    until,
    wait_option,
)
from dynflow_mp.errors import NoExecutor

if TYPE_CHECKING:
    from dynflow_mp.world.world import World

_TAKEN_S = 10.0
_REFUSED_S = 5.0
"""How long the executor that has a plan may take to say that it runs already."""


@click.command(cls=WaitingCommand)
@chosen
@click.option("--sub-plans", is_flag=True, help="Also the plans below each that are paused with an error.")
@wait_option
@same_error_option
@at_once_option
@on_database
@prints
def resume(
    plan_ids: tuple[str, ...],
    filters: Filters | None,
    yes: bool,
    dry_run: bool,
    sub_plans: bool,
    wait_s: float | None,
    where: Where,
    terminal: Terminal,
    **limits: Any,
) -> int:
    """Have planned or paused plans run: those that are named, or all that the filters let through.

    It ends once an executor has each plan, with --wait once each has ended. Of many plans it is asked
    first, and stops by itself when the same error comes back.
    """
    if filters is not None and (sub_plans or wait_s not in (None, FOREVER)):
        raise click.UsageError("--sub-plans and --wait=SPAN are for plans that are named by their ids")
    with where.world() as world:
        if filters is not None:
            return in_bulk(world, "resume", filters, terminal, yes=yes, dry_run=dry_run, **limits)
        if dry_run:
            return told_dry("resume", _foreseen(world, plan_ids), terminal)
        return told("resume", resumed(world, plan_ids, wait_s, sub_plans=sub_plans), terminal)


def _foreseen(world: World, plan_ids: tuple[str, ...]) -> dict[str, Any]:
    """What would come of plans that are named. They may be planned only; in bulk such are left to whoever planned them."""
    from dynflow_mp.world.bulk_course import Deed, why_not

    statuses = world.persistence.find_statuses({"id": list(plan_ids)})
    reasons = []
    for plan_id in dict.fromkeys(plan_ids):
        status = statuses.get(plan_id)
        is_planned = status is not None and str(status.state) == "planned" and status.owner_id is None
        reasons.append(None if is_planned else why_not(Deed.RESUME, status))
    refused = Counter(reason for reason in reasons if reason is not None)
    return {
        "total": len(reasons),
        "eligible": len(reasons) - refused.total(),
        "refused": dict(refused.most_common()),
    }


def resumed(
    world: World, plan_ids: tuple[str, ...], wait_s: float | None, *, sub_plans: bool = False
) -> list[Outcome]:
    """All asked for before any is waited for."""
    futures: dict[str, Future[Any]] = {}
    owners = {
        plan_id: status.owner_id
        for plan_id, status in world.persistence.find_statuses({"id": list(plan_ids)}).items()
    }

    def ask(plan_id: str) -> Outcome:
        futures[plan_id] = world.execute(plan_id, sub_plans=sub_plans, by=by())
        return Outcome(plan_id)

    def wait(plan_id: str) -> Outcome:
        if wait_s is not None:
            return ended(futures[plan_id], plan_id, wait_s)
        owner = owners.get(plan_id)
        # That an executor has it is no answer: it says whether it takes it again, if it lives.
        if owner is not None and not until(futures[plan_id].done, _REFUSED_S, futures[plan_id]):
            _check_living(world, owner, plan_id)
        return taken(world, futures[plan_id], plan_id)

    asked = [attempted(plan_id, ask) for plan_id in dict.fromkeys(plan_ids)]
    return [attempted(each.plan_id, wait) if each.error is None else each for each in asked]


def ended(future: Future[Any], plan_id: str, wait_s: float) -> Outcome:
    """Wait until the attempt at a plan has ended. Raises what the future fails with."""
    plan = answer(future, seconds_of(wait_s), f"plan {plan_id}")
    state, result = str(plan.state), str(plan.result)
    facts = {"state": state, "result": result}
    return Outcome(plan_id, f"{state} with {result}", facts, status=status_of_plan(plan))


def taken(world: World, future: Future[Any], plan_id: str, within_s: float = _TAKEN_S) -> Outcome:
    """Wait until an executor has the plan, or more has come of it. It stays asked for if none is there."""

    def come() -> bool:
        return future.done() or is_taken(world.persistence.find_statuses({"id": plan_id}), plan_id)

    if not until(come, within_s, future):
        return _not_taken(plan_id, f"no executor has taken plan {plan_id} within {within_s:g} s")
    if future.done():
        try:
            return ended(future, plan_id, 0.0)._replace(status=WELL)
        except NoExecutor as error:
            return _not_taken(plan_id, str(error))
    statuses = world.persistence.find_statuses({"id": plan_id})
    state = str(statuses[plan_id].state) if plan_id in statuses else "gone"
    return Outcome(plan_id, state, {"state": state, "result": None})


def _check_living(world: World, owner: str, plan_id: str) -> None:
    from dynflow_mp.maintenance.processes_alive import gone

    records = world.coordinator.find_worlds(id=owner)
    if all(record.state == "dead" or gone(record) for record in records):
        raise NoExecutor(
            f"plan {plan_id} is world {owner}'s, which is gone: an executor takes it over by itself; "
            "without one: dynflow-mp worlds check",
            plan_id,
        )


def _not_taken(plan_id: str, why: str) -> Outcome:
    words = f"{why}; it stays asked for, and the next executor that starts runs it"
    return Outcome(plan_id, error=NoExecutor(words, plan_id), status=NO_ANSWER)
