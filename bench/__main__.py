"""``python -m bench``: measures the engine as users run it, against what ran seconds before it."""

from __future__ import annotations

import click
from rich.console import Console

from bench import databases, report, runner
from bench.workloads import WORKLOADS

NAMES = ("ceiling", *WORKLOADS)
RIVALS = ("process_pool",)


def rival_names(
    context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[str, ...]:
    """``--against`` may be repeated and may hold a list with commas."""
    names = tuple(name.strip() for part in given for name in part.split(",") if name.strip())
    for name in names:
        if name not in RIVALS:
            raise click.BadParameter(f"{name!r} is none of {', '.join(RIVALS)}")
    return names


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("workloads", nargs=-1, type=click.Choice(NAMES))
@click.option(
    "--database",
    default=databases.SQLITE,
    show_default="a fresh SQLite file per run",
    help="SQLAlchemy URL; every run gets a fresh file or database beside the one it names.",
)
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1))
@click.option(
    "--against",
    multiple=True,
    default=RIVALS,
    callback=rival_names,
    help="Rivals to run beside it, process_pool by default.",
)
@click.option("--runs", default=5, show_default=True, type=click.IntRange(1))
@click.option("--size", type=click.IntRange(1), help="Steps or plans, instead of each workload's own.")
@click.option("--count", "counting", is_flag=True, help="Count statements, rows, commits, bytes per step.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def main(
    workloads: tuple[str, ...],
    database: str,
    workers: int,
    against: tuple[str, ...],
    runs: int,
    size: int | None,
    counting: bool,
    as_json: bool,
) -> None:
    """Measure WORKLOADS (all when none is named): ceiling, fan_out, plan_build, chain, latency, growth."""
    progress = Console(stderr=True)
    with progress.status("starting") as status:
        settings = runner.Settings(database, workers, runs, against, status.update)
        chosen = workloads or NAMES
        if counting:
            show_counts([name for name in chosen if name in WORKLOADS], size, settings, as_json)
        else:
            show_results(chosen, size, settings, as_json)


def show_results(chosen: tuple[str, ...], size: int | None, settings: runner.Settings, as_json: bool) -> None:
    results: list[runner.Result] = []
    for name in chosen:
        found = runner.bare_loops(settings) if name == "ceiling" else [measured(name, size, settings)]
        results += found
        for result in found if as_json else ():
            click.echo(report.result_json(result))
    if not as_json:
        report.show_results(Console(), results, settings.runs)


def measured(name: str, size: int | None, settings: runner.Settings) -> runner.Result:
    workload = WORKLOADS[name]
    return runner.measure(workload, size or workload.size, settings)


def show_counts(chosen: list[str], size: int | None, settings: runner.Settings, as_json: bool) -> None:
    counted = [
        line
        for name in chosen
        for line in runner.count(WORKLOADS[name], size or WORKLOADS[name].size, settings)
    ]
    if as_json:
        for line in counted:
            click.echo(report.counted_json(line))
    else:
        report.show_counts(Console(), counted)


if __name__ == "__main__":
    main()
