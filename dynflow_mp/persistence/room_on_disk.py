"""Why SQLite could not write a file: it tells a full disk by name, but a quota or a limit only as an I/O error."""

from __future__ import annotations

import errno
import os
import resource
import tempfile
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ENOUGH = bytes(64 * 1024)


def no_room(path: Path) -> str | None:
    """Why nothing more can be written beside this file, as far as trying tells; None if it can."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    try:
        with tempfile.TemporaryFile(dir=path.parent, buffering=0) as probe:
            probe.write(_ENOUGH)
            os.fsync(probe.fileno())
    except OSError as error:
        return error.strerror if error.errno in _FULL else None
    if limit != resource.RLIM_INFINITY:
        return f"no file of this process may be larger than {limit:,} bytes (ulimit -f)"
    return None
