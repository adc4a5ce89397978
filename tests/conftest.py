"""Makes ``actions_for_tests``, ``browsers`` and ``databases`` importable for every test below; databases for all of them."""

from __future__ import annotations

import signal
from pathlib import Path

import browsers
import databases
import pytest

HERE = Path(__file__).parent
SELDOM = HERE / "seldom.txt"
"""Tests that take long and show on another database, or in another way, what a quicker one shows: beginnings of their names."""


def pytest_sessionstart() -> None:
    """A suite that was started in the background would hand the signals it ignores on to every process it starts."""
    for number, usual in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is to be run seldom is left to ``make chaos``: the suite has a quarter of an hour on two processors."""
    lines = SELDOM.read_text(encoding="utf-8").splitlines()
    seldom = tuple(line for line in lines if line and not line.startswith("#"))
    for item in items:
        name = f"{item.path.relative_to(HERE)}::{item.nodeid.partition('::')[2]}"
        if name.startswith(seldom):
            item.add_marker(pytest.mark.chaos)


@pytest.fixture(params=databases.KINDS)
def database_kind(request: pytest.FixtureRequest) -> str:
    """Runs the test once on every kind of database there is here."""
    kind: str = request.param
    databases.require(kind)
    return kind


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    # Asked again, because tests that were skipped in other processes noted it there.
    for kind in databases.KINDS:
        if reason := databases.missing(kind):
            terminalreporter.write_line(f"left out: tests on {kind}: {reason}")
    if reason := browsers.missing():
        terminalreporter.write_line(f"left out: tests in a browser: {reason}")
