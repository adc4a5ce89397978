"""Be an executor world: from settings to an exit status."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Callable
from time import monotonic, sleep
from typing import Any

from dynflow_mp.config import Config
from dynflow_mp.errors import (
    ConfigError,
    ConnectorError,
    DynflowError,
    PersistenceError,
    WorkerStartFailed,
    WorldFenced,
)
from dynflow_mp.supervisor.orphans import reap_orphans
from dynflow_mp.supervisor.service_manager import ServiceManager
from dynflow_mp.supervisor.signals import Signals, StopAsked
from dynflow_mp.supervisor.streams import say_ready
from dynflow_mp.telemetry import logger

log = logger("supervisor")

USAGE, BROKEN, FENCED = 2, 1, 75
_LOOK_S = 0.5
"""How often to look whether the world ended by itself."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 5.0


def run(settings: dict[str, Any]) -> int:
    """Be a supervisor with these settings until a signal comes; returns the exit status."""
    signals, manager = Signals(), ServiceManager.of(os.environ)
    try:
        with signals.raised():
            manager.starting()
            world = _start(settings)
    except StopAsked:
        _say("told to stop before it was ready")
        return 0
    except Exception as error:
        log.debug("it could not start", extra={"action": "start_failed"}, exc_info=error)
        _say(_in_words(error))
        return _status_of(error)
    workers = sum(world.config.pools.values())
    say_ready(f"ready world={world.id} workers={workers} listen={world.connector.endpoint}")
    manager.ready(f"{workers} worker{'' if workers == 1 else 's'} at {world.connector.endpoint}")
    return _serve(world, signals, manager)


def _start(settings: dict[str, Any]) -> Any:
    from dynflow_mp.world import World

    with warnings.catch_warnings(record=True) as doubts:
        warnings.simplefilter("always")
        config = Config.load({**settings, "eligible": True})
    for doubt in doubts:
        _say(str(doubt.message))
    if not config.pools:
        raise ConfigError("--workers: a supervisor needs at least one worker")
    return _once_the_database_answers(config, World)


def _once_the_database_answers(config: Config, open_world: Callable[[Config], Any]) -> Any:
    """Servers that start together with us may take longer to be there; a signal ends the waiting."""
    give_up_at = monotonic() + config.database_wait_s
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            return open_world(config)
        except PersistenceError as error:
            left_s = give_up_at - monotonic()
            if error.kind not in ("connection", "locked") or left_s <= 0:
                raise
            _say(f"{error}; trying again for {left_s:.0f} s")
        sleep(min(pause_s, left_s))  # nothing to wait on but time
        pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)


def _serve(world: Any, signals: Signals, manager: ServiceManager) -> int:
    asked, said = 0, False
    look_s = min(_LOOK_S, manager.patience_s)
    is_init = os.getpid() == 1
    while not world.terminated.is_set():
        came = signals.wait(look_s)
        if came and asked == 0:
            world.terminate()
        if came and asked + came > 1:
            world.terminate(timeout=0.0)
        asked += came
        if world.failure is not None and not world.terminating:
            _say(f"the executor failed: {_in_words(world.failure)}")
            world.terminate(timeout=0.0)
        if world.terminating and not said:
            said = True
            manager.stopping("draining", world.longest_end_s)
        manager.look(lambda: world.last_turn)
        if is_init:
            reap_orphans()
    if world.fenced is not None:
        return FENCED
    if world.left_behind:
        _say(f"not all has ended: {'; '.join(world.left_behind)}")
    return BROKEN if world.left_behind or world.failure is not None else 0


def _status_of(error: Exception) -> int:
    """Whether it is for whoever starts the program to change something (2), the machine's trouble (1), or others' doing."""
    if isinstance(error, WorldFenced):
        return FENCED
    if isinstance(error, PersistenceError):
        return BROKEN if error.passes else USAGE
    return USAGE if isinstance(error, (ConfigError, WorkerStartFailed, ConnectorError)) else BROKEN


def _in_words(error: BaseException) -> str:
    if isinstance(error, DynflowError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return f"{error.strerror}: raise the limit of open files (ulimit -n)"
    return f"{type(error).__name__}: {error} (--log-level debug shows where)"


def _say(what: str) -> None:
    print(f"dynflow_mp: {what}", file=sys.stderr)
