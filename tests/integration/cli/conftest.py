"""The program in this process, on a database of its own; with an executor where a test needs one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from databases import SQLITE, fresh_database
from program_told import Program, Told

from dynflow_mp.cli.program import run
from dynflow_mp.world import World


@pytest.fixture
def program(capfd: pytest.CaptureFixture[str]) -> Program:
    """Runs ``dynflow-mp`` with these arguments."""

    def run_it(*arguments: str) -> Told:
        capfd.readouterr()
        status = run(arguments)
        return Told(status, *capfd.readouterr())

    return run_it


@pytest.fixture(autouse=True)
def no_settings_from_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DYNFLOW_DATABASE_URL", "DYNFLOW_APPS", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An executor with a worker that other worlds reach, one for all tests of a file."""
    import cli_actions  # noqa: F401 - registers the actions

    with (
        fresh_database(SQLITE, tmp_path_factory.mktemp("executor")) as url,
        World(database_url=url, workers=1, apps=["cli_actions"], eligible=True, drain_grace_s=0.1) as world,
    ):
        yield world


@pytest.fixture
def on(executor: World, program: Program, monkeypatch: pytest.MonkeyPatch) -> Program:
    """The program, on the executor's database."""
    monkeypatch.setenv("DYNFLOW_DATABASE_URL", executor.config.database_url)
    return program
