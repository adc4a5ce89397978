"""What the system lets processes have: files, memory, processors, room on disks, short paths for sockets."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dynflow_mp.cli.doctor.finding import NOTE, OK, WRONG, Finding
from dynflow_mp.cli.words import amount
from dynflow_mp.config import Config
from dynflow_mp.errors import ConnectorError, DynflowError

_SECTION = "limits"
_CGROUP = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")
_A_WORKER = 64 * 1024 * 1024
_LEAST_ROOM = 256 * 1024 * 1024
_WORKERS_A_CPU = 8
_NO_LIMIT = 1 << 60
"""Version 1 of cgroups writes a number for no limit."""


def limits(config: Config) -> Iterator[Finding]:
    """For the workers that these settings ask for; for one on each processor where they ask for none."""
    workers = sum(config.pools.values()) or os.cpu_count() or 1
    yield _open_files(workers)
    yield from _memory(workers)
    yield _processors(workers)
    yield from _sockets(config)
    yield _room("temporary files", Path(tempfile.gettempdir()))


def _open_files(workers: int) -> Finding:
    from dynflow_mp.executor.open_files import files_needed

    needed = files_needed(workers)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    value = f"{_limit(soft)} (hard {_limit(hard)}), {needed} needed for {workers} workers"
    if hard == resource.RLIM_INFINITY or hard >= needed:
        return Finding(_SECTION, "open files", value)
    what = f"{workers} workers need {needed}"
    return Finding(_SECTION, "open files", value, WRONG, what, f"ulimit -n {needed}, or have fewer workers")


def _limit(number: int) -> str:
    return "unlimited" if number == resource.RLIM_INFINITY else f"{number:,}"


def _memory(workers: int) -> Iterator[Finding]:
    import psutil

    machine = psutil.virtual_memory()
    yield Finding(_SECTION, "memory", f"{amount(machine.available)} of {amount(machine.total)} free")
    most, used = _cgroup_number("memory.max", "memory.limit_in_bytes"), _cgroup_number("memory.current")
    if most is None or most >= _NO_LIMIT:
        yield Finding(_SECTION, "memory of the cgroup", "no limit")
        return
    value = f"{amount(most)}" + ("" if used is None else f", {amount(used)} used")
    if most < workers * _A_WORKER:
        what = f"{workers} workers have less than {amount(_A_WORKER)} each"
        advice = "raise the limit (memory.max, MemoryMax=, --memory), or have fewer workers"
        yield Finding(_SECTION, "memory of the cgroup", value, WRONG, what, advice)
    else:
        yield Finding(_SECTION, "memory of the cgroup", value)


def _processors(workers: int) -> Finding:
    there = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    value = f"{there:g}"
    quota = _cpu_quota()
    if quota is not None and quota < there:
        there, value = quota, f"{value}, {quota:g} by the cgroup"
    if workers > there * _WORKERS_A_CPU:
        what = f"{workers} workers share {there:g}"
        advice = "steps that compute will wait for each other; have fewer workers, or more processors"
        return Finding(_SECTION, "processors", value, NOTE, what, advice)
    return Finding(_SECTION, "processors", value)


def _cpu_quota() -> float | None:
    text = _cgroup_text("cpu.max")
    if text is None or text.startswith("max"):
        return None
    try:
        quota, period = text.split()
        return int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return None


def _cgroup_number(*names: str) -> int | None:
    for name in names:
        text = _cgroup_text(name)
        if text is not None and text.isdigit():
            return int(text)
    return None


def _cgroup_text(name: str) -> str | None:
    """From this process's own cgroup; in a container that is the root of what is mounted there."""
    for directory in (_CGROUP / _own_path(), _CGROUP, _CGROUP / "memory"):
        try:
            return (directory / name).read_text().strip()
        except OSError:
            continue
    return None


def _own_path() -> str:
    try:
        lines = _OWN_CGROUP.read_text().splitlines()
    except OSError:
        return ""
    return next((line[3:].lstrip("/") for line in lines if line.startswith("0::")), "")


def _sockets(config: Config) -> Iterator[Finding]:
    from dynflow_mp.connectors.endpoints import check_endpoint
    from dynflow_mp.connectors.keys import why_no_curve

    base = tempfile.gettempdir()
    length = len(os.fsencode(base)) + len("/dynflow-12345678/world")
    if length > 103:
        what = f"sockets there have {length} bytes in their paths, too many for the system"
        yield Finding(
            _SECTION, "sockets", base, NOTE, what, "they are made in /tmp instead; or set TMPDIR shorter"
        )
    elif not os.access(base, os.W_OK | os.X_OK):
        what = "no socket can be made there"
        yield Finding(
            _SECTION, "sockets", base, WRONG, what, "set TMPDIR to a directory that can be written to"
        )
    else:
        yield Finding(_SECTION, "sockets", f"{base}, {length} bytes in a path")
    if config.listen is None:
        return
    try:
        check_endpoint(config.listen, encrypted=why_no_curve() is None)
    except ConnectorError as error:
        yield Finding(
            _SECTION, "listen", config.listen, WRONG, str(error), "choose another endpoint for listen"
        )
    else:
        yield Finding(_SECTION, "listen", config.listen)


def _room(name: str, directory: Path) -> Finding:
    return room(_SECTION, name, directory)


def room(section: str, name: str, directory: Path) -> Finding:
    """How much a disk has left."""
    try:
        found = shutil.disk_usage(directory)
    except OSError as error:
        return Finding(section, f"room for {name}", str(directory), WRONG, str(error.strerror), "")
    value = f"{amount(found.free)} of {amount(found.total)} free at {directory}"
    if found.free >= _LEAST_ROOM:
        return Finding(section, f"room for {name}", value, OK)
    return Finding(
        section, f"room for {name}", value, WRONG, "the disk is almost full", "make room, or move to another"
    )


def keys(config: Config) -> Iterator[Finding]:
    """Whether the key files that the settings name can be used."""
    from dynflow_mp.connectors.keys import KeyPair, trusted_keys

    for name, path, look in (
        ("curve_key_file", config.curve_key_file, KeyPair.from_file),
        ("curve_trusted_keys_file", config.curve_trusted_keys_file, trusted_keys),
    ):
        if path is None:
            continue
        try:
            look(Path(path))
        except DynflowError as error:
            yield Finding("settings", name, path, WRONG, str(error), "")
        else:
            yield Finding("settings", name, path)
