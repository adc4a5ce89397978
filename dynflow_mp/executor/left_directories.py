"""Directories of workers' sockets whose supervisor was killed together with its guardian, who would have removed them.

A socket that nobody listens on any more says that its supervisor is gone, whoever that was.
"""

from __future__ import annotations

import os
import socket
import stat
import time
from pathlib import Path

_OLD_S = 60.0
"""Who is just starting may not listen yet."""


def remove_left(base: Path, prefix: str, name: str) -> None:
    """Remove directories of ours in ``base`` that begin with ``prefix`` and hold nothing but a dead socket ``name``."""
    for path in base.glob(f"{prefix}*/{name}"):
        try:
            if _is_old_socket_of_ours(path) and _nobody_listens(path):
                path.unlink()
                path.parent.rmdir()
        except OSError:
            continue  # gone by now, or something else is in it


def _is_old_socket_of_ours(path: Path) -> bool:
    found = path.lstat()
    old = time.time() - found.st_mtime > _OLD_S
    return old and stat.S_ISSOCK(found.st_mode) and found.st_uid == os.geteuid()


def _nobody_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.setblocking(False)
        try:
            caller.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False  # too many wait already, say: somebody is there
    return False
