"""``dynflow-mp doctor``: everything is looked at, whatever is found before; what can be pasted into a report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import click

from dynflow_mp.cli.doctor.databases import clock, server, tables
from dynflow_mp.cli.doctor.finding import NOTE, WRONG, Finding
from dynflow_mp.cli.doctor.limits import keys, limits
from dynflow_mp.cli.doctor.living import worlds_and_plans
from dynflow_mp.cli.doctor.programs import programs
from dynflow_mp.cli.exit_status import BROKEN, WELL
from dynflow_mp.cli.opening import Where, missing_file, opened
from dynflow_mp.cli.options import on_database, prints
from dynflow_mp.cli.terminal import Terminal
from dynflow_mp.config import Config
from dynflow_mp.errors import DynflowError

_MARKS = {"ok": ("  ", ""), NOTE: ("! ", "yellow"), WRONG: ("✗ ", "red")}


@click.command()
@click.option("--quiet", "-q", is_flag=True, help="Only what is not as it should be.")
@on_database
@prints
def doctor(quiet: bool, where: Where, terminal: Terminal) -> int:
    """Look at versions, settings, limits, database, worlds and plans; say what is wrong, and what to do.

    Nothing is changed, secrets are masked. Exit status 1 when something is wrong.
    """
    findings = [finding for finding in examined(where) if not quiet or finding.level != "ok"]
    wrong = [finding for finding in findings if finding.level == WRONG]
    if terminal.as_json:
        terminal.json({"ok": not wrong, "findings": [finding._asdict() for finding in findings]})
        return BROKEN if wrong else WELL
    section = ""
    for finding in findings:
        if finding.section != section:
            section = finding.section
            terminal.line((section, "bold"))
        _say(finding, terminal)
    notes = sum(finding.level == NOTE for finding in findings)
    terminal.line(
        (f"{len(wrong)} wrong", "red bold") if wrong else ("all is well", "green"),
        f", {notes} to know of" if notes else "",
    )
    return BROKEN if wrong else WELL


def examined(where: Where) -> Iterator[Finding]:
    """Everything that is looked at, one after the other."""
    yield from _safely("program", programs)
    try:
        config = where.config()
    except DynflowError as error:
        yield Finding(
            "settings", "settings", "", WRONG, str(error), "mend the settings; nothing more can be looked at"
        )
        return
    yield from _safely("settings", lambda: _settings(where))
    yield from _safely("settings", lambda: keys(config))
    yield from _safely("limits", lambda: [*limits(config), clock()])
    yield from _safely("database", lambda: _database(where, config))


def _settings(where: Where) -> Iterator[Finding]:
    from dynflow_mp.cli.origins import in_words, settings_in_force

    given = {} if where.database_url is None else {"database_url": where.database_url}
    for setting in settings_in_force(given):
        if setting.origin != "default" or setting.name == "database_url":
            yield Finding("settings", setting.name, f"{in_words(setting.value)} ({setting.origin})")


def _database(where: Where, config: Config) -> Iterator[Finding]:
    missing = missing_file(config)
    if missing is not None:
        advice = "a world that starts makes it; or name another with --database"
        yield Finding("database", "tables", missing, WRONG, "there is no such file", advice)
        return
    with opened(config) as database:
        standing = tables(database)
        yield standing
        yield from server(database)
    if standing.level == WRONG:
        return
    with where.looked_at(actions=False) as look:
        yield from worlds_and_plans(look)


def _safely(section: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What cannot be looked at is a finding, too, and does not keep the rest from being looked at."""
    try:
        yield from look()
    except DynflowError as error:
        yield Finding(section, section, "", WRONG, str(error), "")
    except Exception as error:  # whatever the system makes of being asked
        yield Finding(
            section, section, "", WRONG, f"it could not be looked at: {type(error).__name__}: {error}", ""
        )


def _say(finding: Finding, terminal: Terminal) -> None:
    mark, style = _MARKS[finding.level]
    value = f"  {finding.value}" if finding.value else ""
    terminal.line((mark, style), f"{finding.name:<22}{value}")
    if finding.what:
        terminal.line("    ", (finding.what, style))
    if finding.advice:
        terminal.line("    → ", finding.advice)
