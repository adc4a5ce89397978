"""``dynflow-mp`` as people and scripts use it: real programs, a real supervisor, a terminal and pipes."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import databases
import pytest
from watching import lines_of, wait_until

HERE = Path(__file__).parent
CLI = [sys.executable, "-m", "dynflow_mp.cli"]
_PATH = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))


@contextmanager
def a_supervisor(**environment):
    """``dynflow-mp supervisor`` as a process, and its world's id."""
    command = [*CLI, "supervisor", "--workers", "1", "--app", "engine_actions", "--grace", "5"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    ) as process:
        try:
            assert select.select([process.stdout], [], [], 30)[0]
            line = process.stdout.readline()
            assert line.startswith("ready world="), process.stderr.read()
            yield process, line.split()[1].removeprefix("world=")
            process.terminate()
            assert process.wait(30) == 0, process.stderr.read()
        finally:
            process.kill()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A database with a supervisor for all tests that leave it as it is."""
    with (
        databases.fresh_database(databases.SQLITE, tmp_path_factory.mktemp("shared")) as url,
        a_supervisor(DYNFLOW_DATABASE_URL=url, PYTHONPATH=_PATH),
    ):
        yield url


@pytest.fixture
def supervisor(shared, monkeypatch):
    """The program finds its database."""
    _at(shared, monkeypatch)


@pytest.fixture
def environment(database_url, monkeypatch):
    """The program finds a database of this test's own; nobody runs plans there."""
    _at(database_url, monkeypatch)


def _at(url, monkeypatch):
    monkeypatch.setenv("DYNFLOW_DATABASE_URL", url)
    monkeypatch.setenv("PYTHONPATH", _PATH)
    monkeypatch.delenv("NO_COLOR", raising=False)


