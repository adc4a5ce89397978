"""``dynflow-mp plans export``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from dynflow_mp.cli.exit_status import NOT_FOUND, WELL
from dynflow_mp.cli.opening import Where
from dynflow_mp.cli.options import on_database, plans_argument
from dynflow_mp.cli.plans.filters import Filters, filtered
from dynflow_mp.errors import PlanNotFound

if TYPE_CHECKING:
    from dynflow_mp.reading.library import Library


@click.command()
@plans_argument
@filtered
@click.option(
    "--output", type=click.Path(path_type=Path), help="A new file, 0600, instead of standard output."
)
@click.option("--json", is_flag=True, expose_value=False, help="It does so anyway.")
@on_database
def export(plan_ids: tuple[str, ...], filters: Filters, output: Path | None, where: Where) -> int:
    """Write plans as JSON lines, each as 'plans show --json' shows it, the oldest first; without filters all.

    Secrets are not shown; a backup that loses nothing is what 'plans delete --backup' writes.
    """
    from dynflow_mp.cli.shapes import whole_plan_shape

    if plan_ids and filters:
        raise click.UsageError("name plans by their ids, or choose them by filters, not both")
    missing, written = [], 0
    with where.looked_at() as look, _file(output) as file:
        for plan_id in plan_ids or _all_of(look.library, filters):
            try:
                plan = look.library.load_execution_plan(plan_id)
            except PlanNotFound:
                missing.append(plan_id)  # or deleted meanwhile
                continue
            file.write(json.dumps(whole_plan_shape(plan)).replace("\x7f", "\\u007f") + "\n")
            written += 1
    if output is not None:
        click.echo(f"{written:,} plan{'' if written == 1 else 's'} in {output}", err=True)
    if plan_ids and missing:
        click.echo(f"dynflow-mp: not there: {', '.join(missing)}", err=True)
        return NOT_FOUND
    return WELL


def _all_of(library: Library, filters: Filters) -> list[str]:
    """Their ids, the oldest first: ids begin with the time."""
    return sorted(library.find_statuses(filters.query().filters()))


@contextmanager
def _file(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise click.UsageError(f"--output {path}: cannot be written: {error.strerror}") from None
    with open(made, "w", encoding="utf-8") as file:
        yield file
