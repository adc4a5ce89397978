"""``dynflow-mp plans delete``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dynflow_mp.cli.deeds import by
from dynflow_mp.cli.exit_status import NOT_FOUND, REFUSED, WELL
from dynflow_mp.cli.opening import Where
from dynflow_mp.cli.options import asked, on_database, prints
from dynflow_mp.cli.plans.choosing import chosen
from dynflow_mp.cli.plans.filters import Filters
from dynflow_mp.cli.terminal import Terminal

if TYPE_CHECKING:
    from dynflow_mp.world.world import World

_AT_ONCE = 500


@click.command()
@chosen
@click.option(
    "--backup",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write what is deleted into a directory first, as JSON lines, secrets and all.",
)
@on_database
@prints
def delete(
    plan_ids: tuple[str, ...],
    filters: Filters | None,
    yes: bool,
    dry_run: bool,
    backup: Path | None,
    where: Where,
    terminal: Terminal,
) -> int:
    """Delete stopped plans, and all that is stored of them. Others are left: halt them first.

    Exit status 3 if a plan that is named is not there, 4 if one has not stopped.
    """
    with where.world() as world:
        states = _states_of(world, plan_ids, filters)
        wanted = plan_ids or list(states)
        stopped = [plan_id for plan_id in wanted if states.get(plan_id) == "stopped"]
        facts: dict[str, Any] = {
            "total": len(wanted),
            "eligible": len(stopped),
            "missing": [plan_id for plan_id in wanted if plan_id not in states],
            "not_stopped": len(states) - len(stopped),
        }
        many = f"{len(stopped):,} stopped plan{'' if len(stopped) == 1 else 's'}"
        click.echo(f"{many} of {len(wanted):,} that were chosen", err=True)
        deleted = 0
        if not dry_run and stopped:
            asked(f"Delete {many}{'' if backup else ' without a backup'}?", yes)
            deleted = _delete(world, stopped, backup)
        if terminal.as_json:
            terminal.json({"deed": "delete", "dry_run": dry_run, **facts, "deleted": deleted})
        terminal.line(f"would delete {many}" if dry_run else f"deleted {deleted:,}")
    if filters is None and facts["missing"]:
        click.echo(f"dynflow-mp: not there: {', '.join(facts['missing'])}", err=True)
        return NOT_FOUND
    if filters is None and facts["not_stopped"]:
        click.echo(
            "dynflow-mp: plans that have not stopped are not deleted; dynflow-mp plans halt stops them",
            err=True,
        )
        return REFUSED
    return WELL


def _states_of(world: World, plan_ids: Sequence[str], filters: Filters | None) -> dict[str, str]:
    """The state of each plan that is there; all are chosen before any is deleted."""
    if filters is None:
        return _states(world, plan_ids)
    query = filters.query()
    if filters.failure is not None:
        return _states(
            world, world.persistence.plans_of_failure(filters.failure, query if filters.pairs else None)
        )
    return {
        plan_id: str(status.state)
        for plan_id, status in world.persistence.find_statuses(query.filters()).items()
    }


def _states(world: World, plan_ids: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(plan_ids), _AT_ONCE):
        statuses = world.persistence.find_statuses({"id": list(plan_ids[start : start + _AT_ONCE])})
        found.update((plan_id, str(status.state)) for plan_id, status in statuses.items())
    return found


def _delete(world: World, plan_ids: Sequence[str], backup: Path | None) -> int:
    """Those that are still stopped when it comes to them."""
    deleted = 0
    for start in range(0, len(plan_ids), _AT_ONCE):
        chosen = {"id": list(plan_ids[start : start + _AT_ONCE]), "state": "stopped"}
        deleted += world.persistence.delete_execution_plans(chosen, backup, by=by())
    return deleted