def told(*arguments, status=0, seconds=60, **environment):
    """What the program says; it must end so."""
    done = subprocess.run(
        [*CLI, *arguments],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    assert done.returncode == status, (arguments, done)
    return done.stdout


def json_told(*arguments, status=0):
    return json.loads(told(*arguments, "--json", status=status))


@contextmanager
def on_a_terminal(*arguments, size=(24, 80), term="xterm"):
    """The program on a terminal of its own: its process, what reads all it draws until it ends, and what types."""
    ours, theirs = pty.openpty()
    rows, columns = size
    process = subprocess.Popen(
        [*CLI, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "TERM": term, "LINES": str(rows), "COLUMNS": str(columns)},
    )
    os.close(theirs)
    drawn = []

    def read(seconds=30.0, until=None):
        give_up_at = time.monotonic() + seconds
        while time.monotonic() < give_up_at:
            ready, _, _ = select.select([ours], [], [], 0.1)
            if not ready:
                continue
            try:
                data = os.read(ours, 65536)
            except OSError:  # nobody has the other side any more
                break
            if not data:
                break
            drawn.append(data.decode(errors="replace"))
            if until is not None and until in "".join(drawn):
                break
        return "".join(drawn)

    try:
        yield process, read, lambda text: os.write(ours, text.encode())
    finally:
        process.kill()
        process.wait(10)
        os.close(ours)


def test_a_plan_is_triggered_fails_is_mended_and_resumed(supervisor, tmp_path):
    needed = tmp_path / "needed"

    failed = json_told(
        "trigger", "engine_actions:NeedsFile", "--set", f"path={json.dumps(str(needed))}", "--wait", status=1
    )
    listed = json_told("plans", "list", "--state", "paused", "--error", str(needed))
    shown = told("plans", "show", failed["plan_id"])
    needed.touch()
    resumed = json_told("plans", "resume", failed["plan_id"], "--wait=30s")
    history = json_told("plans", "show", failed["plan_id"])["history"]

    assert (failed["state"], failed["result"]) == ("paused", "error")
    assert [plan["id"] for plan in listed["plans"]] == [failed["plan_id"]]
    assert "FileNotFoundError" in shown
    assert (resumed["plans"][0]["state"], resumed["plans"][0]["result"]) == ("stopped", "success")
    assert any(event["by"] and event["by"].endswith(" (cli)") for event in history)


def test_a_plan_is_watched_on_a_terminal_until_it_ends(supervisor, tmp_path):
    log, go = tmp_path / "log", tmp_path / "go"
    held = f'["Held", {{"log": "{log}", "until": "{go}"}}]'
    plan_id = told("trigger", "engine_actions:Ordered", "--arg", f'[{held}, ["Noop", {{}}]]').strip()

    with on_a_terminal("plans", "watch", plan_id) as (process, read, _):
        running = read(until="running")
        go.touch()
        drawn = read()
        status = process.wait(30)

    assert status == 0
    assert re.search(r"▶.*Held", running)
    assert re.search(r"✓.*Held", drawn)
    assert "100 %" in drawn
    assert "\x1b[" in drawn


def test_on_a_terminal_that_cannot_be_drawn_over_each_change_is_a_line(supervisor, tmp_path):
    log, go = tmp_path / "log", tmp_path / "go"
    plan_id = told("trigger", "engine_actions:Held", "--set", f'log="{log}"', "--set", f'until="{go}"')
    wait_until(lambda: lines_of(log), what="the step's beginning")

    with on_a_terminal("plans", "watch", plan_id.strip(), term="dumb") as (process, read, _):
        running = read(until="Held: running")
        go.touch()
        drawn = read()
        status = process.wait(30)

    assert "Held: running" in running
    assert "running → success" in drawn
    assert (status, "\x1b" in running + drawn) == (0, False)


def test_ctrl_c_ends_the_watching_and_not_the_plan(supervisor, tmp_path):
    log, go = tmp_path / "log", tmp_path / "go"
    plan_id = told(
        "trigger", "engine_actions:Held", "--set", f'log="{log}"', "--set", f'until="{go}"'
    ).strip()
    wait_until(lambda: lines_of(log), what="the step's beginning")

    with on_a_terminal("plans", "watch", plan_id) as (process, read, _):
        read(until="running")
        process.send_signal(signal.SIGINT)
        drawn = read()
        status = process.wait(30)

    assert status == 130
    assert "Traceback" not in drawn
    assert "the plan goes on" in drawn
    go.touch()
    assert (
        told("plans", "watch", plan_id, "--timeout", "30s").rstrip().endswith("stopped, success, 100 % done")
    )


def test_a_large_plan_is_watched_in_a_small_window(supervisor):
    plan_id = told("trigger", "engine_actions:FanOut", "--arg", "400").strip()

    with on_a_terminal("plans", "watch", plan_id, size=(12, 60)) as (process, read, _):
        drawn = read()
        status = process.wait(30)

    last = [line for line in drawn.replace("\r", "").split("\n") if "concurrence" in line][-1]
    assert status == 0
    assert "400 of 400 done" in last
    assert "more: " in drawn


def test_a_question_on_a_terminal_is_answered_by_a_person(supervisor, tmp_path):
    plan_id = told("trigger", "engine_actions:Evented").strip()

    with on_a_terminal("plans", "halt", plan_id) as (process, read, write):
        asked = read(until="[y/N]")
        write("n\n")
        status_of_no = process.wait(30)
    told("plans", "halt", plan_id, status=2)
    halted = told("plans", "halt", plan_id, "--yes")

    assert "Stop 1 plan for good?" in asked
    assert status_of_no == 1
    assert "stopped" in halted


def test_a_supervisor_is_looked_at_and_drained(environment, tmp_path):
    with a_supervisor() as (process, world_id):
        _look_and_drain(process, world_id, tmp_path)


def _look_and_drain(process, world_id, tmp_path):
    log, go = tmp_path / "log", tmp_path / "go"
    plan_id = told(
        "trigger", "engine_actions:Held", "--set", f'log="{log}"', "--set", f'until="{go}"'
    ).strip()
    wait_until(lambda: lines_of(log), what="the step's beginning")

    (pinged,) = json_told("worlds", "ping")["worlds"]
    (workers,) = json_told("worlds", "workers")["worlds"]
    locks = json_told("worlds", "locks")["locks"]
    healthy = json_told("doctor")
    told("worlds", "drain", world_id, "--yes")
    go.touch()

    assert (pinged["id"], pinged["ok"]) == (world_id, True)
    assert [(each["state"], each["plan_id"]) for each in workers["workers"]] == [("busy", plan_id)]
    assert plan_id in [lock["plan_id"] for lock in locks]
    assert healthy["ok"], healthy
    assert process.wait(30) == 0
    assert told("plans", "watch", plan_id).rstrip().endswith("stopped, success, 100 % done")
    assert json_told("worlds", "list")["worlds"] == []


def test_without_an_executor_a_plan_stays_asked_for(environment):
    told("db", "upgrade")
    triggered = told("trigger", "engine_actions:Noop").strip()

    timed = told("trigger", "engine_actions:Noop", "--wait=0.5s", status=5)
    unheard = told("plans", "resume", triggered, status=5, DYNFLOW_NO_EXECUTOR_TIMEOUT_S="0.5")
    ill = json_told("doctor")

    assert (timed.strip() != "", unheard) == (True, "")
    assert json_told("plans", "show", triggered)["state"] == "planned"
    assert "nobody runs plans" in str(ill)


def test_whoever_reads_no_further_ends_a_list_without_a_word(supervisor):
    told("trigger", "engine_actions:FanOut", "--arg", "300", "--wait=60s")

    with subprocess.Popen(
        [*CLI, "plans", "export"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as exporting:
        first = os.read(exporting.stdout.fileno(), 100)
        exporting.stdout.close()
        errors = exporting.stderr.read()

    assert first.startswith(b'{"id": ')
    assert (exporting.returncode in (0, 1), errors) == (True, b"")


def test_a_supervisor_finds_modules_where_it_is_started_as_the_other_commands_do(environment, tmp_path):
    (tmp_path / "only_here.py").write_text(
        "from dynflow_mp import Action\n\n\nclass Here(Action):\n    def run(self):\n        pass\n"
    )
    # Installed programs do not have the working directory on their path; -P makes -m one of them.
    program = [sys.executable, "-P", "-m", "dynflow_mp.cli"]
    command = [*program, "supervisor", "--workers", "1", "--app", "only_here"]

    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith("ready world="), process.stderr.read()
            done = subprocess.run(
                [*program, "trigger", "only_here:Here", "--wait=30s"],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert (done.returncode, done.stderr) == (0, "stopped with success\n")
        finally:
            process.terminate()
            process.wait(30)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--workers", "0"], "a whole number from 1"),
        (["--workers", "1", "--app", "nowhere_at_all"], "nowhere_at_all"),
        (["--workrs", "1"], "--workrs"),
        ([], "at least one worker"),
    ],
)
def test_a_supervisor_that_cannot_work_says_so_in_one_line(options, words, environment):
    done = subprocess.run(
        [*CLI, "supervisor", *options], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
