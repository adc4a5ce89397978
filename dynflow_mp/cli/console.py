"""``dynflow-mp console``: the web console of a database, as a program.

start ─▶ ready line with the URL ─▶ … ─▶ SIGTERM, SIGINT: exit 0 within seconds
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dynflow_mp.cli.exit_status import BROKEN, WELL
from dynflow_mp.cli.opening import Where
from dynflow_mp.cli.options import on_database
from dynflow_mp.errors import ConfigError
from dynflow_mp.supervisor.streams import set_up_log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dynflow_mp.console import ConsoleSettings

FENCED = 75
_FILE = click.Path(path_type=Path)
_LAST_WORDS_S = 1.0


class _StopAsked(BaseException):
    """A signal came before there was a server to hear it."""


@click.command(
    epilog="""\b
Signals:      SIGTERM, SIGINT  end, within seconds
Exit status:  0   told to stop
              1   something broke
              2   options, settings or the database cannot work
              75  another world declared the console's own dead
"""
)
@on_database
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Where to listen; 0.0.0.0 is everywhere."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8008,
    show_default=True,
    help="0: one that is free.",
)
@click.option("--prefix", default="", metavar="/PATH", help="The path it has behind a proxy.")
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="A name by which browsers ask for it, besides localhost. May be repeated.",
)
@click.option(
    "--token-file",
    type=_FILE,
    help="Ask for the token in this file (0600); it is made if it is not there.",
)
@click.option("--basic-file", type=_FILE, help="Ask for a name and password: name:password lines (0600).")
@click.option("--proxy-header", metavar="NAME", help="The header in which a trusted proxy names the user.")
@click.option("--proxy-secret-file", type=_FILE, help="The secret that the proxy sends with it (0600).")
@click.option(
    "--proxy-secret-header",
    metavar="NAME",
    default="X-Dynflow-Proxy-Secret",
    show_default=True,
    help="The header it is sent in.",
)
@click.option(
    "--proxy-address",
    "proxy_addresses",
    multiple=True,
    metavar="ADDRESS",
    help="Where the proxy's requests come from (address or network), this host by default. May be repeated.",
)
@click.option("--read-only", is_flag=True, help="Nothing can be changed from here.")
@click.option("--reveal", is_flag=True, help="Show stored data raw, too; secrets are masked all the same.")
@click.option(
    "--log-level",
    default="warning",
    show_default=True,
    type=click.Choice(["debug", "info", "warning", "error"]),
)
def console(where: Where, log_level: str, **options: Any) -> int:
    """See plans and worlds in a browser, and steer them.

    On this host it asks for nothing. To be reached from elsewhere it needs --token-file, --basic-file or
    --proxy-header.
    """
    stderr, stream = sys.stderr, set_up_log(log_level)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    try:
        status = _run(where, options)
    finally:
        stream.drain(_LAST_WORDS_S)
        sys.stderr = stderr
    if any(not thread.daemon and thread is not threading.main_thread() for thread in threading.enumerate()):
        # Somebody's request waits for a database; it would keep the process.
        sys.stdout.flush()
        os._exit(status)
    return status


def _run(where: Where, options: dict[str, Any]) -> int:
    with _signals_end_the_start() as started:
        try:
            from dynflow_mp.console import create_app

            settings = _settings(options)
            from dynflow_mp.console.server import ConsoleServer, listening

            door = listening(settings.host, settings.port)
            with door, where.world() as world:
                port = door.getsockname()[1]
                server = ConsoleServer(
                    create_app(world, settings),
                    lambda: click.echo(f"ready url={_url(settings, port)} world={world.id}"),
                    world.terminated.is_set,
                )
                started()
                server.run([door])
                if world.fenced is not None:
                    click.echo(f"dynflow-mp: {world.fenced}", err=True)
                    return FENCED
                return BROKEN if not server.started else WELL
        except _StopAsked:
            return WELL


def _settings(options: dict[str, Any]) -> ConsoleSettings:
    from dynflow_mp.console import ConsoleSettings
    from dynflow_mp.console.secret_files import passwords_in, token_in, token_in_or_made
    from dynflow_mp.console.settings import TrustedProxy

    header, secret_file = options.pop("proxy_header"), options.pop("proxy_secret_file")
    secret_header, addresses = options.pop("proxy_secret_header"), options.pop("proxy_addresses")
    if (header is None) != (secret_file is None):
        raise ConfigError("--proxy-header and --proxy-secret-file need each other")
    token_file, basic_file = options.pop("token_file"), options.pop("basic_file")
    if token_file is not None:
        options["token"], made = token_in_or_made(token_file)
        if made:
            click.echo(f"dynflow-mp: a token was made, in {token_file}", err=True)
    if basic_file is not None:
        options["passwords"] = passwords_in(basic_file)
    if header is not None:
        from_where = {"addresses": addresses} if addresses else {}
        options["proxy"] = TrustedProxy(
            user_header=header, secret=token_in(secret_file), secret_header=secret_header, **from_where
        )
    return ConsoleSettings(**options)


def _url(settings: ConsoleSettings, port: int) -> str:
    from dynflow_mp.console.settings import bracketed, is_everywhere

    host = "127.0.0.1" if is_everywhere(settings.host) else bracketed(settings.host)
    return f"http://{host}:{port}{settings.prefix}/"


@contextmanager
def _signals_end_the_start() -> Iterator[Any]:
    """Until ``started`` is called a signal raises; then it is the server's, which passes it on to us as it ends."""
    starting = True

    def came(number: int, frame: Any) -> None:
        nonlocal starting
        if starting:
            starting = False
            raise _StopAsked

    def started() -> None:
        nonlocal starting
        starting = False

    before = {number: signal.signal(number, came) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield started
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
