"""The demo: catalogues the running Python's library and packages on worker processes.

    this process: a client world          a supervisor and its workers, started here
    Catalogue.plan walks the trees ──▶ store ──▶ CatalogueFile × thousands, PackageSummary × dozens
    progress bar ◀── counts in the store         finalize: one JSON report

``python -m examples.catalogue [ROOT…]``; ``--help`` tells the options.
"""

from __future__ import annotations

import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import click
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from dynflow_mp import ExecutionPlan, Phase, StepState, Triggered, World
from examples.catalogue_actions import Catalogue
from examples.supervisor_process import SupervisorProcess

LOOK_S = 0.2
"""How often to look how far the plan is."""
DONE = (StepState.SUCCESS, StepState.SKIPPED)
LONGEST_S = 3600.0
"""The longest that a run may take."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("roots", nargs=-1, type=click.Path(exists=True, file_okay=False))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1))
@click.option("--database", help="SQLAlchemy URL; a fresh SQLite file when left out.")
@click.option("--report", default="catalogue.json", show_default=True, type=click.Path(dir_okay=False))
@click.option("--keep", is_flag=True, help="Keep the fresh SQLite file and say where it is.")
def main(roots: tuple[str, ...], workers: int, database: str | None, report: str, keep: bool) -> None:
    """Catalogue the files below ROOTS (default: the standard library and the installed packages)."""
    console = Console()
    path = Path(report).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = list(roots) or default_roots()
    with (
        a_database(database, keep, console) as url,
        SupervisorProcess(url, "examples.catalogue_actions", workers) as supervisor,
    ):
        console.print(supervisor.ready_line, highlight=False, soft_wrap=True)
        began = perf_counter()
        plan = catalogue(url, chosen, str(path), console)
        seconds = perf_counter() - began
        # While the database is there: a large plan reads its steps and actions when they are looked at.
        status = show(plan, path, seconds, workers, console)
    sys.exit(status)


def default_roots() -> list[str]:
    paths = sysconfig.get_paths()
    return [paths["stdlib"], paths["purelib"]]


@contextmanager
def a_database(given: str | None, keep: bool, console: Console) -> Iterator[str]:
    """The database asked for, or a fresh file."""
    if given is not None:
        yield given
    elif keep:
        file = Path(tempfile.mkdtemp(prefix="dynflow-demo-")) / "catalogue.db"
        console.print(f"the plan is kept in {file}", highlight=False, soft_wrap=True)
        yield f"sqlite:///{file}"
    else:
        with tempfile.TemporaryDirectory(prefix="dynflow-demo-") as directory:
            yield f"sqlite:///{directory}/catalogue.db"


def catalogue(url: str, roots: list[str], report: str, console: Console) -> ExecutionPlan:
    """Trigger the plan from a client world and watch it to its end."""
    with World(database_url=url) as world:
        with console.status("planning"):
            triggered = world.trigger(Catalogue, roots, report)
        if not isinstance(triggered, Triggered):
            raise SystemExit(f"the catalogue could not be planned: {triggered}")
        watch(world, triggered.id, triggered.finished, console)
        return triggered.finished.result(LONGEST_S)


def watch(world: World, plan_id: str, finished: Future[Any], console: Console) -> None:
    """A live bar of the plan's steps until its future ends."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("steps", total=None)
        while not wait([finished], LOOK_S).done:
            advance(progress, task, world, plan_id)
        advance(progress, task, world, plan_id)


def advance(progress: Progress, task: Any, world: World, plan_id: str) -> None:
    """One count by state in the database: the plan itself is not read while it runs."""
    counts = [found for found in world.persistence.step_counts(plan_id) if found.phase != Phase.PLAN]
    done = sum(found.number for found in counts if found.state in DONE)
    progress.update(task, completed=done, total=sum(found.number for found in counts))


def show(plan: ExecutionPlan, report: Path, seconds: float, workers: int, console: Console) -> int:
    """The largest files and the totals; returns the exit status."""
    if plan.state != "stopped" or plan.result != "success":
        console.print(f"plan {plan.id} is {plan.state} with result {plan.result}", highlight=False)
        for error in plan.errors[:5]:
            console.print(f"  {error}", highlight=False, markup=False)
        return 1
    output = plan.entry_action.output
    console.print(table_of(output["largest"]))
    totals = output["totals"]
    console.print(
        f"{decimal(totals['size'])} ({decimal(totals['compressed'])} compressed), {totals['lines']:,} lines, "
        f"{totals['functions']:,} functions, {totals['classes']:,} classes, "
        f"{totals['findings']:,} files with findings",
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"report: {report}", highlight=False, soft_wrap=True)
    print(f"{totals['files']:,} files catalogued in {seconds:.1f} s on {workers} workers")
    return 0


def table_of(files: list[dict[str, Any]]) -> Table:
    table = Table(title="the largest files", title_justify="left")
    table.add_column("size", justify="right")
    table.add_column("file", overflow="fold")
    for file in files:
        table.add_row(decimal(file["size"]), file["path"])
    return table


if __name__ == "__main__":
    main()
