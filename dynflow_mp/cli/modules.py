"""Modules of the user's: named on a command line or in settings, never by what is stored."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from dynflow_mp.errors import ConfigError


def find_here() -> str:
    """Have modules found in the working directory, too, as ``python -m`` has them; which directory that is."""
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    return here


def imported(module: str, what: str) -> Any:
    """A module of the user's, also from the working directory. Raises :class:`ConfigError` in one line."""
    here = find_here()
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            raise ConfigError(f"{what}: there is no module {error.name} in {here} or PYTHONPATH") from None
        raise ConfigError(f"{what}: cannot be imported: {error}") from error
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{what}: cannot be imported: {type(error).__name__}: {error}") from error
