"""From a world's settings to what its core and workers need to know."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from random import Random

from dynflow_mp.actions.named_rules import known_places
from dynflow_mp.actions.registry import registry
from dynflow_mp.config import Config
from dynflow_mp.director.failures import Conduct
from dynflow_mp.errors import ConfigError
from dynflow_mp.executor.core import CoreSettings
from dynflow_mp.executor.left_directories import remove_left
from dynflow_mp.executor.recycling import WorkerLimits
from dynflow_mp.executor.staffing import StaffSettings
from dynflow_mp.executor.worker_process import WorkerSettings
from dynflow_mp.executor.workers_socket import SOCKET_NAME

_PREFIX = "dynflow-"
_LONGEST_BASE = 80
"""A socket's path may have 107 bytes, and on some systems less; our names below take 25."""


def core_settings(world_id: str, config: Config) -> CoreSettings:
    """What the core of this world works with.

    Workers import the ``apps`` of the configuration; where none are named, the modules of all
    actions registered in this process, the script being run among them (decisions.md 16, 25).
    """
    apps = config.apps or tuple(registry.modules())
    chance = Random().random
    script = None if config.apps else registry.script()
    return CoreSettings(
        world_id,
        StaffSettings(
            config.pools,
            WorkerLimits(config.max_steps_per_worker, config.max_worker_memory, config.max_worker_age_s),
            config.max_worker_deaths,
            chance,
        ),
        config.max_credit,
        Conduct(config.auto_rescue, chance),
        _private_directory(),
        WorkerSettings(
            apps,
            script,
            config.max_payload,
            config.start_timeout_s,
            known_places(config.middleware),
            config.sensitive_keys,
        ),
        config.errand_timeout_s,
        config.lease_ttl_s if config.on_lease_loss == "kill" else None,
    )


def _private_directory() -> Path:
    """Where the workers' socket goes: a long TMPDIR is no reason not to start."""
    try:
        base = tempfile.gettempdir()
        base = base if len(os.fsencode(base)) <= _LONGEST_BASE else "/tmp"
        remove_left(Path(base), _PREFIX, SOCKET_NAME)
        return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    except OSError as error:
        raise ConfigError(
            f"no directory for the workers' socket could be made: {error}; TMPDIR names where"
        ) from error
