"""Plans that something is to be done with: named one by one, or all that filters let through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from dynflow_mp.cli.deeds import by
from dynflow_mp.cli.escaping import in_one_line
from dynflow_mp.cli.exit_status import BROKEN, INTERRUPTED, WELL
from dynflow_mp.cli.options import asked, dry_run_option, plans_argument, yes_option
from dynflow_mp.cli.plans.filters import Filters, filtered_or_failed
from dynflow_mp.cli.terminal import Terminal
from dynflow_mp.cli.waiting import until

if TYPE_CHECKING:
    from dynflow_mp.world.world import World

_Command = Callable[..., Any]
_TELL_S = 2.0
_LET_GO_S = 2.0


def chosen(command: _Command) -> _Command:
    """``PLAN_ID…`` or filters, ``--all``, ``--yes``, ``--dry-run``; the command gets ``plan_ids``, ``filters`` (None where
    plans are named), ``yes`` and ``dry_run``."""

    @plans_argument
    @filtered_or_failed
    @click.option("--all", "everything", is_flag=True, help="Of all plans there are, without any filter.")
    @yes_option
    @dry_run_option
    @wraps(command)
    def choosing(
        *args: Any, plan_ids: tuple[str, ...], filters: Filters, everything: bool, **options: Any
    ) -> Any:
        _check(plan_ids, filters, everything)
        return command(*args, plan_ids=plan_ids, filters=None if plan_ids else filters, **options)

    return choosing


def _check(plan_ids: Sequence[str], filters: Filters, everything: bool) -> None:
    if plan_ids and (filters or everything):
        raise click.UsageError("name plans by their ids, or choose them by filters, not both")
    if filters and everything:
        raise click.UsageError("--all is for no filters at all")
    if not plan_ids and not filters and not everything:
        raise click.UsageError("which plans? Name their ids, or filter them (--state paused …), or say --all")


# -- many plans at once ------------------------------------------------------------------------------

same_error_option = click.option(
    "--stop-on-same-error",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Of many plans: stop when so many have come back with the same error.",
)
MOST_AT_ONCE = 200
"""As many as a bulk deed takes, which is not imported for this: help is to be quick."""
at_once_option = click.option(
    "--at-once",
    type=click.IntRange(1, MOST_AT_ONCE),
    default=20,
    show_default=True,
    help="Of many plans: so many at a time.",
)


def in_bulk(
    world: World,
    deed: str,
    chosen: Filters | Sequence[str],
    terminal: Terminal,
    *,
    yes: bool,
    dry_run: bool,
    stop_on_same_error: int = 3,
    at_once: int = 20,
) -> int:
    """Do it to all plans that are chosen and whose state allows it, after showing how many those are and asking.

    Ctrl-C stops it: what has begun goes on, no other plan is begun.
    """
    bulk = world.bulk(deed, _plans(world, chosen), by=by())
    preview = bulk.preview()
    facts = {"total": preview.total, "eligible": preview.eligible, "refused": dict(preview.refused)}
    if dry_run:
        return told_dry(deed, facts, terminal)
    for line in _previewed(deed, facts):
        click.echo(line, err=True)
    if not preview.eligible:
        if terminal.as_json:
            terminal.json({"deed": deed, **facts, **_NOTHING})
        return WELL
    asked(f"{_named(deed)} {preview.eligible:,} plan{'' if preview.eligible == 1 else 's'}?", yes)
    run = bulk.run(stop_on_same_error=stop_on_same_error, at_once=at_once)
    interrupted = _follow(run)
    status = _told(deed, facts, run.progress, terminal)
    return INTERRUPTED if interrupted else status


def told_dry(deed: str, facts: dict[str, Any], terminal: Terminal) -> int:
    """Say to how many plans it would be done, and why not to the others: ``total``, ``eligible``, ``refused``."""
    if terminal.as_json:
        terminal.json({"deed": deed, "dry_run": True, **facts})
    for line in _previewed(deed, facts):
        terminal.line(line)
    return WELL


def _plans(world: World, chosen: Filters | Sequence[str]) -> Any:
    """As a bulk deed takes them: ids, or a query."""
    if not isinstance(chosen, Filters):
        return list(chosen)
    if chosen.failure is None:
        return chosen.query()
    return world.persistence.plans_of_failure(chosen.failure, chosen.query() if chosen.pairs else None)


_COUNTS = ("done", "succeeded", "failed", "skipped", "left")
_NOTHING: dict[str, Any] = {**dict.fromkeys(_COUNTS, 0), "stopped_because": None}


def _named(deed: str) -> str:
    return deed.replace("_", " ").capitalize()


def _previewed(deed: str, facts: dict[str, Any]) -> list[str]:
    lines = [f"{_named(deed)}: {facts['eligible']:,} of {facts['total']:,} plans that were chosen"]
    return lines + [f"  not {count:,}: {reason}" for reason, count in facts["refused"].items()]


def _follow(run: Any) -> bool:
    """Until it has ended; whether Ctrl-C did not let it."""
    next_at = monotonic() + _TELL_S

    def has_ended() -> bool:
        nonlocal next_at
        if monotonic() >= next_at:
            next_at = monotonic() + _TELL_S
            progress = run.progress
            click.echo(
                f"{progress.done:,} done, {progress.failed:,} failed, {progress.left:,} left", err=True
            )
        return bool(run.finished.done())

    try:
        until(has_ended, None, run.finished)
    except KeyboardInterrupt:
        run.stop()
        until(run.finished.done, _LET_GO_S, run.finished)
        return True
    return False


def _told(deed: str, facts: dict[str, Any], progress: Any, terminal: Terminal) -> int:
    counts = {name: getattr(progress, name) for name in _COUNTS}
    because = progress.stopped_because
    if terminal.as_json:
        terminal.json({"deed": deed, **facts, **counts, "stopped_because": because})
    terminal.line(", ".join(f"{count:,} {name}" for name, count in counts.items()))
    if because:
        click.echo(f"dynflow-mp: stopped: {in_one_line(str(because))}", err=True)
    return BROKEN if because or progress.failed else WELL
