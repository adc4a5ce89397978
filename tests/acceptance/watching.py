"""Watching worlds from outside: wait for what they do, start them as programs, look at their processes."""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

HERE = Path(__file__).parent


def wait_until(condition, seconds=20.0, what="it"):
    """Wait for a condition; a deadline that passes is a failure that names what did not come."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.01)


def lines_of(path):
    """The lines written so far."""
    try:
        return Path(path).read_text().splitlines()
    except FileNotFoundError:
        return []


def alive(pid):
    """Whether a process is there and not a zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Supervisor:
    """``python -m dynflow_mp.supervisor`` as a process of its own; ``through`` is a command that starts it."""

    def __init__(self, database_url, *options, workers=2, app="engine_actions", cwd=None, through=()):
        self.command = [
            *through,
            sys.executable,
            "-m",
            "dynflow_mp.supervisor",
            *(["--workers", str(workers)] if workers is not None else []),
            *(["--database", database_url] if database_url else []),
            *(["--app", app] if app else []),
            *options,
        ]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")])),
        }
        self.process = subprocess.Popen(
            self.command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=cwd,
            start_new_session=True,
        )
        self.ready_line = None

    def wait_ready(self, seconds=30.0):
        """Wait for its one line; an end before that fails the test with what it said."""
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        if not ready:
            pytest.fail(f"the supervisor said nothing within {seconds:g} s")
        self.ready_line = self.process.stdout.readline().rstrip()
        if not self.ready_line:
            pytest.fail(f"the supervisor ended with {self.process.wait(10)}: {self.process.stderr.read()}")
        return self

    @property
    def world_id(self):
        return dict(part.split("=", 1) for part in self.ready_line.split()[1:])["world"]

    def descendants(self):
        """Pids of all processes below it."""
        return [child.pid for child in psutil.Process(self.process.pid).children(recursive=True)]

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=30.0):
        """Its exit status."""
        return self.process.wait(seconds)

    def output(self, seconds=30.0):
        """Exit status, standard output and standard error of a supervisor that ends by itself."""
        out, err = self.process.communicate(timeout=seconds)
        return self.process.returncode, out, err

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        self.process.stdout.close()
        self.process.stderr.close()


def stop_between_writes(supervisor, client, *others):
    """SIGSTOP to it, and others with it, but not in the middle of a write: a process that stands still there is killed."""
    for _ in range(20):
        for pid in (supervisor.process.pid, *others):
            os.kill(pid, signal.SIGSTOP)
        writing = threading.Thread(target=client.coordinator.renew_lease)
        writing.start()
        writing.join(0.5)
        if not writing.is_alive():
            return
        for pid in (supervisor.process.pid, *others):
            os.kill(pid, signal.SIGCONT)
        writing.join(10)
    pytest.fail("the supervisor was writing each time it was stopped")


def run(world, action, *args, timeout=30, **kwargs):
    """Trigger and wait: the plan when the attempt ended."""
    triggered = world.trigger(action, *args, **kwargs)
    assert triggered.triggered, triggered
    return triggered.finished.result(timeout)


def kill(supervisor):
    """As the kernel would for want of memory: nothing of it gets to say goodbye."""
    supervisor.signal(signal.SIGKILL)
    supervisor.wait()
