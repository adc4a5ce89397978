"""``dynflow-mp config``: what the settings come to, and which of all the places says each."""

from __future__ import annotations

import click

from dynflow_mp.cli.groups import HelpfulGroup
from dynflow_mp.cli.options import database_option, prints
from dynflow_mp.cli.terminal import Terminal


@click.group(cls=HelpfulGroup)
def config() -> None:
    """The settings in force, and where each comes from."""


@config.command()
@database_option
@click.option("--changed", is_flag=True, help="Only those that are not as they are by default.")
@prints
def show(database_url: str | None, changed: bool, terminal: Terminal) -> None:
    """Show every setting with its origin: option, environment variable, file, or default. Secrets are masked."""
    from dynflow_mp.cli.origins import in_words, settings_in_force

    given = {} if database_url is None else {"database_url": database_url}
    found = [each for each in settings_in_force(given) if not changed or each.origin != "default"]
    if terminal.as_json:
        terminal.json(
            {"settings": {each.name: {"value": each.value, "origin": each.origin} for each in found}}
        )
        return
    terminal.table(
        ("SETTING", "VALUE", "ORIGIN"),
        [(each.name, in_words(each.value), each.origin) for each in found],
        flexible="VALUE",
    )
