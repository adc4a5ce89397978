"""``python -m dynflow_mp.supervisor`` under mishaps: one clear line, the right exit status, nothing left behind."""

import errno
import os
import signal
import socket
import sqlite3
import textwrap
import time
from contextlib import suppress

import pytest
from engine_actions import Crashes, Held, Noop
from leftovers import nothing_left
from watching import alive, lines_of, run, wait_until


@pytest.fixture(autouse=True)
def _nothing_is_left(monkeypatch):
    with nothing_left(monkeypatch):
        yield


@pytest.fixture
def a_module(tmp_path, monkeypatch):
    """Write a module where supervisors started afterwards find it."""

    def write(name, text):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        return name

    return write


@pytest.fixture
def refused(start_supervisor, tmp_path):
    """What a supervisor says that cannot start: its exit status and its one line."""

    def start(*options, **keywords):
        supervisor = start_supervisor(*options, wait=False, cwd=tmp_path, **keywords)
        status, out, err = supervisor.output(40)
        assert out == ""
        assert err.startswith("dynflow_mp: ")
        assert len(err.splitlines()) == 1, err
        return status, err

    return start


def shell(redirections):
    """Start a program through a shell that does this to it."""
    return ("bash", "-c", f'exec "$@" {redirections}', "-")


# -- options ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "keywords", "words"),
    [
        ((), {"workers": "1.5"}, "--workers': a whole number from 1 to 512 is wanted, not '1.5'"),
        ((), {"workers": ""}, "--workers': a whole number from 1 to 512 is wanted, not ''"),
        (("--databse", "x"), {}, "Did you mean '--database'?"),
        (("stray",), {}, "unexpected extra argument (stray)"),
        (("--queue", "slow=x"), {}, "'slow=x' is not NAME=N"),
        (("--grace", "-1"), {}, "--grace"),
        ((), {"database_url": "shop.db"}, "database_url"),
        ((), {"database_url": "postgresql+nosuch://x/y"}, "nosuch"),
        (("--listen", ""), {}, "listen=''"),
        (("--listen", "tcp://127.0.0.1:http"), {}, "a port is missing"),
        (("--listen", "tcp://nosuch.invalid:5555"), {}, "must name an address of this machine"),
        (("--listen", "tcp://0.0.0.0:5555"), {}, "does not say where other worlds reach this one"),
        (("--listen", f"ipc:///tmp/{'x' * 120}"), {}, "too long for a socket's path (at most 107); choose"),
    ],
)
def test_wrong_options_are_one_line_and_exit_2(refused, options, keywords, words):
    status, line = refused(*options, **keywords)

    assert status == 2
    assert words in line


def test_a_database_driver_that_is_not_installed_is_named_with_its_extra(refused, a_module):
    a_module(
        "sitecustomize",
        """
        import sys
        sys.modules["psycopg"] = None
        """,
    )

    status, line = refused(database_url="postgresql+psycopg://somebody:secret@127.0.0.1/x")

    assert status == 2
    assert "psycopg" in line
    assert "pip install 'dynflow_mp[postgres]'" in line
    assert "secret" not in line


def test_a_database_server_that_is_not_there_is_waited_for_and_then_exit_1(start_supervisor, monkeypatch):
    monkeypatch.setenv("DYNFLOW_DATABASE_WAIT_S", "0.5")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"postgresql+psycopg://somebody:secret@127.0.0.1:{nobody.getsockname()[1]}/x"

        status, out, err = start_supervisor(wait=False, database_url=url).output()

    lines = err.splitlines()
    assert (status, out) == (1, "")
    assert len(lines) >= 2
    assert all("trying again" in line for line in lines[:-1])
    assert "trying again" not in lines[-1]
    assert "secret" not in err


