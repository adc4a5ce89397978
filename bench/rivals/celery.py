"""Celery: chains of tasks through RabbitMQ, results in a database.

Configuration (celery 5.7.0; the guides are those of docs.celeryq.dev):

* Broker RabbitMQ, one of its two stable ones ("Backends and Brokers"). Queues are durable and messages persistent by default ("Optimizing", transient queues).
* ``task_acks_late`` with ``task_reject_on_worker_lost``: a task whose worker died runs again.
* ``worker_prefetch_multiplier``: "Optimizing" says 1 for long tasks, 64 or 128 for many short ones, and to experiment. The default, 4, was the
  fastest of 1, 4 and 64 in one trial here with late acknowledgement, so it is 4.
* The default pool, prefork, with as many processes as we have workers.
* ``--results=database`` keeps every result in the same kind of database as ours (SQLAlchemy backend): the durable setting.
  ``--results=redis`` is the usual, faster one; the Redis here keeps nothing on disk.

Publisher confirms are on: without them ``apply_async`` returns before the broker has the message, where our ``trigger``
returns when the plan is stored. Fan-out is given at most ``MOST`` tasks: it is a rate.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from time import perf_counter
from typing import Any
from uuid import uuid4

from celery import Celery
from celery import chain as chained
from kombu import Queue

BACKEND, QUEUE = "BENCH_CELERY_BACKEND", "BENCH_CELERY_QUEUE"
BROKER = "amqp://guest:guest@127.0.0.1:5672//"
REDIS = "redis://127.0.0.1:6379/9"
FIRST = 10
MOST = 1_000
TIMEOUT_S = 300.0
LOOK_S = 0.02
"""How often a result is looked for where it does not come by itself."""
FORGOTTEN_S = 600
"""What a killed run leaves at the broker and in Redis is gone after this."""

app = Celery("bench", broker=BROKER, backend=os.environ.get(BACKEND))
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=4,
    broker_transport_options={"confirm_publish": True},
    broker_connection_retry_on_startup=True,
    result_expires=FORGOTTEN_S,
    task_default_queue=os.environ.get(QUEUE, "bench"),
    task_queues=[
        Queue(os.environ.get(QUEUE, "bench"), durable=True, queue_arguments={"x-expires": FORGOTTEN_S * 1000})
    ],
)


def add_one(n: int) -> int:
    return n + 1


one = app.task(name="bench.one")(add_one)


def in_turn(steps: int, first: int) -> Any:
    return chained(one.s(first), *[one.s() for _ in range(steps - 1)]).apply_async()


def result(of: Any) -> Any:
    return of.get(timeout=TIMEOUT_S, interval=LOOK_S)


def many_plans(size: int) -> float:
    for number in range(FIRST):
        result(in_turn(3, number))
    began = perf_counter()
    asked = [in_turn(3, number) for number in range(size)]
    for number, last in enumerate(asked):
        if result(last) != number + 3:
            raise SystemExit(f"chain {number} came to something else than {number + 3}")
    return size / (perf_counter() - began)


def chain_ms(size: int) -> float:
    result(in_turn(FIRST, 0))
    began = perf_counter()
    if result(in_turn(size, 0)) != size:
        raise SystemExit(f"the chain did not count to {size}")
    return 1000 * (perf_counter() - began) / size


def fan_per_s(size: int) -> float:
    result(one.delay(0))
    began = perf_counter()
    for asked in [one.delay(number) for number in range(size)]:
        result(asked)
    return size / (perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("workload", choices=("many_plans", "chain", "fan_out"))
    parser.add_argument("--database", required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--results", choices=("database", "redis"), default="database")
    options = parser.parse_args()
    if BACKEND not in os.environ:
        backend = f"db+{options.database}" if options.results == "database" else REDIS
        run_again({BACKEND: backend, QUEUE: f"bench_{uuid4().hex[:8]}"})
        return
    worker = start_worker(options.workers)
    try:
        print(json.dumps({"value": measured(options.workload, options.size)}))
    finally:
        worker.terminate()
        worker.communicate()
        with app.connection_for_write() as connection:
            connection.default_channel.queue_delete(os.environ[QUEUE])


def run_again(environment: dict[str, str]) -> None:
    """The application is configured when it is imported, so what it needs must be in the environment before."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.rivals.celery", *sys.argv[1:]], env={**os.environ, **environment}
    )
    raise SystemExit(done.returncode)


def start_worker(processes: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "celery", "--app=bench.rivals.celery", "worker", "--pool=prefork"]
    command += [f"--concurrency={processes}", "--loglevel=ERROR", "--without-gossip", "--without-mingle"]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def measured(workload: str, size: int) -> float:
    if workload == "many_plans":
        return many_plans(size)
    return chain_ms(size) if workload == "chain" else fan_per_s(min(size, MOST))


if __name__ == "__main__":
    main()
