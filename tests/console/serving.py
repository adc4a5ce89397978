"""A console that is served for real, in a thread of this process."""

from __future__ import annotations

import threading
from contextlib import contextmanager

from asking import wait_for

from dynflow_mp.console.server import ConsoleServer, listening


@contextmanager
def served(app, over=lambda: False):
    """The URL of an application that is being served, until the block is left."""
    ready = threading.Event()
    with listening("127.0.0.1", 0) as door:
        server = ConsoleServer(app, ready.set, over)
        thread = threading.Thread(target=server.run, args=([door],), daemon=True)
        thread.start()
        assert ready.wait(20), "the server did not start"
        try:
            yield f"http://127.0.0.1:{door.getsockname()[1]}"
        finally:
            server.should_exit = True
            wait_for(lambda: not thread.is_alive(), 20, "the server's end")
