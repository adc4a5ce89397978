"""What each way between worlds costs: ``python -m bench.connectors [sqlite | postgresql | mysql …]``.

Plans go over one connector and the other in turn, so that whatever else the machine does meets both alike.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import perf_counter, sleep
from typing import Any

import psutil

from bench import databases
from bench.product import Supervisor
from bench.site import Site, opened
from bench.spread import percentile
from bench.workloads.latency import one_plan_ms
from bench.workloads.many_plans import run_plans
from dynflow_mp import World

CONNECTORS = ("zeromq", "database")
WARM_UP, PLANS, AT_ONCE, ROUNDS = 10, 200, 200, 3
IDLE_S = 5.0


class Pair:
    """A supervisor and a client that reach each other over one connector."""

    def __init__(self, connector: str, supervisor: Supervisor, client: World) -> None:
        self.connector, self.supervisor, self.client = connector, supervisor, client
        self.plan_ms: list[float] = []
        self.ping_ms: list[float] = []
        self.plans_a_s: list[float] = []
        (executor,) = client.coordinator.find_worlds(executor=True)
        self._executor = executor.id

    def one_ping_ms(self) -> float:
        began = perf_counter()
        self.client.ping(self._executor, timeout=30).result(60)
        return 1000 * (perf_counter() - began)

    def many(self) -> float:
        began = perf_counter()
        run_plans(self.client, AT_ONCE)
        return AT_ONCE / (perf_counter() - began)

    def result(self, idle_percent: float) -> dict[str, Any]:
        return {
            "connector": self.connector,
            "ping_ms_p50": round(percentile(self.ping_ms, 50), 2),
            "plan_ms_p50": round(percentile(self.plan_ms, 50), 2),
            "plan_ms_p99": round(percentile(self.plan_ms, 99), 2),
            "plans_a_s": round(max(self.plans_a_s), 1),
            "idle_supervisor_cpu_percent": round(idle_percent, 2),
        }


@contextmanager
def a_pair(connector: str, database: str, site: Site) -> Iterator[Pair]:
    with databases.fresh(database, site) as url:
        os.environ["DYNFLOW_CONNECTOR"] = connector
        with Supervisor(url, workers=1) as supervisor, World(database_url=url) as client:
            yield Pair(connector, supervisor, client)


def idle_percent(pair: Pair) -> float:
    """How much of one processor the supervisor takes while nothing goes on."""
    process = psutil.Process(pair.supervisor.process.pid)
    before = process.cpu_times()
    sleep(IDLE_S)
    after = process.cpu_times()
    return 100 * (after.user + after.system - before.user - before.system) / IDLE_S


def measure(database: str, site: Site) -> Iterator[dict[str, Any]]:
    with ExitStack() as kept:
        pairs = [kept.enter_context(a_pair(connector, database, site)) for connector in CONNECTORS]
        for pair in pairs:
            run_plans(pair.client, WARM_UP)
        for _ in range(PLANS):
            for pair in pairs:
                pair.plan_ms.append(one_plan_ms(pair.client))
                pair.ping_ms.append(pair.one_ping_ms())
        for _ in range(ROUNDS):
            for pair in pairs:
                pair.plans_a_s.append(pair.many())
        sleep(2.0)  # the pace of looking slows down
        for pair in pairs:
            yield {"database": databases.kind(databases.url_of(database)), **pair.result(idle_percent(pair))}


def main(wanted: list[str]) -> None:
    with opened() as site:
        for database in wanted or [databases.SQLITE]:
            for line in measure(databases.url_of(database), site):
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
