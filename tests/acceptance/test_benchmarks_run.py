"""The benchmarks as programs, at their small sizes: they work, and leave nothing behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import databases
import psutil
import pytest
from watching import wait_until

ROOT = Path(__file__).parents[2]
SECONDS = 100


def bench_command(*arguments):
    return [sys.executable, "-m", "bench", *arguments, "--against=none", "--json"]


def bench(*arguments, directory):
    """Run it to its end; its results, one per line."""
    done = subprocess.run(
        bench_command(*arguments),
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(directory)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("workload", "unit"),
    [
        ("many_plans", "plans/s"),
        ("payload", "MB/s"),
        ("recovery", "s"),
        *(
            pytest.param(*workload, marks=pytest.mark.chaos)
            for workload in (
                ("cpu", "of ideal"),
                ("start", "s"),
                ("memory", "B/queued step"),
                ("events", "events/s"),
                ("suspended", "% CPU at rest"),
                ("sub_plans", "children/s"),
            )
        ),
    ],
)
def test_a_workload_comes_to_a_figure_and_leaves_nothing_behind(workload, unit, tmp_path):
    (result,) = bench(workload, "--size=small", "--runs=1", directory=tmp_path)

    assert (result["workload"], result["database"], result["unit"]) == (workload, "sqlite", unit)
    assert result["spread"] == [result["value"]] * 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.chaos
def test_what_keeps_plans_safe_can_be_left_out_to_show_what_it_costs(tmp_path):
    command = [sys.executable, "-m", "bench.safety", "fan_out", "--database=sqlite", "--size=50", "--runs=1"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}

    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS)

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["without"] == ["fence", "lease", "captures"]
    assert result["ratio"] > 0


def test_what_plans_cost_is_counted_on_every_database(database_kind, tmp_path):
    counted = bench(
        "many_plans", "--size=small", "--count", f"--database={database_kind}", directory=tmp_path
    )

    by_process = {line["process"]: line["per_step"] for line in counted}
    assert {"client", "supervisor", "together"} <= set(by_process)
    assert all(line["database"] == database_kind for line in counted)
    # A step is two updates at least, a plan of three its rows and two more of its own.
    assert by_process["supervisor"]["rows"] >= 2
    assert by_process["client"]["rows"] >= 1
    assert by_process["together"]["commits"] > 0
    assert by_process["together"]["bytes"] > 0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_bench_that_is_killed_leaves_no_process_database_or_directory(how, tmp_path):
    databases.require("postgresql")
    command = bench_command("many_plans", "--database=postgresql", "--runs=100", "--size=small")
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            # Not just any file: Python tries out a temporary directory with one of its own.
            wait_until(lambda: list(tmp_path.glob("*-*-*")), what="the directory of the run")
            (directory,) = tmp_path.glob("*-*-*")
            token = directory.name.split("-")[2]
            wait_until(lambda: len(marked(token)) >= 4, what="a supervisor with its workers and a client")
            assert databases_of(token)

            process.send_signal(how)
            process.wait(60)
        finally:
            process.kill()

        wait_until(lambda: not marked(token), 60, "the end of its processes")
        wait_until(lambda: not databases_of(token), 60, "the drop of its databases")
        wait_until(lambda: not list(tmp_path.iterdir()), 60, "the removal of its directory")


def test_a_server_that_is_gone_keeps_the_sweeper_from_nothing_else(tmp_path):
    directory, other = tmp_path / "site", tmp_path / "other"
    directory.mkdir()
    other.mkdir()
    told = [{"server": "nosuch://here/x"}, {"directory": str(other)}]

    done = subprocess.run(
        [sys.executable, "-m", "bench.sweeper", "0badcafe", str(directory)],
        cwd=ROOT,
        input="".join(json.dumps(line) + "\n" for line in told),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )

    assert done.returncode == 0
    assert "dynflow_bench_0badcafe_* may be left on a server" in done.stderr
    assert list(tmp_path.iterdir()) == []


def marked(token):
    """The processes that a run has started, by what they carry."""
    return [process for process in psutil.process_iter() if carries(process, token)]


def carries(process, token):
    try:
        return process.environ().get("BENCH_TOKEN") == token
    except psutil.Error:
        return False


def databases_of(token):
    from sqlalchemy import create_engine, text

    engine = create_engine(databases.server_url("postgresql"))
    try:
        with engine.connect() as connection:
            names = connection.execute(text("SELECT datname FROM pg_database")).scalars().all()
    finally:
        engine.dispose()
    return [name for name in names if token in name]
