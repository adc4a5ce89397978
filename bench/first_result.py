"""A user's program with an embedded world: says ``done`` when its first plan has succeeded."""

from __future__ import annotations

import sys

from bench.actions import Nothing
from bench.workloads.workload import triggered
from dynflow_mp import World

TIMEOUT_S = 60.0


def main(url: str, workers: int) -> None:
    with World(database_url=url, workers=workers) as world:
        plan = triggered(world, Nothing).finished.result(TIMEOUT_S)
        print("done" if plan.result == "success" else plan.errors, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
