"""The ceiling: the smallest program that does the same durable work without an engine.

    rows ─▶ mark running ─▶ commit ─▶ ROUTER ─▶ worker (no-op) ─▶ ROUTER ─▶ state, times, output ─▶ commit
            └──────────────────── one transaction a turn for all of it ────────────────────┘

One process owns the database and a ROUTER socket, two worker processes answer no-op jobs. Every step
is written as an engine must write it: a running mark before it is sent; state, times and output after.
There is no plan, no lock, no guard, no recovery: what an engine adds is the gap to these numbers.
It stays as it is, also when the engine needs more rows than it writes.

``python -m bench.ceiling fan_out --n 10000 --in-flight 64`` prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgpack
import zmq
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    create_engine,
    event,
    insert,
    update,
)

WORKERS = 2
DEADLINE_S = 30.0

steps = Table(
    "bench_ceiling_steps",
    MetaData(),
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("state", String(15), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("input", LargeBinary),
    Column("output", LargeBinary),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("execution_time", Float),
    Column("real_time", Float),
)
MARK_RUNNING = (
    update(steps)
    .where(steps.c.id == bindparam("step"))
    .values(state="running", attempts=1, started_at=bindparam("at"))
)
SAVE_OUTCOME = (
    update(steps)
    .where(steps.c.id == bindparam("step"))
    .values(
        state="success",
        ended_at=bindparam("at"),
        execution_time=bindparam("spent"),
        real_time=bindparam("passed"),
        output=bindparam("result"),
    )
)


class Measured(NamedTuple):
    """One run of the bare loop."""

    n: int
    seconds: float
    build_seconds: float
    """Inserting one row per step, in one transaction."""

    @property
    def steps_per_s(self) -> float:
        return self.n / self.seconds

    @property
    def ms_per_step(self) -> float:
        return 1000 * self.seconds / self.n

    @property
    def rows_per_s(self) -> float:
        return self.n / self.build_seconds


def measure(url: str, mode: str, n: int, in_flight: int = 64, payload: int = 0) -> Measured:
    """Run the bare loop once, in a process of its own; each step with ``payload`` further bytes in and out."""
    command = [sys.executable, "-m", "bench.ceiling", mode, "--database", url]
    command += ["--n", str(n), "--in-flight", str(in_flight), "--payload", str(payload)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=DEADLINE_S + n / 1000)
    return Measured(**json.loads(answer.stdout))


# -- the loop ------------------------------------------------------------------------------------


class Loop:
    """The bare loop: hears what there is, commits it with the next marks, then sends."""

    def __init__(self, connection: Connection, socket: zmq.Socket[bytes], workers: list[bytes]) -> None:
        self.connection, self.socket, self.workers = connection, socket, workers

    def fan_out(self, n: int, in_flight: int, data: bytes = b"") -> None:
        """``n`` independent steps, ``in_flight`` of them at the workers."""
        waiting = ((step, input_of(step, data)) for step in range(1, n + 1))
        share = in_flight // len(self.workers)
        self.turn([], [(worker, take(waiting, share)) for worker in self.workers])
        done = 0
        while done < n:
            heard = self.hear()
            done += sum(len(outcomes) for _, outcomes in heard)
            jobs = [(worker, take(waiting, len(outcomes))) for worker, outcomes in heard]
            self.turn([outcome for _, outcomes in heard for outcome in outcomes], jobs)

    def chain(self, n: int) -> None:
        """``n`` steps one after the other, each taking the last one's output."""
        worker = self.workers[0]
        self.turn([], [(worker, [(1, {"n": 0})])])
        for step in range(1, n + 1):
            (_, outcomes), *_ = self.hear()
            result = outcomes[0][3]
            following = [(step + 1, msgpack.unpackb(result))] if step < n else []
            self.turn(outcomes, [(worker, following)])

    def hear(self) -> list[tuple[bytes, list[Any]]]:
        """Every outcome that is there; waits for the first."""
        if not self.socket.poll(int(DEADLINE_S * 1000)):
            raise TimeoutError("no worker answered")
        heard: list[tuple[bytes, list[Any]]] = []
        while True:
            try:
                worker, frame = self.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return heard
            heard.append((worker, msgpack.unpackb(frame)))

    def turn(self, outcomes: list[Any], jobs: list[tuple[bytes, list[tuple[int, Any]]]]) -> None:
        """Commit what came and what is about to be sent, then send it."""
        now = time.time_ns() // 1000
        saved = [
            {"step": step, "at": ended_at, "spent": spent, "passed": spent, "result": output}
            for step, ended_at, spent, output in outcomes
        ]
        marked = [{"step": step, "at": now} for _, batch in jobs for step, _ in batch]
        with self.connection.begin():
            if saved:
                self.connection.execute(SAVE_OUTCOME, saved)
            if marked:
                self.connection.execute(MARK_RUNNING, marked)
        for worker, batch in jobs:
            if batch:
                self.socket.send_multipart((worker, msgpack.packb(batch)))


