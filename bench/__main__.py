"""``python -m bench``: measures the engine as users run it, against what ran seconds before it."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console

from bench import costs, databases, report, runner, site
from bench.choice import Choice, chosen
from bench.rivals import TOOLS, environments
from bench.workloads import WORKLOADS

NAMES = ("ceiling", *WORKLOADS)
IN_PROCESS = ("process_pool",)
SMALL = "small"
notes = Console(stderr=True)


class Size(click.ParamType[int | str]):
    """A number of steps or plans, or ``small``."""

    name = "size"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        if value == SMALL or isinstance(value, int):
            return value
        return click.IntRange(1).convert(value, parameter, context)


def rival_names(
    context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[str, ...]:
    """``--against`` may be repeated and may hold a list with commas; ``none`` is nobody."""
    names = tuple(
        name.strip() for part in given for name in part.split(",") if name.strip() not in ("", "none")
    )
    for name in names:
        if name not in (*IN_PROCESS, *TOOLS):
            raise click.BadParameter(f"{name!r} is none of {', '.join((*IN_PROCESS, *TOOLS))}")
    return names


def usable(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """A database that somebody names must answer."""
    for database in given:
        reason = databases.why_not(databases.url_of(database))
        if reason:
            raise click.BadParameter(f"{database!r}: {reason}")
    return given


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("workloads", nargs=-1, type=click.Choice(NAMES), metavar="[WORKLOADS]...")
@click.option(
    "--database",
    "named",
    multiple=True,
    callback=usable,
    help="sqlite, postgresql, mysql or an SQLAlchemy URL; may be repeated. Every run gets a fresh file or database beside the one it names.",
)
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1))
@click.option(
    "--against",
    multiple=True,
    default=IN_PROCESS,
    callback=rival_names,
    help=f"Rivals to run beside it: {', '.join((*IN_PROCESS, *TOOLS))}, none; process_pool by default.",
)
@click.option("--runs", default=5, show_default=True, type=click.IntRange(1))
@click.option(
    "--size", type=Size(), help="Steps or plans, instead of each workload's own; small: only to see it work."
)
@click.option("--count", "counting", is_flag=True, help="Count statements, rows, commits, bytes per step.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def main(
    workloads: tuple[str, ...],
    named: tuple[str, ...],
    workers: int,
    against: tuple[str, ...],
    runs: int,
    size: int | str | None,
    counting: bool,
    as_json: bool,
) -> None:
    """Measure WORKLOADS; without any, all on SQLite, fan_out and chain on PostgreSQL where it answers."""
    choices = chosen(workloads, named, NAMES, counting, left_out)
    with site.opened() as here, notes.status("starting") as status:
        able = against if counting else able_rivals(against, choices)
        settings = runner.Settings(here, "", workers, runs, size != SMALL, able, status.update)
        if counting:
            show_counts(choices, size, settings, as_json)
        else:
            show_results(choices, size, settings, as_json)


def left_out(kind: str) -> bool:
    """Whether a server that nobody named is not there; says so."""
    reason = databases.why_not(databases.url_of(kind))
    if reason:
        notes.print(f"left out: {kind}: {reason}")
    return reason is not None


def able_rivals(against: tuple[str, ...], choices: list[Choice]) -> tuple[str, ...]:
    """Those that can run here; the others are left out with a line saying so."""
    wanted = {
        name
        for choice in choices
        if choice.workload in WORKLOADS
        for name in WORKLOADS[choice.workload].rivals
    }
    able = []
    for name in against:
        reason = environments.why_not(name) if name in TOOLS and name in wanted else None
        if reason:
            notes.print(f"left out: {name}: {reason}")
        else:
            able.append(name)
    return tuple(able)


def show_results(
    choices: list[Choice], size: int | str | None, settings: runner.Settings, as_json: bool
) -> None:
    results: list[runner.Result] = []
    try:
        for choice in choices:
            found = measured(choice, size, on(choice, settings))
            results += found
            for result in found if as_json else ():
                click.echo(report.result_json(result))
    finally:  # a set takes half an hour: what there is of one that broke off is worth showing
        if results and not as_json:
            report.show_results(Console(), results, settings.runs)


def measured(choice: Choice, size: int | str | None, settings: runner.Settings) -> list[runner.Result]:
    if choice.workload == "ceiling":
        return runner.bare_loops(settings)
    return [runner.measure(WORKLOADS[choice.workload], size_of(choice, size), settings)]


def show_counts(
    choices: list[Choice], size: int | str | None, settings: runner.Settings, as_json: bool
) -> None:
    counted = [
        line
        for choice in choices
        if choice.workload in WORKLOADS and WORKLOADS[choice.workload].client is not None
        for line in costs.count(WORKLOADS[choice.workload], size_of(choice, size), on(choice, settings))
    ]
    if as_json:
        for line in counted:
            click.echo(report.counted_json(line))
    else:
        report.show_counts(Console(), counted)


def on(choice: Choice, settings: runner.Settings) -> runner.Settings:
    """The settings for this database and the rivals that can use it."""
    url = databases.url_of(choice.database)
    kind = databases.kind(url)
    able = [name for name in settings.against if name not in TOOLS or kind in TOOLS[name].databases]
    return settings._replace(database=url, against=tuple(able))


def size_of(choice: Choice, size: int | str | None) -> int:
    workload = WORKLOADS[choice.workload]
    if size is None:
        return workload.size
    return workload.small if isinstance(size, str) else size


if __name__ == "__main__":
    main()
