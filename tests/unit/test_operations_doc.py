"""What docs/operations.md and --help say is what the code does."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from dynflow_mp.config import Config
from dynflow_mp.executor import boot, endings
from dynflow_mp.supervisor import program
from dynflow_mp.supervisor.options import supervise

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "operations.md").read_text()


def test_the_documented_exit_statuses_are_those_of_the_program():
    documented = {int(number) for number in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)}

    assert documented == {0, program.BROKEN, program.USAGE, program.FENCED} == {0, 1, 2, 75}


def test_the_documented_exit_statuses_are_those_of_workers():
    said = re.search(r"Workers leave with (\d) .* (\d) when they cannot import .* (\d) when", TEXT)

    assert said is not None
    assert tuple(map(int, said.groups())) == (
        boot.BOOT_FAILED,
        boot.APP_FAILED,
        endings.LEFT_TO_BE_REPLACED,
    )


def test_help_says_the_signals_and_the_exit_statuses():
    shown = CliRunner().invoke(supervise, ["--help"]).output

    for status in ("0 ", "1 ", "2 ", "75"):
        assert re.search(rf"^\s+(Exit status:\s+)?{status}", shown, re.MULTILINE), status
    assert "SIGTERM, SIGINT, SIGHUP" in shown


@pytest.mark.parametrize(
    ("setting", "default"), re.findall(r"^\| `(\w+)`[^|]*\|[^|]*\| ([^|]+) \|$", TEXT, re.MULTILINE)
)
def test_the_documented_defaults_are_those_of_the_settings(setting, default):
    if default == "grace + 30":
        assert Config(drain_grace_s=7).termination_budget_s == 37
        assert Config(drain_grace_s=7, termination_timeout_s=5).termination_budget_s == 5
    else:
        assert getattr(Config(), setting) == float(default)


def test_what_is_to_be_watched_for_is_what_is_logged():
    (watched,) = re.findall(r"^\* In the log: (.*?)^\* ", TEXT, re.MULTILINE | re.DOTALL)
    sentences = re.findall(r"`([^`]+)`", watched)
    sources = "\n".join(path.read_text() for path in (ROOT / "dynflow_mp").rglob("*.py"))

    assert len(sentences) == 5
    assert [sentence for sentence in sentences if sentence not in sources] == []
