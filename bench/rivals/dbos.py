"""DBOS Transact: workflows of steps, each step's output stored before the next one begins.

Everything is its default, as its own documents have it (docs.dbos.dev, below python/; dbos 3.4.0):

* tutorials/database-connection: SQLite unless told otherwise, PostgreSQL recommended for production. SQLite is left as DBOS opens it: rollback journal,
  SQLite's own ``synchronous=FULL``. PostgreSQL commits as the server is set (``fsync=on``, ``synchronous_commit=on``).
* tutorials/workflow-tutorial: a workflow is started in the background with ``DBOS.start_workflow``, which returns when it is stored.
* tutorials/queue-tutorial and reference/client: from another process ``DBOSClient.enqueue``; application processes take from the
  queue, looking every second by default.
* Steps at once are async steps under ``asyncio.gather``, in one workflow: our choice, the cheapest form we found.

Both ways of running many workflows are measured and the better one counts: ``start_workflow`` in one process, where
everything happens without a hop between processes; and the queue with as many application processes as we have workers.
Fan-out is given at most ``MOST`` steps: it is a rate.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

from dbos import DBOS, DBOSClient

FIRST = 10
MOST = 1_000
QUEUE = "bench"
VERSION = "bench"
RESULT_POLL_S = 0.05
"""How often a client looks for a result; by default once a second, which would be counted against it."""


def add_one(n: int) -> int:
    return n + 1


async def add_one_async(n: int) -> int:
    return n + 1


one = DBOS.step()(add_one)
one_async = DBOS.step()(add_one_async)


def add_three(n: int) -> int:
    return int(one(one(one(n))))


def add_many(steps: int) -> int:
    last = 0
    for _ in range(steps):
        last = one(last)
    return last


async def add_to_each(steps: int) -> int:
    return sum(await asyncio.gather(*[one_async(number) for number in range(steps)]))


three = DBOS.workflow(name="three")(add_three)
chain = DBOS.workflow(name="chain")(add_many)
fan = DBOS.workflow(name="fan")(add_to_each)


def launch(url: str) -> None:
    DBOS(
        config={
            "name": "bench",
            "system_database_url": url,
            "application_version": VERSION,
            "log_level": "ERROR",
        }
    )
    DBOS.launch()


def started(size: int) -> float:
    """Workflows started in this process, workflows a second."""
    return per_s(size, lambda n: DBOS.start_workflow(three, n), lambda handle: handle.get_result())


def queued(url: str, size: int, workers: int) -> float:
    """Workflows put into the queue by a client, run by application processes."""
    command = [sys.executable, "-m", "bench.rivals.dbos", "serve", f"--database={url}"]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(workers)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        client = DBOSClient(system_database_url=url)
        options: Any = {"queue_name": QUEUE, "workflow_name": "three", "app_version": VERSION}
        return per_s(
            size,
            lambda n: client.enqueue(options, n),
            lambda handle: handle.get_result(polling_interval_sec=RESULT_POLL_S),
        )
    finally:
        for process in processes:
            process.communicate()


def per_s(size: int, ask: Callable[[int], Any], result: Callable[[Any], Any]) -> float:
    for number in range(FIRST):
        result(ask(number))
    began = perf_counter()
    handles = [ask(number) for number in range(size)]
    for number, handle in enumerate(handles):
        if result(handle) != number + 3:
            raise SystemExit(f"workflow {number} came to something else than {number + 3}")
    return size / (perf_counter() - began)


def serve(url: str) -> None:
    """An application process: takes from the queue until its standard input ends."""
    launch(url)
    DBOS.register_queue(QUEUE)
    print("ready", flush=True)
    sys.stdin.read()
    DBOS.destroy()


def chain_ms(size: int) -> float:
    DBOS.start_workflow(chain, FIRST).get_result()
    began = perf_counter()
    DBOS.start_workflow(chain, size).get_result()
    return 1000 * (perf_counter() - began) / size


def fan_per_s(size: int) -> float:
    asyncio.run(fan(FIRST))
    began = perf_counter()
    asyncio.run(fan(size))
    return size / (perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("workload", choices=("many_plans", "chain", "fan_out", "serve"))
    parser.add_argument("--database", required=True)
    parser.add_argument("--size", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if options.workload == "serve":
        serve(options.database)
        return
    launch(options.database)
    if options.workload == "many_plans":
        here = started(options.size)
        DBOS.destroy()
        value = max(here, queued(options.database, options.size, options.workers))
    else:
        value = chain_ms(options.size) if options.workload == "chain" else fan_per_s(min(options.size, MOST))
        DBOS.destroy()
    print(json.dumps({"value": value}))


if __name__ == "__main__":
    main()
