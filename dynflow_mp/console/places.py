"""Where a request points: its path within the console, wherever that is mounted, and paths that lead back."""

from __future__ import annotations

from starlette.types import Scope


def prefix_of(scope: Scope) -> str:
    """The path the console is mounted under: ``""`` or such as ``/dynflow``."""
    state = scope.get("state") or {}
    known = state.get("console_prefix")
    return known if isinstance(known, str) else str(scope.get("root_path", "")).rstrip("/")


def path_within(scope: Scope) -> str:
    """The path of a request as the console's own routes have it."""
    path, prefix = str(scope["path"]), prefix_of(scope)
    if prefix and (path == prefix or path.startswith(f"{prefix}/")):
        path = path[len(prefix) :]
    return path or "/"


def is_within(path: str, prefix: str) -> bool:
    """Whether a path given from outside leads to a page of this console, and nowhere else."""
    if not path.isprintable() or "\\" in path or path.startswith("//"):
        return False
    return path.startswith(f"{prefix}/")
