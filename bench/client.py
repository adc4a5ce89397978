"""The client process of one run: does a workload's client part, prints what it measured as JSON."""

from __future__ import annotations

import json

import click

from bench.counting import Counts, difference
from bench.workloads import WORKLOADS
from dynflow_mp import World


@click.command()
@click.argument("workload", type=click.Choice(sorted(WORKLOADS)))
@click.option("--database", required=True)
@click.option("--size", type=int, required=True)
@click.option("--count", is_flag=True)
def main(workload: str, database: str, size: int, count: bool) -> None:
    client = WORKLOADS[workload].client
    assert client is not None, f"{workload} has no client part"
    counts = Counts()
    if count:
        counts.install()
    with World(database_url=database) as world:
        before = counts.so_far()
        measured = client(world, size)
        asked = difference(before, counts.so_far())
    print(json.dumps({**measured, "client_counts": asked if count else None}))


if __name__ == "__main__":
    main()
