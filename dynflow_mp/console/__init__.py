"""The web console: see plans and worlds, and steer them, in a browser or over HTTP.

    dynflow-mp console --database URL            create_app(world)  mounted in any ASGI application

It is a client world's window: it reads the database, and asks executors for every change. Needs the extra
``console``; nothing of it is imported before :func:`create_app` is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dynflow_mp.errors import ConfigError

if TYPE_CHECKING:
    from dynflow_mp.console.app import create_app
    from dynflow_mp.console.settings import ConsoleSettings

__all__ = ["ConsoleSettings", "create_app"]

_HOMES = {"create_app": "dynflow_mp.console.app", "ConsoleSettings": "dynflow_mp.console.settings"}
_OF_THE_EXTRA = frozenset(
    {"starlette", "fastapi", "jinja2", "uvicorn", "sse_starlette", "prometheus_client", "pydantic"}
)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in _OF_THE_EXTRA:
            raise
        raise ConfigError(
            f'the console needs {library}, which is not installed: pip install "dynflow_mp[console]"'
        ) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