# -- applications ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "import nothing_of_that_name",
            "cannot import shop: ModuleNotFoundError: No module named 'nothing_of",
        ),
        ("def (", "cannot import shop: SyntaxError: invalid syntax (shop.py, line 1)"),
        ("import sys; sys.exit('bye')", "cannot import shop: SystemExit: bye"),
        ("raise KeyboardInterrupt", "cannot import shop: KeyboardInterrupt"),
        ("import os; os._exit(7)", "a worker left with exit status 7"),
        ("import os; os._exit(0)", "while importing shop"),
        ("import os; os.kill(os.getpid(), 11)", "signal 11 (SIGSEGV) while importing shop"),
        ("raise ValueError('one\\n\\ntwo')", "cannot import shop: ValueError: one"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named_with_the_reason(refused, a_module, text, words):
    status, line = refused(app=a_module("shop", text))

    assert status == 2
    assert words in line


def test_of_several_modules_the_one_that_fails_is_named(refused, a_module):
    status, line = refused("--app", a_module("shop", "import os; os._exit(1)"), app="engine_actions")

    assert status == 2
    assert "while importing shop" in line


@pytest.mark.parametrize(
    ("app", "words"),
    [
        ("shop.py", "names a file; name the module, 'shop'"),
        ("./apps/shop.py", "name the module, 'shop'"),
        (".shop", "is not a module's full name"),
        ("", "apps"),
    ],
)
def test_a_file_or_a_relative_name_is_no_module(refused, app, words):
    status, line = refused("--app", app)

    assert status == 2
    assert words in line


def test_a_module_whose_import_never_ends_is_given_up(refused, a_module, monkeypatch):
    monkeypatch.setenv("DYNFLOW_START_TIMEOUT_S", "1.5")

    status, line = refused(app=a_module("shop", "import time; time.sleep(1000)"))

    assert status == 2
    assert "still importing shop after 1.5 s; start_timeout_s" in line


def test_a_module_without_actions_is_a_warning_once(start_supervisor, a_module):
    a_module("shop", "PRICE = 3")
    supervisor = start_supervisor("--app", "shop", workers=2)

    supervisor.signal(signal.SIGTERM)

    status, _, err = supervisor.output()
    assert status == 0
    assert err.count("shop has no actions") == len(err.splitlines()) == 1


def test_a_module_may_show_actions_that_are_defined_elsewhere(start_supervisor, a_module):
    a_module("shop", "from engine_actions import Noop")
    supervisor = start_supervisor("--app", "shop", app=None, workers=1)

    supervisor.signal(signal.SIGTERM)

    assert supervisor.output() == (0, "", "")


def test_what_a_module_prints_when_it_is_imported_is_not_the_supervisor_s_output(
    start_supervisor, a_module, a_client
):
    a_module("shop", "import sys; print('hello' * 50_000); print('there', file=sys.stderr)")
    supervisor = start_supervisor("--app", "shop", "--log-level", "error", workers=1)

    assert supervisor.ready_line.startswith("ready world=")
    assert run(a_client(), Noop).result == "success"

    supervisor.signal(signal.SIGTERM)
    assert supervisor.output() == (0, "", "")


def test_a_worker_that_cannot_start_at_all_is_one_line(refused, a_module):
    a_module(
        "sitecustomize",
        """
        import os, sys
        if "dynflow_mp.supervisor" in sys.orig_argv:
            os.environ["PYTHONHOME"] = "/nonexistent"
        """,
    )

    status, line = refused()

    assert status == 2
    assert "Fatal Python error" in line


def test_too_few_open_files_are_refused_with_the_number_needed(refused):
    status, line = refused(workers=20, through=("bash", "-c", 'ulimit -n 64; exec "$@"', "-"))

    assert status == 2
    assert (
        "20 workers need 262 open files, and this process may have 64: raise the limit (ulimit -n 262)"
        in line
    )


def test_with_hardly_any_open_files_that_is_what_is_said(refused):
    status, line = refused(workers=1, through=("bash", "-c", 'ulimit -n 9; exec "$@"', "-"))

    assert status == 2
    assert "1 worker needs 91 open files, and this process may have 9" in line


def test_a_low_soft_limit_of_open_files_is_raised(start_supervisor):
    supervisor = start_supervisor(workers=8, through=("bash", "-c", 'ulimit -S -n 64; exec "$@"', "-"))

    supervisor.signal(signal.SIGTERM)

    assert supervisor.output() == (0, "", "")


def test_g17_workers_that_cannot_come_up_any_more_are_tried_less_and_less_often(
    start_supervisor, a_module, a_client, tmp_path
):
    """The module breaks while the supervisor runs; it is mended, and the plan goes on."""
    broken, tries = tmp_path / "broken", tmp_path / "tries"
    a_module(
        "shop",
        f"""
        import pathlib
        from engine_actions import *
        pathlib.Path({str(tries)!r}).open("a").write("try\\n")
        if pathlib.Path({str(broken)!r}).exists():
            raise RuntimeError("the shop is closed")
        """,
    )
    supervisor = start_supervisor("--app", "shop", app=None, workers=1)
    client = a_client(no_executor_timeout_s=60)
    (worker,) = [pid for pid in supervisor.descendants() if "dynflow_mp.executor.worker" in command_of(pid)]
    broken.touch()
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: len(lines_of(tries)) >= 4, what="three tries")
    began, before = time.monotonic(), len(lines_of(tries))
    triggered = client.trigger(Noop)

    wait_until(lambda: len(lines_of(tries)) >= 6, what="two more tries")
    passed_s = time.monotonic() - began
    broken.unlink()

    assert triggered.finished.result(60).result == "success"
    assert before <= 6
    assert passed_s > 0.4, "a delay that doubles: 0.1, 0.2, 0.4 …"
    supervisor.signal(signal.SIGTERM)
    status, _, err = supervisor.output()
    assert status == 0
    assert "a worker could not start: cannot import shop: RuntimeError: the shop is closed" in err
    assert "Traceback" not in err


