"""The program: its groups of commands, and how it ends.

Exit status: 0 when all is well, 1 when it is not or something broke, 2 for wrong options or settings.
A new group of commands is a module beside this one and a line in ``_GROUPS``; only the one that is asked
for is imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from dynflow_mp.cli.groups import LazyGroup
from dynflow_mp.errors import ConfigError, DynflowError, PersistenceError

BROKEN, USAGE = 1, 2
_ONLY_HELP = getattr(click.exceptions, "NoArgsIsHelpError", ())
"""Click's, since 8.2, for a group named without a command: its text is the whole help."""
_GROUPS = {"db": "dynflow_mp.cli.db:db", "keys": "dynflow_mp.cli.keys:keys"}


@click.group(
    cls=LazyGroup,
    lazy=_GROUPS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 when all is well, 1 when it is not or something broke, 2 for wrong options or settings.",
)
@click.version_option(package_name="dynflow_mp")
def dynflow_mp() -> None:
    """Look after dynflow_mp's databases, plans and worlds."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program; does not return. Whatever is wrong is one line on standard error."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """The exit status of ``dynflow-mp`` with these arguments, or the process's own."""
    try:
        status = dynflow_mp.main(args=arguments, prog_name="dynflow-mp", standalone_mode=False)
        sys.stdout.flush()
    except _ONLY_HELP as error:
        print(error.format_message(), file=sys.stderr)
        return USAGE
    except click.ClickException as error:
        _say(f"{error.format_message()} (-h shows what there is)")
        return USAGE
    except click.Abort:
        return BROKEN
    except BrokenPipeError:
        # Whoever read our output has gone, and Python would complain about it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN
    except DynflowError as error:
        _say(str(error))
        return _status_of(error)
    return status if isinstance(status, int) else 0


def _status_of(error: DynflowError) -> int:
    if isinstance(error, PersistenceError):
        return BROKEN if error.passes else USAGE
    return USAGE if isinstance(error, ConfigError) else BROKEN


def _say(what: str) -> None:
    print(f"dynflow-mp: {what}", file=sys.stderr)
