"""The program itself: quick to start, quiet through a pipe, completed by shells, and described as it is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import click
import pytest
from cli_actions import Quick
from databases import fresh_database
from program_told import Program

from dynflow_mp.cli.program import dynflow_mp
from dynflow_mp.persistence.beginnings import plans_beginning, worlds_beginning
from dynflow_mp.world import World

DOCS = Path(__file__).parents[3] / "docs" / "cli.md"
_COMMON = {"--json", "--no-color", "--database", "--app", "--help"}
_FILTERS = {"--state", "--result", "--label", "--action", "--since", "--until", "--error", "--caller"}
_CHOOSING = {"--failure", "--all", "--yes", "--dry-run"}


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its whole name."""
    todo: list[tuple[str, click.Command, click.Context]] = [
        ("dynflow-mp", dynflow_mp, click.Context(dynflow_mp, info_name="dynflow-mp"))
    ]
    while todo:
        name, command, context = todo.pop()
        if not isinstance(command, click.Group):
            yield name, command
            continue
        for each in command.list_commands(context):
            below = command.get_command(context, each)
            assert below is not None
            todo.append((f"{name} {each}", below, click.Context(below, info_name=each, parent=context)))


COMMANDS = sorted(commands(), key=lambda each: each[0])


# -- what is said about it ---------------------------------------------------------------------------


def test_the_documentation_has_every_command_and_no_other():
    headings = re.findall(r"^### (dynflow-mp .+)$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(headings) == sorted(name for name, _ in commands())


@pytest.mark.parametrize(
    ("name", "command"),
    [each for each in COMMANDS if each[0] != "dynflow-mp console"],  # described in console.md
)
def test_the_documentation_has_every_option(name: str, command: click.Command):
    _, _, section = DOCS.read_text(encoding="utf-8").partition(f"\n### {name}\n")
    section = re.split(r"\n##+ ", section)[0]
    options = {option for each in command.params for option in each.opts if option.startswith("--")}
    known = _COMMON | (_FILTERS if options >= _FILTERS else set()) | (_CHOOSING & options)

    assert {option for option in options - known if option not in section} == set()
    assert set(re.findall(r"--[a-z][a-z-]+", section)) <= options | {"--json", "--asc"}


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_whatever_reads_or_does_something_has_json(name: str, command: click.Command):
    options = {option for each in command.params for option in each.opts}

    assert "--json" in options or name in ("dynflow-mp supervisor", "dynflow-mp console")


def test_the_summaries_of_groups_are_those_of_their_commands():
    context = click.Context(dynflow_mp)
    plans = dynflow_mp.get_command(context, "plans")

    for group in (dynflow_mp, plans):
        for name, lazy in group.lazy.items():  # type: ignore[union-attr]
            command = group.get_command(context, name)  # type: ignore[union-attr]
            assert command is not None
            words = (command.get_short_help_str(500) + " ").partition(".")[0]
            assert lazy.summary.rstrip(".").split()[0].lower() == words.split()[0].lower(), name


# -- how quick it is ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["plans", "--help"],
        ["plans", "list", "--help"],
        ["trigger", "-h"],
        ["worlds", "-h"],
        ["supervisor", "-h"],
    ],
)
def test_help_loads_no_database_library(arguments: list[str]):
    found = _loaded(f"from dynflow_mp.cli.program import run; run({arguments!r})")

    assert not found & {"sqlalchemy", "rich", "psutil", "zmq", "starlette", "alembic"}


def test_completing_a_plan_s_id_loads_no_database_library(executor: World):
    plan_id = executor.trigger(Quick).finished.result(30).id
    url = executor.config.database_url
    words = (
        "import click; from dynflow_mp.cli.completion import plan_ids; "
        f"found = plan_ids(click.Context(click.Command('x')), None, {plan_id[:13]!r}); "
        f"assert {plan_id!r} in [item.value for item in found], found"
    )

    found = _loaded(words, DYNFLOW_DATABASE_URL=url)

    assert not found & {"sqlalchemy", "rich", "psutil", "zmq"}


