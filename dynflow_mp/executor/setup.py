"""From a world's settings to what its core and workers need to know."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from dynflow_mp.config import Config
from dynflow_mp.executor.core import CoreSettings
from dynflow_mp.executor.processes import WorkerSettings


def core_settings(world_id: str, config: Config, action_modules: Iterable[str]) -> CoreSettings:
    """``action_modules``: the modules of all registered actions, used when no ``apps`` are named."""
    modules = list(config.apps) or sorted(set(action_modules))
    script = _main_script() if "__main__" in modules else None
    apps = tuple(name for name in modules if name != "__main__")
    return CoreSettings(
        world_id,
        config.pools,
        config.max_credit,
        Path(tempfile.mkdtemp(prefix="dynflow-")),
        WorkerSettings(apps, script, config.max_payload),
    )


def _main_script() -> str | None:
    """The file being run, which workers load under another module name (decisions.md 16)."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return None if file is None else str(Path(file).resolve())