def take(waiting: Iterator[tuple[int, Any]], count: int) -> list[tuple[int, Any]]:
    """The next ``count`` jobs, or what is left of them."""
    return list(islice(waiting, count))


def input_of(step: int, data: bytes) -> dict[str, Any]:
    """The input of a step."""
    return {"n": step, "data": data} if data else {"n": step}


# -- around it -----------------------------------------------------------------------------------


def run_once(url: str, mode: str, n: int, in_flight: int, data: bytes) -> Measured:
    """One measured run on a fresh table of ``url``, in this process."""
    engine = open_engine(url)
    steps.create(engine)
    try:
        with engine.connect() as connection, started_workers() as (socket, workers):
            build_seconds = insert_rows(connection, n, data)
            loop = Loop(connection, socket, workers)
            began = time.perf_counter()
            loop.chain(n) if mode == "chain" else loop.fan_out(n, in_flight, data)
            seconds = time.perf_counter() - began
    finally:
        steps.drop(engine)
        engine.dispose()
    return Measured(n, seconds, build_seconds)


def open_engine(url: str) -> Engine:
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", durable)
    return engine


def durable(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def insert_rows(connection: Connection, n: int, data: bytes = b"") -> float:
    began = time.perf_counter()
    rows = [
        {"id": step, "state": "pending", "attempts": 0, "input": msgpack.packb(input_of(step, data))}
        for step in range(1, n + 1)
    ]
    with connection.begin():
        connection.execute(insert(steps), rows)
    return time.perf_counter() - began


def short_base() -> str:
    """Where a socket can be: the system allows its path some 100 characters."""
    usual = tempfile.gettempdir()
    return usual if len(usual) < 80 else "/tmp"


@contextmanager
def started_workers() -> Iterator[tuple[zmq.Socket[bytes], list[bytes]]]:
    """The workers' socket and the workers' ids, once all have said hello."""
    with tempfile.TemporaryDirectory(dir=short_base()) as directory, zmq.Context() as context:
        endpoint = f"ipc://{directory}/w"
        command = [sys.executable, "-m", "bench.ceiling_worker", endpoint]
        with context.socket(zmq.ROUTER) as socket:
            socket.bind(endpoint)
            socket.linger = 1000
            processes = [subprocess.Popen(command) for _ in range(WORKERS)]
            try:
                workers = [hello(socket) for _ in processes]
                yield socket, workers
                for worker in workers:
                    socket.send_multipart((worker, b""))
            finally:
                for process in processes:
                    stop(process)


def hello(socket: zmq.Socket[bytes]) -> bytes:
    if not socket.poll(30_000):
        raise TimeoutError("a worker did not start within 30 s")
    return socket.recv_multipart()[0]


def stop(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


def main() -> None:
    """The program: one run."""
    parser = argparse.ArgumentParser(description="The bare loop that the engine is measured against.")
    parser.add_argument("mode", choices=("fan_out", "chain"))
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--payload", type=int, default=0, help="further bytes in and out of every step")
    parser.add_argument("--database", help="an SQLAlchemy URL; a fresh SQLite file when left out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        url = options.database or f"sqlite:///{Path(directory)}/ceiling.db"
        data = os.urandom(options.payload)
        measured = run_once(url, options.mode, options.n, options.in_flight, data)
    print(json.dumps(measured._asdict()))


if __name__ == "__main__":
    main()
