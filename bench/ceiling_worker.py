"""A worker process of the bare loop: ``python -m bench.ceiling_worker ENDPOINT``. It loads no database library."""

from __future__ import annotations

import sys
import time
from typing import Any

import msgpack
import zmq

DEADLINE_S = 30.0


def work(endpoint: str) -> None:
    """A worker process: answers batches of no-op jobs until it is told to stop."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(endpoint)
        socket.send(b"hello")
        while socket.poll(int(DEADLINE_S * 1000)):
            frame = socket.recv()
            if not frame:
                return
            socket.send(msgpack.packb([run(step, given) for step, given in msgpack.unpackb(frame)]))


def run(step: int, given: dict[str, Any]) -> tuple[int, int, float, bytes]:
    began = time.perf_counter()
    output = msgpack.packb({**given, "n": given["n"] + 1})
    return step, time.time_ns() // 1000, time.perf_counter() - began, output


if __name__ == "__main__":
    work(sys.argv[1])
