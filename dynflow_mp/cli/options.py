"""Options that many commands have, as decorators; each hands the command one value made of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from dynflow_mp.cli import completion
from dynflow_mp.cli.opening import Where
from dynflow_mp.cli.terminal import Terminal

if TYPE_CHECKING:
    TextType = click.ParamType[str]
else:  # a plain class before click 8.3
    TextType = click.ParamType

_Command = Callable[..., Any]


def prints(command: _Command) -> _Command:
    """``--json`` and ``--no-color``, as ``terminal``."""

    @click.option("--json", "as_json", is_flag=True, help="For programs: JSON, one object a line.")
    @click.option("--no-color", is_flag=True, help="No colours; NO_COLOR in the environment says the same.")
    @wraps(command)
    def printing(*args: Any, as_json: bool, no_color: bool, **options: Any) -> Any:
        everywhere = click.get_current_context().find_root().params.get("no_color")
        terminal = Terminal(as_json=as_json, no_color=bool(no_color or everywhere))
        return command(*args, terminal=terminal, **options)

    return printing


def on_database(command: _Command) -> _Command:
    """``--database`` and ``--app``, as ``where``."""

    @database_option
    @click.option(
        "--app",
        "apps",
        multiple=True,
        metavar="MODULE",
        help="A module with actions: what their classes hide and show is known then. May be repeated.",
    )
    @wraps(command)
    def placed(*args: Any, database_url: str | None, apps: tuple[str, ...], **options: Any) -> Any:
        return command(*args, where=Where(database_url, apps), **options)

    return placed


database_option = click.option(
    "--database",
    "database_url",
    metavar="URL",
    help="SQLAlchemy URL; by default DYNFLOW_DATABASE_URL, dynflow.toml or pyproject.toml say it.",
)
yes_option = click.option("--yes", "-y", is_flag=True, help="Do it without asking.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Only say what would be done.")


class PlanId(TextType):
    """The id of a plan, a UUID in whatever spelling. What is none is left to whoever looks for it: it is not there."""

    name = "plan_id"

    def convert(self, value: object, parameter: click.Parameter | None, context: click.Context | None) -> str:
        """As it is stored."""
        try:
            return str(UUID(str(value)))
        except ValueError:
            return str(value)


PLAN_ID = PlanId()

plan_argument = click.argument("plan_id", type=PLAN_ID, shell_complete=completion.plan_ids)
plans_argument = click.argument(
    "plan_ids", type=PLAN_ID, nargs=-1, metavar="[PLAN_ID]...", shell_complete=completion.plan_ids
)
step_argument = click.argument("step_id", type=click.IntRange(1))


def asked(question: str, yes: bool) -> None:
    """Go on only if somebody says so. Raises :class:`click.UsageError` where nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Nobody can be asked here; say it with --yes.")
    click.confirm(question, abort=True, err=True)
