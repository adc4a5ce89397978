"""Makes ``actions_for_tests`` and ``databases`` importable for every test below; databases for all of them."""

from __future__ import annotations

import signal

import databases
import pytest


def pytest_sessionstart() -> None:
    """A suite that was started with ``nohup`` would hand the ignored hang-up on to every process it starts."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


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
