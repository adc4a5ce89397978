"""From a world's settings to what its core and workers need to know."""

from __future__ import annotations

import tempfile
from pathlib import Path

from dynflow_mp.actions.registry import registry
from dynflow_mp.config import Config
from dynflow_mp.executor.core import CoreSettings
from dynflow_mp.executor.processes import WorkerSettings


def core_settings(world_id: str, config: Config) -> CoreSettings:
    """What the core of this world works with.

    Workers import the ``apps`` of the configuration; where none are named, the modules of all
    actions registered in this process, the script being run among them (decisions.md 16, 25).
    """
    apps = config.apps or tuple(registry.modules())
    script = None if config.apps else registry.script()
    return CoreSettings(
        world_id,
        config.pools,
        config.max_credit,
        Path(tempfile.mkdtemp(prefix="dynflow-")),
        WorkerSettings(apps, script, config.max_payload),
    )
