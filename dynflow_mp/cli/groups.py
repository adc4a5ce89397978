"""Groups of commands that name the nearest command for a misspelled one, and import only what is asked for."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from dynflow_mp.cli.exit_status import IN_WORDS


class HelpfulGroup(click.Group):
    """A group whose answer to an unknown command is the nearest one, and whose commands' help tells how they end."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """As click does."""
        return _telling_how_it_ends(super().get_command(ctx, cmd_name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, except for what is said about an unknown command."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise click.UsageError(f"there is no command {args[0]!r}{self._hint(ctx, args[0])}", ctx)
        return super().resolve_command(ctx, args)

    def _hint(self, ctx: click.Context, name: str) -> str:
        known = self.list_commands(ctx)
        close = difflib.get_close_matches(name, known, n=1)
        return f"; did you mean {close[0]!r}?" if close else f"; there is {', '.join(known)}"


class Lazy(NamedTuple):
    """Where a command is, as ``module:name``, and what is said of it in its group's help."""

    place: str
    summary: str


class LazyGroup(HelpfulGroup):
    """A group whose commands are imported when they are asked for; its help and completion import none."""

    def __init__(self, *args: Any, lazy: Mapping[str, Lazy], **options: Any) -> None:
        super().__init__(*args, **options)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """By name."""
        return sorted({*super().list_commands(ctx), *self.lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the command's module."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, _, name = self.lazy[cmd_name].place.partition(":")
        return _telling_how_it_ends(getattr(importlib.import_module(module), name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What there is, in the words of :class:`Lazy`."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._summary(ctx, name)) for name in self.list_commands(ctx)])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names that begin so, and the group's own options."""
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        found = [CompletionItem(name, help=self._summary(ctx, name)) for name in names]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A command goes by the name it has here, whatever its module calls it."""
        name, command, rest = super().resolve_command(ctx, args)
        return (args[0] if command is not None and args else name), command, rest

    def _summary(self, ctx: click.Context, name: str) -> str:
        if name in self.lazy:
            return self.lazy[name].summary
        command = self.get_command(ctx, name)
        return "" if command is None else command.get_short_help_str(200)


def _telling_how_it_ends(command: click.Command | None) -> click.Command | None:
    if command is not None and command.epilog is None:
        command.epilog = IN_WORDS
    return command
