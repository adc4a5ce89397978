"""Whether an action's ``run`` can be told of events: by its parameters."""

from __future__ import annotations

from types import CodeType
from typing import Any

_VARARGS = 0x04


def accepts_event(kind: type) -> bool:
    """Whether the class's ``run`` has a parameter besides ``self``."""
    return takes_event(getattr(kind, "run", None))


def takes_event(run: Any) -> bool:
    """Whether this ``run``, as a class has it or bound to an action, has a parameter besides ``self``."""
    while hasattr(run, "__wrapped__"):
        run = run.__wrapped__
    code = getattr(run, "__code__", None)
    if not isinstance(code, CodeType):
        return run is not None
    return code.co_argcount > 1 or bool(code.co_flags & _VARARGS)
