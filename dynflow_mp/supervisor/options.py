"""The program's options, and what is said about wrong ones."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from dynflow_mp.config import MAX_WORKERS
from dynflow_mp.supervisor.program import BROKEN, USAGE, run
from dynflow_mp.supervisor.streams import fill_standard_descriptors, set_up_log

_MOST_SHOWN = 200
_LAST_WORDS_S = 1.0
"""How long a reader of standard error has to take the last lines."""


def _cut(value: str) -> str:
    """As it is shown to people: escaped, and not all of a megabyte."""
    shown = repr(value)
    return shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}…"


def _workers(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    if not (value.isascii() and value.isdigit()) or not 1 <= int(value[:10]) <= MAX_WORKERS:
        raise click.BadParameter(f"a whole number from 1 to {MAX_WORKERS} is wanted, not {_cut(value)}")
    return int(value)


def _queues(context: click.Context, parameter: click.Parameter, values: Sequence[str]) -> dict[str, int]:
    queues: dict[str, int] = {}
    for value in values:
        name, separator, count = value.partition("=")
        if not separator or not name or not (count.isascii() and count.isdigit()) or int(count[:10]) < 1:
            raise click.BadParameter(f"{_cut(value)} is not NAME=N with N from 1")
        if name in queues:
            raise click.BadParameter(f"{_cut(name)} is given twice")
        queues[name] = int(count[:10])
    return queues


def _bytes(context: click.Context, parameter: click.Parameter, mebibytes: int | None) -> int | None:
    return None if mebibytes is None else mebibytes * 1024 * 1024


_EPILOG = """\b
Every setting may also be given as DYNFLOW_<NAME>, in dynflow.toml or in pyproject.toml.
\b
Signals:      SIGTERM, SIGINT, SIGHUP  drain, then end; a second one ends it at once
Exit status:  0   told to stop, and all has ended
              1   something broke, or not all had ended in time
              2   options, settings, database or application cannot work
              75  another world declared this one dead, or its database file is gone
"""


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
@click.option(
    "--workers",
    metavar="N",
    callback=_workers,
    help=f"Worker processes of the queue 'default', 1 to {MAX_WORKERS}.",
)
@click.option(
    "--database", "database_url", help="SQLAlchemy URL of the database, sqlite:///dynflow.db by default."
)
@click.option(
    "--app", "apps", multiple=True, help="A module with actions; workers import it. May be repeated."
)
@click.option(
    "--connector",
    type=click.Choice(["auto", "zeromq", "database"]),
    help="How other worlds reach this one: sockets (zeromq, the default) or the database alone.",
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
    "--max-steps-per-worker", type=click.IntRange(1), help="Replace a worker after so many steps (about)."
)
@click.option(
    "--max-worker-memory",
    metavar="MIB",
    type=click.IntRange(64),
    callback=_bytes,
    help="Replace a worker that has more MiB in memory after a step.",
)
@click.option(
    "--max-worker-age",
    "max_worker_age_s",
    type=click.FloatRange(0, min_open=True),
    help="Replace a worker that is so many seconds old (about).",
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
    stream = set_up_log(log_level)
    try:
        status = run({name: value for name, value in options.items() if value not in (None, (), {})})
    finally:
        stream.drain(_LAST_WORDS_S)
    if status == BROKEN:
        # Something may hang, and would keep the process from ending in the ordinary way.
        os._exit(status)
    sys.exit(status)


def main() -> None:
    """The program: what is wrong with the options is one line, like all else that keeps it from starting."""
    fill_standard_descriptors()
    try:
        supervise(prog_name="python -m dynflow_mp.supervisor", standalone_mode=False)
    except click.ClickException as error:
        print(f"dynflow_mp: {_in_one_line(error.format_message())} (-h shows all options)", file=sys.stderr)
        sys.exit(USAGE)


def _in_one_line(message: str) -> str:
    """What was given may be in it: of any length, and made to look like something else on a terminal."""
    line = "".join(character if character.isprintable() else repr(character)[1:-1] for character in message)
    return line if len(line) <= 5 * _MOST_SHOWN else f"{line[: 5 * _MOST_SHOWN]}…"
