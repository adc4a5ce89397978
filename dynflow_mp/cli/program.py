"""The program: its groups of commands, and how it ends (:mod:`dynflow_mp.cli.exit_status`).

A new group of commands is a module beside this one and a line in ``_GROUPS``; only the one that is asked
for is imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import click

from dynflow_mp.cli.escaping import in_one_line
from dynflow_mp.cli.exit_status import BROKEN, IN_WORDS, INTERRUPTED, USAGE, status_of
from dynflow_mp.cli.groups import Lazy, LazyGroup
from dynflow_mp.errors import DynflowError

_ONLY_HELP = getattr(click.exceptions, "NoArgsIsHelpError", ())
"""Click's, since 8.2, for a group named without a command: its text is the whole help."""
_GROUPS = {
    "config": Lazy(
        "dynflow_mp.cli.config_command:config", "The settings in force, and where each comes from."
    ),
    "console": Lazy("dynflow_mp.cli.console:console", "See plans and worlds in a browser, and steer them."),
    "db": Lazy("dynflow_mp.cli.db:db", "The tables of a database: show, check, upgrade."),
    "doctor": Lazy(
        "dynflow_mp.cli.doctor.command:doctor", "Look at everything; say what is wrong, and what to do."
    ),
    "keys": Lazy("dynflow_mp.cli.keys:keys", "Keys of worlds that talk over TCP: generate, show."),
    "plans": Lazy("dynflow_mp.cli.plans:plans", "See plans and steer them."),
    "supervisor": Lazy(
        "dynflow_mp.cli.supervisor:supervisor", "Run plans on a pool of worker processes until told to stop."
    ),
    "trigger": Lazy("dynflow_mp.cli.trigger:trigger", "Plan an action and have an executor run it."),
    "worlds": Lazy("dynflow_mp.cli.worlds:worlds", "See executors and clients, and look after them."),
}


@click.group(
    cls=LazyGroup,
    lazy=_GROUPS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=IN_WORDS,
)
@click.version_option(package_name="dynflow_mp")
@click.option("--no-color", is_flag=True, help="No colours; NO_COLOR in the environment says the same.")
def dynflow_mp(no_color: bool) -> None:
    """Run dynflow_mp, and look after its databases, plans and worlds."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program; does not return. Whatever is wrong is one line on standard error."""
    _fill_standard_streams()
    sys.exit(run(arguments))


def _fill_standard_streams() -> None:
    """Those that are closed lead nowhere: a file that is opened would get their number, and be written into."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        from dynflow_mp.supervisor.streams import fill_standard_descriptors

        fill_standard_descriptors()
        for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
            if getattr(sys, name) is None:
                setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - as long as the process lives


def run(arguments: Sequence[str] | None = None) -> int:
    """The exit status of ``dynflow-mp`` with these arguments, or the process's own."""
    with suppress(AttributeError):
        # A terminal that cannot show a letter shows its number.
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        status = dynflow_mp.main(args=arguments, prog_name="dynflow-mp", standalone_mode=False)
        sys.stdout.flush()
    except _ONLY_HELP as error:
        print(error.format_message(), file=sys.stderr)
        return USAGE
    except click.ClickException as error:
        _say(f"{error.format_message()} (-h shows what there is)")
        return USAGE
    except click.Abort as error:
        # Who is asked and says no has not interrupted anything.
        return INTERRUPTED if isinstance(error.__cause__, KeyboardInterrupt) else BROKEN
    except BrokenPipeError:
        # Whoever read our output has gone, and Python would complain about it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN
    except OSError as error:
        # A full disk behind standard output, say: nothing of what is left there is tried again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        what = error.strerror or str(error) or type(error).__name__
        _say(f"{what}: {error.filename}" if error.filename else what)
        return BROKEN
    except DynflowError as error:
        _say(str(error))
        return status_of(error)
    return status if isinstance(status, int) else 0


def _say(what: str) -> None:
    print(f"dynflow-mp: {in_one_line(what)}", file=sys.stderr)
