"""A console served by a thread of this process, on a free port of the loopback address."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

import uvicorn

_START_S, _END_S = 15.0, 10.0


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The address of ``app`` while it is served."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        deadline = monotonic() + _START_S
        while not server.started:
            assert thread.is_alive(), "the console ended at once"
            assert monotonic() < deadline, "the console was not served in time"
            sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(_END_S)
        listening.close()
