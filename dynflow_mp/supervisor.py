"""``python -m dynflow_mp.supervisor``: an executor world as a program.

    start ─▶ ready line ─▶ … ─▶ SIGTERM/SIGINT: drain ─▶ exit 0
                                 a second one: stop at once

Exit status: 0 after a clean end, 1 when something broke, 2 for wrong options, an unusable database
or an application that cannot be imported, 75 when another world declared this one dead.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
from collections.abc import Sequence
from typing import Any

import click

from dynflow_mp.config import Config
from dynflow_mp.errors import (
    ConfigError,
    ConnectorError,
    DynflowError,
    PersistenceError,
    WorkerStartFailed,
)

USAGE, BROKEN, FENCED = 2, 1, 75
_LOOK_S = 0.5
"""How often to look whether the world ended by itself."""


class _Signals:
    """Notes signals and nothing else; the main thread reads them from ``fd`` when it is ready to."""

    def __init__(self) -> None:
        self.fd, write_fd = os.pipe()
        os.set_blocking(write_fd, False)
        os.set_blocking(self.fd, False)
        signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: None)

    def wait(self, seconds: float) -> int:
        """How many signals came, at most after ``seconds``."""
        ready, _, _ = select.select([self.fd], [], [], seconds)
        return len(os.read(self.fd, 64)) if ready else 0


def _queues(context: click.Context, parameter: click.Parameter, values: Sequence[str]) -> dict[str, int]:
    queues: dict[str, int] = {}
    for value in values:
        name, separator, count = value.partition("=")
        if not separator or not name or not count.isdecimal() or int(count) < 1:
            raise click.BadParameter(f"{value!r} is not NAME=N with N from 1")
        if name in queues:
            raise click.BadParameter(f"{name!r} is given twice")
        queues[name] = int(count)
    return queues


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--workers", type=click.IntRange(1), help="Worker processes of the queue 'default'.")
@click.option(
    "--database", "database_url", help="SQLAlchemy URL of the database, sqlite:///dynflow.db by default."
)
@click.option(
    "--app", "apps", multiple=True, help="A module with actions; workers import it. May be repeated."
)
@click.option(
    "--listen", help="Endpoint for other worlds, such as tcp://127.0.0.1:5555; an ipc socket by default."
)
@click.option(
    "--queue",
    "queues",
    multiple=True,
    callback=_queues,
    help="A further queue, NAME=N workers. May be repeated.",
)
@click.option(
    "--grace",
    "drain_grace_s",
    type=click.FloatRange(0, min_open=True),
    help="Seconds running steps get when draining.",
)
@click.option(
    "--auto-execute", is_flag=True, default=None, help="Also take up planned plans nobody asked for."
)
@click.option(
    "--log-level",
    default="warning",
    show_default=True,
    type=click.Choice(["debug", "info", "warning", "error"]),
)
def supervise(log_level: str, **options: Any) -> None:
    """Run plans on a pool of worker processes until told to stop."""
    logging.basicConfig(
        level=log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    sys.exit(run({name: value for name, value in options.items() if value not in (None, (), {})}))


def main() -> None:
    """The program: what is wrong with the options is one line, like all else that keeps it from starting."""
    try:
        supervise(prog_name="python -m dynflow_mp.supervisor", standalone_mode=False)
    except click.ClickException as error:
        print(f"dynflow_mp: {error.format_message()} (-h shows all options)", file=sys.stderr)
        sys.exit(USAGE)


def run(settings: dict[str, Any]) -> int:
    """Be a supervisor with these settings until a signal comes; returns the exit status."""
    signals = _Signals()
    try:
        world = _start(settings)
    except (ConfigError, PersistenceError, WorkerStartFailed, ConnectorError) as error:
        print(f"dynflow_mp: {error}", file=sys.stderr)
        return USAGE
    except DynflowError as error:
        print(f"dynflow_mp: {error}", file=sys.stderr)
        return BROKEN
    workers = sum(world.config.pools.values())
    print(f"ready world={world.id} workers={workers} listen={world.connector.endpoint}", flush=True)
    return _serve(world, signals)


def _start(settings: dict[str, Any]) -> Any:
    from dynflow_mp.world import World

    config = Config.load({**settings, "eligible": True})
    if not config.pools:
        raise ConfigError("--workers: a supervisor needs at least one worker")
    return World(config)


def _serve(world: Any, signals: _Signals) -> int:
    asked = 0
    while not world.terminated.is_set():
        came = signals.wait(_LOOK_S)
        if came and asked == 0:
            world.terminate()
        if came and asked + came > 1:
            world.terminate(timeout=0.0)
        asked += came
        if world.failure is not None and not world.terminating:
            print(f"dynflow_mp: the executor failed: {world.failure}", file=sys.stderr)
            world.terminate(timeout=0.0)
    if world.fenced is not None:
        return FENCED
    return BROKEN if world.failure is not None else 0


if __name__ == "__main__":
    main()
