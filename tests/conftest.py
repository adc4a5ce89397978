"""Makes ``actions_for_tests`` and ``databases`` importable for every test below; databases for all of them."""

from __future__ import annotations

import databases
import pytest


@pytest.fixture(params=databases.KINDS)
def database_kind(request: pytest.FixtureRequest) -> str:
    """Runs the test once on every kind of database there is here."""
    kind: str = request.param
    databases.require(kind)
    return kind


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for kind, reason in databases.left_out.items():
        terminalreporter.write_line(f"left out: tests on {kind}: {reason}")