def command_of(pid):
    with open(f"/proc/{pid}/cmdline") as file:
        return file.read()


# -- environment -----------------------------------------------------------------------------------


def test_an_unknown_setting_in_the_environment_is_one_plain_line(start_supervisor, monkeypatch):
    monkeypatch.setenv("DYNFLOW_WORKER", "2")
    supervisor = start_supervisor(workers=1)

    supervisor.signal(signal.SIGTERM)

    line = "dynflow_mp: DYNFLOW_WORKER is not a setting of dynflow_mp; did you mean DYNFLOW_WORKERS?\n"
    assert supervisor.output() == (0, "", line)


@pytest.mark.parametrize(
    ("variable", "text"),
    [("DYNFLOW_MAX_CREDIT", "many"), ("DYNFLOW_MAX_CREDIT", "0"), ("DYNFLOW_LEASE_TTL_S", "nan")],
)
def test_a_bad_value_in_the_environment_names_the_variable(refused, monkeypatch, variable, text):
    monkeypatch.setenv(variable, text)

    status, line = refused()

    assert status == 2
    assert f"{variable}={text!r}" in line


# -- signals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_during_the_start_is_heeded_at_once(start_supervisor, a_module, tmp_path, number):
    importing = tmp_path / "importing"
    a_module("shop", f"import pathlib, time; pathlib.Path({str(importing)!r}).touch(); time.sleep(1000)")
    supervisor = start_supervisor(wait=False, app="shop", workers=2)
    wait_until(importing.exists, what="the import")
    began = time.monotonic()

    supervisor.signal(number)

    assert supervisor.output() == (0, "", "dynflow_mp: told to stop before it was ready\n")
    assert time.monotonic() - began < 15


def test_g14_one_that_is_declared_dead_while_it_starts_exits_75(
    start_supervisor, a_client, a_module, tmp_path
):
    """As it does later: the same program may be started again, there is nothing to change about it."""
    importing, go = tmp_path / "importing", tmp_path / "go"
    a_module(
        "shop",
        f"""
        import pathlib, time
        pathlib.Path({str(importing)!r}).touch()
        while not pathlib.Path({str(go)!r}).exists():
            time.sleep(0.01)
        from engine_actions import Noop
        """,
    )
    client = a_client()
    supervisor = start_supervisor(wait=False, app="shop", workers=1)
    wait_until(importing.exists, what="the import")
    (starting,) = client.coordinator.find_worlds(executor=True)

    client.invalidate(starting)
    go.touch()
    status, _, said = supervisor.output()

    assert status == 75
    assert f"world {starting.id} was declared dead" in said


def test_a_hang_up_drains(start_supervisor, a_client, tmp_path):
    supervisor = start_supervisor(workers=1)
    log = tmp_path / "log"
    triggered = a_client().trigger(Held, log=str(log), until=str(tmp_path / "go"))
    wait_until(lambda: lines_of(log), what="the step's beginning")

    supervisor.signal(signal.SIGHUP)
    (tmp_path / "go").touch()

    assert supervisor.wait() == 0
    assert triggered.finished.result(20).result == "success"


