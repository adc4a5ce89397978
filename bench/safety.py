"""``python -m bench.safety``: what fence, lease and captures cost, as a ratio of runs with them to runs without, in turns.

Ratio 1.00 is no cost at all. For ``fan_out`` (steps a second) it may fall to 0.90, for ``chain`` (milliseconds a step) rise to 1.25.
"""

from __future__ import annotations

import json
from typing import Any

import click

from bench import databases, site
from bench.careless_supervisor import LEFT_OUT
from bench.pairs import compared, paired
from bench.product import Supervisor, run_client
from bench.workloads import WORKLOADS

CLIENT_S = 900.0


def once(workload: str, size: int, here: site.Site, database: str, without: tuple[str, ...]) -> float:
    """One run on a fresh database."""
    with databases.fresh(database, here) as url, Supervisor(url, 2, without=without):
        return float(run_client(workload, url, size, False, CLIENT_S)["value"])


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("workloads", nargs=-1, type=click.Choice(["fan_out", "chain", "many_plans"]))
@click.option("--database", default="postgresql", show_default=True)
@click.option("--runs", default=5, show_default=True, type=click.IntRange(1), help="Pairs of runs.")
@click.option("--size", type=click.IntRange(1), help="Steps, instead of each workload's own.")
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(list(LEFT_OUT)),
    help="What to leave out; everything, if it is not given.",
)
def main(
    workloads: tuple[str, ...], database: str, runs: int, size: int | None, without: tuple[str, ...]
) -> None:
    """Run WORKLOADS (fan_out and chain) with and without what keeps plans safe; one JSON object per line."""
    left_out = without or tuple(LEFT_OUT)
    with site.opened() as here:
        for name in workloads or ("fan_out", "chain"):
            click.echo(json.dumps(in_turns(name, size, here, databases.url_of(database), runs, left_out)))


def in_turns(
    name: str, size: int | None, here: site.Site, database: str, runs: int, left_out: tuple[str, ...]
) -> dict[str, Any]:
    """A workload with all that keeps plans safe, and without what is left out."""
    steps = WORKLOADS[name].size if size is None else size
    pairs = paired(lambda safe: once(name, steps, here, database, () if safe else left_out), runs)
    return {**compared(name, steps, database, ("safe", "careless"), pairs), "without": list(left_out)}


if __name__ == "__main__":
    main()
