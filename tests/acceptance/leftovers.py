"""What a test must not leave behind: processes, socket directories, futures that never end."""

import tempfile
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psutil
from watching import wait_until

_MARK = "TEST_THAT_STARTED_THIS"


@contextmanager
def no_process_left(monkeypatch):
    """Every process started within, and all that those start, is gone at the end."""
    token = uuid4().hex
    monkeypatch.setenv(_MARK, token)
    yield
    monkeypatch.delenv(_MARK)
    wait_until(lambda: not _marked(token), 10, "the end of all processes of this test")


def _marked(token):
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(_MARK) == token and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.Error:
            continue  # gone meanwhile, or somebody else's
    return found


@contextmanager
def no_directory_left(monkeypatch):
    """Sockets of all processes started within go to a directory that is empty at the end."""
    # Not below pytest's own: its path is too long for a socket.
    base = Path(tempfile.mkdtemp(prefix="left-"))
    monkeypatch.setenv("TMPDIR", str(base))
    yield
    left = [path.name for path in base.iterdir()]
    assert left == []
    base.rmdir()


@contextmanager
def no_future_left(monkeypatch):
    """Every future that requests made within has ended at the end."""
    made = []

    class Watched(Future):
        def __init__(self):
            super().__init__()
            made.append(self)

    monkeypatch.setattr("dynflow_mp.dispatchers.client_dispatcher.Future", Watched)
    monkeypatch.setattr("dynflow_mp.world.ending.Future", Watched)
    yield
    wait_until(lambda: all(future.done() for future in made), 10, "the end of all futures of this test")


@contextmanager
def nothing_left(monkeypatch):
    """None of all that."""
    with no_directory_left(monkeypatch), no_process_left(monkeypatch), no_future_left(monkeypatch):
        yield
