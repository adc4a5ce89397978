"""Names under which the engine logs; the library itself configures nothing."""

from __future__ import annotations

import logging


def logger(name: str) -> logging.Logger:
    """The logger of one room: ``dynflow_mp.<name>``."""
    return logging.getLogger(f"dynflow_mp.{name}")


logging.getLogger("dynflow_mp").addHandler(logging.NullHandler())
