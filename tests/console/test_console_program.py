"""``dynflow-mp console``: starts with one line, ends within seconds, refuses what is not safe."""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import httpx
import pytest
from asking import wait_for

from dynflow_mp import World
from dynflow_mp.cli.program import run

COMMAND = [sys.executable, "-m", "dynflow_mp.cli", "console"]


@pytest.fixture
def database_url(tmp_path):
    url = f"sqlite:///{tmp_path}/plans.db"
    with World(database_url=url):
        pass
    return url


@contextmanager
def started(database_url, *options):
    process = subprocess.Popen(
        [*COMMAND, "--database", database_url, "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert select.select([process.stdout], [], [], 60)[0], "no ready line"
        line = process.stdout.readline()
        assert line.startswith("ready url=http://127.0.0.1:"), line + process.stderr.read()
        yield process, line.split()[1].removeprefix("url=")
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        process.stdout.close()
        process.stderr.close()


@pytest.fixture
def refused(capsys):
    """What is said, in one line, about options that end the program with 2."""

    def say(*options):
        assert run(["console", *options]) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1, told
        return told

    return say


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_well_when_told_to_though_pages_are_open(database_url, number):
    with started(database_url) as (process, url):
        lines = []

        def listen():
            with httpx.stream("GET", f"{url}live/worlds", timeout=30) as answer:
                lines.extend(answer.iter_lines())

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        assert httpx.get(f"{url}healthz").json() == {"status": "ok"}
        time.sleep(1.0)  # the listener's stream is open; whether it is shows below

        began = time.monotonic()
        process.send_signal(number)

        assert process.wait(20) == 0, process.stderr.read()
        assert time.monotonic() - began < 15
        listener.join(10)
        assert any(line.startswith("event: worlds") for line in lines)
        assert process.stderr.read() == ""


def test_its_world_leaves_with_it(database_url):
    with started(database_url) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    with World(database_url=database_url) as world:
        assert [record.id for record in world.coordinator.find_worlds()] == [world.id]


def test_a_token_is_made_where_there_is_none_and_told_nowhere(database_url, tmp_path):
    path = tmp_path / "token"
    with started(database_url, "--token-file", str(path)) as (process, url):
        token = path.read_text().strip()
        assert path.stat().st_mode & 0o777 == 0o600
        assert len(token) >= 43
        assert httpx.get(f"{url}api/plans").status_code == 401
        assert httpx.get(f"{url}api/plans", headers={"Authorization": f"Bearer {token}"}).status_code == 200
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        assert token not in process.stderr.read()


def test_names_and_passwords_are_read_from_their_file(database_url, tmp_path):
    path = tmp_path / "people"
    path.write_text("# who may\nann:correct-horse-battery\n")
    path.chmod(0o600)
    with started(database_url, "--basic-file", str(path), "--prefix", "/ops", "--read-only") as (_, url):
        assert url.endswith("/ops/")
        right = httpx.get(f"{url}api/plans", auth=("ann", "correct-horse-battery"))
        wrong = httpx.get(f"{url}api/plans", auth=("ann", "wrong"))
        assert (right.status_code, wrong.status_code) == (200, 401)


def test_what_is_not_safe_is_refused_in_one_line(database_url, tmp_path, refused):
    readable = tmp_path / "readable"
    readable.write_text("t" * 40)
    readable.chmod(0o644)
    short = tmp_path / "short"
    short.write_text("short\n")
    short.chmod(0o600)
    two = tmp_path / "two"
    two.write_text("a" * 40 + "\n" + "b" * 40)
    two.chmod(0o600)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    where = ("--database", database_url, "--port", "0")

    assert "needs to know its users" in refused(*where, "--host", "0.0.0.0")
    assert "needs to know its users" in refused(*where, "--allowed-host", "console.example")
    assert "others may read it" in refused(*where, "--token-file", str(readable))
    assert "at least 22" in refused(*where, "--token-file", str(short))
    assert "on one line" in refused(*where, "--token-file", str(two))
    assert "no regular file" in refused(*where, "--token-file", str(pipe))
    assert "cannot be read" in refused(*where, "--basic-file", str(tmp_path / "nothing"))
    assert "need each other" in refused(*where, "--proxy-header", "X-User")
    assert "prefix" in refused(*where, "--prefix", "no-slash")
    assert "no name of a host" in refused(*where, "--allowed-host", "http://x/")
    assert "--port" in refused("--database", database_url, "--port", "99999")
    assert "nothing is stored there" in refused("--database", f"sqlite:///{tmp_path}/none.db", "--port", "0")


def test_a_port_that_is_taken_is_named(database_url, refused):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        assert f"127.0.0.1:{port}" in refused("--database", database_url, "--port", port)


def test_a_console_whose_world_was_declared_dead_ends(database_url):
    with started(database_url) as (process, url):
        own = httpx.get(f"{url}api/worlds").json()["own"]
        with World(database_url=database_url) as world:
            world.invalidate(own)
            httpx.post(f"{url}api/validity-check", json={}, headers={"Sec-Fetch-Site": "none"}, timeout=30)
            wait_for(lambda: process.poll() is not None, 60, "its end")
        assert process.returncode == 75