def _loaded(code: str, **environment: str) -> set[str]:
    """The modules that are loaded once this has been done."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint('LOADED', *sys.modules)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, **environment},
    )
    return set(done.stdout.rpartition("LOADED ")[2].split())


# -- completion --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "there"),
    [
        ("dynflow-mp pl", "plans"),
        ("dynflow-mp plans re", "resume"),
        ("dynflow-mp plans list --state p", "paused"),
        ("dynflow-mp plans list --or", "--order-by"),
    ],
)
def test_a_shell_completes_commands_options_and_states(words: str, there: str):
    assert there in _completed(words)


def test_a_shell_completes_ids_of_plans_and_worlds(executor: World):
    plan_id = executor.trigger(Quick).finished.result(30).id
    url = executor.config.database_url

    assert plan_id in _completed(f"dynflow-mp plans show {plan_id[:10]}", DYNFLOW_DATABASE_URL=url)
    assert plan_id in _completed(f"dynflow-mp plans show --database {url} {plan_id[:10]}")
    assert executor.id in _completed("dynflow-mp worlds ping ", DYNFLOW_DATABASE_URL=url)


def test_ids_are_found_on_every_kind_of_database(database_kind: str, tmp_path: Path):
    with fresh_database(database_kind, tmp_path) as url, World(database_url=url) as world:
        plan_id = world.plan(Quick).id

        (plan,) = plans_beginning(url, plan_id[:8])
        (client,) = worlds_beginning(url, world.id)
        nothing = plans_beginning(url, "f")

    assert plan == (plan_id, ("Quick", "planned", "pending"))
    assert client == (world.id, ("ClientWorld", "alive"))
    assert nothing == []


@pytest.mark.parametrize(
    "url", ["sqlite:///nowhere.db", "sqlite:////etc/passwd", "nonsense", "postgresql://u:p@127.0.0.1:1/d", ""]
)
def test_what_goes_wrong_while_completing_is_silence(url: str, tmp_path: Path):
    began = monotonic()

    assert _completed("dynflow-mp plans show 0", DYNFLOW_DATABASE_URL=url) == []
    assert monotonic() - began < 20
    assert list(tmp_path.iterdir()) == []


def _completed(words: str, **environment: str) -> list[str]:
    """What bash is offered after these words."""
    done = subprocess.run(
        [sys.executable, "-m", "dynflow_mp.cli"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={
            **os.environ,
            "_DYNFLOW_MP_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
            **environment,
        },
    )
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


# -- what it says ------------------------------------------------------------------------------------


def test_a_hostile_argument_is_one_line_of_a_bearable_length(program: Program):
    told = program(
        "plans", "show", "\x1b[2J" + "x" * 100_000, "--database", "sqlite:////nowhere/\x1b[31m/p.db"
    )

    assert told.status == 2
    assert "\x1b" not in told.errors
    assert told.errors.count("\n") == 1
    assert len(told.errors) < 1200


def test_through_a_pipe_nothing_is_coloured_or_cut(
    executor: World, on: Program, monkeypatch: pytest.MonkeyPatch
):
    label = executor.trigger(Quick).finished.result(30).id
    monkeypatch.setenv("COLUMNS", "20")

    told = on("plans", "list")

    assert label in told.output
    assert "\x1b" not in told.output


def test_who_forces_colours_gets_colours_through_a_pipe_and_nothing_else_of_a_terminal(
    executor: World, on: Program, monkeypatch: pytest.MonkeyPatch
):
    plan_id = executor.trigger(Quick).finished.result(30).id
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")

    listed, watched = on("plans", "list"), on("plans", "watch", plan_id)

    assert "Quick" in listed.output  # the last column, far beyond the twentieth letter
    assert re.search(r"\d\d:\d\d:\d\d  Quick: ", watched.output)
    assert set(re.findall(r"\x1b\[[\d;?]*(.)", listed.output)) == {"m"}
    assert "\x1b[?" not in watched.output


@pytest.mark.parametrize(
    ("redirection", "status", "words"),
    [
        ("> /dev/full", 1, "No space left on device"),
        (">&-", 0, ""),
        ("2>&- >/dev/null", 0, ""),
        ("<&- >/dev/null", 0, ""),
    ],
)
def test_a_full_disk_or_a_closed_stream_is_no_traceback(
    redirection: str, status: int, words: str, executor: World
):
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -m dynflow_mp.cli plans list {redirection}', sys.executable],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "DYNFLOW_DATABASE_URL": executor.config.database_url},
    )

    assert (done.returncode, words in done.stderr) == (status, True)
    assert done.stderr.count("\n") <= 1


def test_a_missing_file_is_said_and_not_made(program: Program, tmp_path: Path):
    url = f"sqlite:///{tmp_path}/plans.db"

    for arguments in (
        ["plans", "list"],
        ["plans", "resume", "0"],
        ["worlds", "list"],
        ["worlds", "ping"],
        ["plans", "export"],
    ):
        told = program(*arguments, "--database", url)
        assert (told.status, "there is no such file" in told.errors) == (2, True), arguments
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_is_not_there_is_no_reason_to_change_a_directory(program: Program, tmp_path: Path):
    tmp_path.chmod(0o755)

    told = program("keys", "show", str(tmp_path / "key"))

    assert told.status == 2
    assert told.errors.startswith(f"dynflow-mp: {tmp_path}/key: there is no such file")


def test_a_module_of_the_settings_that_is_not_there_keeps_nobody_from_looking(
    executor: World, on: Program, monkeypatch: pytest.MonkeyPatch
):
    plan_id = executor.trigger(Quick).finished.result(30).id
    monkeypatch.setenv("DYNFLOW_APPS", "nowhere_at_all")

    shown, named, listed = (
        on("plans", "show", plan_id),
        on("plans", "show", plan_id, "--app", "nowhere_at_all"),
        on("plans", "list"),
    )

    assert (shown.status, named.status, listed.status) == (0, 2, 0)
    assert "there is no module nowhere_at_all" in shown.errors
    assert listed.errors == ""


def test_tables_of_another_version_are_not_read(program: Program, tmp_path: Path):
    from sqlalchemy import text

    from dynflow_mp.persistence.database import Database

    url = f"sqlite:///{tmp_path}/plans.db"
    program("db", "upgrade", "--database", url)
    database = Database(url)
    with database.write() as connection:
        connection.execute(text("UPDATE dynflow_schema_version SET version_num = '9999'"))
    database.close()

    told = program("plans", "list", "--database", url)

    assert told.status == 2
    assert "install a newer dynflow_mp" in told.errors