def test_nohup_keeps_it_running_without_its_terminal(start_supervisor, a_client):
    supervisor = start_supervisor(workers=1, through=("bash", "-c", 'trap "" HUP; exec "$@"', "-"))

    supervisor.signal(signal.SIGHUP)

    assert run(a_client(), Noop).result == "success"
    assert supervisor.process.poll() is None
    supervisor.signal(signal.SIGTERM)
    assert supervisor.wait() == 0


# -- standard streams and directories --------------------------------------------------------------


@pytest.mark.parametrize("redirections", [">&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full"])
def test_closed_or_full_standard_streams_harm_nobody(
    start_supervisor, a_client, database_url, redirections, tmp_path
):
    """Files opened by the program must not become its standard output: messages would be written into them."""
    supervisor = start_supervisor(wait=False, workers=1, through=shell(redirections))
    client = a_client(no_executor_timeout_s=60)
    crash = client.trigger(Crashes, cured=str(tmp_path / "never"))

    assert crash.finished.result(60).state == "paused"
    assert client.trigger(Noop).finished.result(60).result == "success"
    supervisor.signal(signal.SIGTERM)
    assert supervisor.wait() == 0
    assert integrity_of(database_url) == "ok"


def integrity_of(database_url):
    connection = sqlite3.connect(database_url.removeprefix("sqlite:///"))
    try:
        return connection.execute("PRAGMA integrity_check").fetchone()[0]
    finally:
        connection.close()


def test_a_log_that_nobody_reads_stops_nobody(start_supervisor, a_client):
    """Its pipe is full from the beginning, and every step is a line of the debug log."""
    reader, writer = os.pipe()
    fill(writer)
    log = f"/proc/{os.getpid()}/fd/{writer}"
    supervisor = start_supervisor("--log-level", "debug", workers=1, through=shell(f"2>{log}"))

    results = [run(a_client(), Noop).result for _ in range(3)]
    supervisor.signal(signal.SIGTERM)

    assert results == ["success"] * 3
    assert supervisor.wait() == 0
    os.close(reader)
    os.close(writer)


def fill(pipe):
    """Write until nothing goes in any more."""
    os.set_blocking(pipe, False)
    with suppress(BlockingIOError):
        while True:
            os.write(pipe, b"x" * 4096)


def test_a_log_whose_reader_is_gone_stops_nobody(start_supervisor, a_client):
    supervisor = start_supervisor("--log-level", "debug", workers=1)
    supervisor.process.stderr.close()

    assert run(a_client(), Noop).result == "success"

    supervisor.signal(signal.SIGTERM)
    assert supervisor.wait() == 0


def test_a_supervisor_runs_in_a_directory_that_is_gone(start_supervisor, a_client, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    supervisor = start_supervisor(
        workers=1, cwd=gone, through=("bash", "-c", f'rmdir {gone}; exec "$@"', "-")
    )

    assert run(a_client(), Noop).result == "success"

    supervisor.signal(signal.SIGTERM)
    assert supervisor.wait() == 0


def test_a_missing_temporary_directory_is_replaced_by_the_system_s(start_supervisor, a_client, monkeypatch):
    monkeypatch.setenv("TMPDIR", "/nonexistent/directory")
    supervisor = start_supervisor(workers=1)

    assert run(a_client(), Noop).result == "success"

    supervisor.signal(signal.SIGTERM)
    assert supervisor.wait() == 0


# -- addresses -------------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_named(refused):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        endpoint = f"tcp://127.0.0.1:{taken.getsockname()[1]}"

        status, line = refused("--listen", endpoint)

    assert status == 2
    assert f"{endpoint} cannot be listened on: {os.strerror(errno.EADDRINUSE)}; choose another port" in line


def test_a_path_of_a_living_supervisor_is_refused_and_one_of_a_dead_one_is_taken(
    start_supervisor, refused, a_client, monkeypatch, tmp_path
):
    path = f"{os.environ['TMPDIR']}/s"
    first = start_supervisor("--listen", f"ipc://{path}", workers=1)

    status, line = refused("--listen", f"ipc://{path}")

    assert status == 2
    assert f"{path} is in use by process {first.process.pid}" in line
    family = first.descendants()
    first.signal(signal.SIGKILL)
    first.wait()
    wait_until(lambda: not any(map(alive, family)), what="the end of its processes")
    second = start_supervisor("--listen", f"ipc://{path}", workers=1)
    assert run(a_client(), Noop).result == "success"
    second.signal(signal.SIGTERM)
    assert second.wait() == 0
