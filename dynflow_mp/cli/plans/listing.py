"""``dynflow-mp plans list``."""

from __future__ import annotations

from typing import Any

import click

from dynflow_mp.cli.opening import Where
from dynflow_mp.cli.options import on_database, prints
from dynflow_mp.cli.plans.filters import Filters, filtered
from dynflow_mp.cli.terminal import Terminal
from dynflow_mp.cli.words import moment, share, span
from dynflow_mp.model.plan_orders import ORDERS


@click.command("list")
@filtered
@click.option("--order-by", type=click.Choice(ORDERS), help=f"By default {ORDERS[0]}.")
@click.option("--desc/--asc", default=None, help="The last or the first in front; by default the last.")
@click.option("--page", type=click.IntRange(0), default=0, show_default=True, help="Which page, from 0.")
@click.option(
    "--per-page", type=click.IntRange(1, 500), default=50, show_default=True, help="Plans on a page."
)
@on_database
@prints
def list_plans(filters: Filters, where: Where, terminal: Terminal, **paging: Any) -> None:
    """List plans, the last that started in front, page by page.

    With --json one object: plans, total, page, per_page, cut.
    """
    from dynflow_mp.reading.plan_shape import page_shape

    if paging["desc"] is not None:
        paging["desc"] = str(paging["desc"]).lower()
    query = filters.query(**paging)
    with where.looked_at(actions=False) as look:
        page = look.library.page_of_plans(query)
    if terminal.as_json:
        terminal.json(page_shape(page))
        return
    terminal.table(
        ("ID", "STATE", "RESULT", "DONE", "STARTED (UTC)", "TOOK", "LABEL"),
        [_row(line) for line in page.plans],
        flexible="LABEL",
        spare=("TOOK", "STARTED (UTC)", "DONE"),
    )
    terminal.line(_extent(page.total, query))
    if page.cut:
        terminal.line("the text was looked for in the newest plans with errors only: filters narrow it down")


def _row(line: Any) -> tuple[str, ...]:
    return (
        line.id,
        str(line.state),
        str(line.result),
        share(line.progress),
        moment(line.started_at),
        span(line.duration_s),
        line.label if line.valid else f"{line.label} (cannot be read)",
    )


def _extent(total: int, query: Any) -> str:
    pages = max(1, -(-total // query.per_page))
    many = f"{total:,} plan{'' if total == 1 else 's'}"
    return many if pages == 1 else f"{many}, page {query.page} of 0 to {pages - 1}"
