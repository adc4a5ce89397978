"""``dynflow-mp plans failures``."""

from __future__ import annotations

from typing import Any

import click

from dynflow_mp.cli.escaping import cut
from dynflow_mp.cli.opening import Where
from dynflow_mp.cli.options import on_database, prints
from dynflow_mp.cli.plans.filters import Filters, filtered
from dynflow_mp.cli.terminal import Terminal
from dynflow_mp.cli.words import moment

_LONGEST = 300


@click.command()
@filtered
@click.option("--most", type=click.IntRange(1, 1000), default=200, show_default=True, help="So many groups.")
@on_database
@prints
def failures(filters: Filters, most: int, where: Where, terminal: Terminal) -> None:
    """Group plans whose steps failed by their errors: numbers, ids, times and paths in them do not count.

    'plans resume --failure KEY' resumes the plans behind one.
    """
    with where.looked_at(actions=False) as look:
        groups = look.library.failure_groups(filters.query() if filters else None, most)
    if terminal.as_json:
        terminal.json({"groups": [_shape(group) for group in groups], "cut": groups.cut})
        return
    for group in groups:
        plans = f"{group.plan_count:,} plan{'' if group.plan_count == 1 else 's'}"
        terminal.line(
            (plans, "bold"),
            f", {group.step_count:,} step{'' if group.step_count == 1 else 's'}, {moment(group.first_at)} to {moment(group.last_at)}",
        )
        terminal.line("  ", (cut(f"{group.exception_class}: {group.message}", _LONGEST), "red"))
        terminal.line(f"  {', '.join(group.action_classes)}; key {group.key}")
        shown = list(group.plan_ids)[:3]
        terminal.line(f"  {', '.join(shown)}", " …" if group.plan_count > len(shown) else "")
    if groups.cut:
        terminal.line("there are more, older ones: filters narrow it down")
    if not groups:
        terminal.line("no step of a stored plan is in error")


def _shape(group: Any) -> dict[str, Any]:
    from dynflow_mp.reading.data_shape import time_shape

    return {
        "key": group.key,
        "exception_class": group.exception_class,
        "message": group.message,
        "action_classes": list(group.action_classes),
        "plan_count": group.plan_count,
        "step_count": group.step_count,
        "first_at": time_shape(group.first_at),
        "last_at": time_shape(group.last_at),
        "plan_ids": list(group.plan_ids),
        "example": group.example._asdict(),
    }
