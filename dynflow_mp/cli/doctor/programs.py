"""Which versions of what this is."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from dynflow_mp.cli.doctor.finding import NOTE, OK, Finding

_SECTION = "program"
_LIBRARIES = ("SQLAlchemy", "alembic", "pyzmq", "msgpack", "psutil", "click", "rich")
_EXTRAS = ("psycopg", "PyMySQL", "starlette", "fastapi", "uvicorn", "prometheus-client", "pydantic")


def programs() -> Iterator[Finding]:
    """Python, the system, and every library there is of those we use."""
    yield Finding(_SECTION, "dynflow_mp", _version("dynflow_mp") or "not installed")
    build = "" if getattr(sys, "_is_gil_enabled", lambda: True)() else ", free-threaded"
    yield Finding(_SECTION, "Python", f"{platform.python_version()}{build}, {sys.executable}")
    yield Finding(_SECTION, "system", f"{platform.system()} {platform.release()} {platform.machine()}")
    yield Finding(_SECTION, "process", f"pid {os.getpid()}, uid {os.geteuid()}, in {os.getcwd()}")
    for name in (*_LIBRARIES, *_EXTRAS):
        if (found := _version(name)) is not None:
            yield Finding(_SECTION, name, found)
    yield Finding(_SECTION, "SQLite", sqlite3.sqlite_version)
    yield _curve()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _curve() -> Finding:
    import zmq

    from dynflow_mp.connectors.keys import why_no_curve

    reason = why_no_curve()
    return Finding(
        _SECTION,
        "libzmq",
        f"{zmq.zmq_version()}, {'with' if reason is None else 'without'} CURVE",
        OK if reason is None else NOTE,
        reason or "",
        ""
        if reason is None
        else "without it worlds talk only on this machine; pip install --force-reinstall pyzmq",
    )
