"""How many files an executor must be allowed to have open."""

from __future__ import annotations

import resource

from dynflow_mp.errors import ConfigError

_OPEN_FILES, _OPEN_FILES_A_WORKER = 82, 9
"""Counted: 36 without clients, and 9 for each worker; a client takes one."""


def files_needed(workers: int) -> int:
    """How many an executor with so many workers may come to have open."""
    return _OPEN_FILES + _OPEN_FILES_A_WORKER * workers


def make_room_for(workers: int) -> None:
    """Have enough descriptors for so many workers, their successors, a few clients and the database.

    A soft limit that is too low is raised; a hard one is a :class:`ConfigError` that says the number needed.
    """
    needed = files_needed(workers)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ConfigError(
            f"{workers} worker{'s need' if workers > 1 else ' needs'} {needed} open files, and this process may have {hard}: "
            f"raise the limit (ulimit -n {needed}) or have fewer workers"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
