"""A connector that cannot have all it needs to begin says so at once, and leaves nothing behind."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import zmq

from dynflow_mp.connectors.connector import Executor
from dynflow_mp.connectors.keys import KeyPair
from dynflow_mp.connectors.zeromq import ZeroMQConnector
from dynflow_mp.errors import ConnectorError, DynflowError
from dynflow_mp.model.messages import Envelope


class Nobody:
    """A register without anybody in it."""

    def executors(self) -> Sequence[Executor]:
        return ()

    def endpoint(self, world_id: str) -> str | None:
        return None

    def keys(self) -> Mapping[str, str]:
        return {}


class World:
    world_id, takes_work = "w", True

    def receive(self, envelope: Envelope) -> None: ...
    def undeliverable(self, envelope: Envelope, error: DynflowError) -> None: ...


SCARCE: dict[str, tuple[Any, str, Exception]] = {
    "socket": (zmq.Context, "socket", zmq.ZMQError(errno.EMFILE)),
    "pipe": (os, "pipe", OSError(errno.EMFILE, "Too many open files")),
    "thread": (threading.Thread, "start", RuntimeError("can't start new thread")),
    "context": (zmq, "Context", zmq.ZMQError(errno.EMFILE)),
}


def all_but(number: int, real: Callable[..., Any], error: Exception) -> Callable[..., Any]:
    """The ``number``-th call fails."""
    calls = iter(range(1, 1000))

    def scarce(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == number:
            raise error
        return real(*args, **kwargs)

    return scarce


def held() -> tuple[int, int]:
    return len(os.listdir("/proc/self/fd")), threading.active_count()


@pytest.mark.parametrize("what", SCARCE)
@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_a_connector_that_cannot_begin_leaves_nothing_behind(
    what: str, transport: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    owner, name, error = SCARCE[what]
    real, failures = getattr(owner, name), 0
    reasons: list[str] = []
    keys = KeyPair.new() if transport == "tcp" else None
    while True:
        connector = ZeroMQConnector(Nobody(), "tcp://127.0.0.1:*" if keys else None, keys=keys)
        before = held()
        with monkeypatch.context() as scarce:
            scarce.setattr(owner, name, all_but(failures + 1, real, error))
            try:
                connector.start_listening(World)  # type: ignore[arg-type]
            except (ConnectorError, OSError, RuntimeError) as came:
                reasons.append(str(came))
            else:
                break
        failures += 1
        assert held() == before
        assert os.listdir(tmp_path) == []
    connector.stop_listening(World)  # type: ignore[arg-type]
    assert failures >= 1
    # Who gives up waiting says that it did: here nothing is to be waited for.
    assert [reason for reason in reasons if "has not begun" in reason] == []
    assert os.listdir(tmp_path) == []
