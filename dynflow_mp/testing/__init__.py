"""For tests: actions one at a time, whole plans in one thread, time wound by hand.

Nothing of it is loaded before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dynflow_mp.testing.actions import (
        ActionState,
        WakeUp,
        clock_of,
        create_action,
        create_action_presentation,
        create_and_plan_action,
        finalize_action,
        plan_action,
        progress_action_time,
        run_action,
        state_of,
        stub_planned_action,
    )
    from dynflow_mp.testing.assertions import (
        assert_action_planned,
        assert_action_planned_with,
        assert_finalize_phase,
        assert_run_phase,
        refute_action_planned,
        refute_finalize_phase,
        refute_run_phase,
    )
    from dynflow_mp.testing.clock import ManagedClock, Ping
    from dynflow_mp.testing.flows import assert_flow
    from dynflow_mp.testing.parts import DoesNotRest
    from dynflow_mp.testing.world import InThreadWorld

__all__ = [
    "ActionState",
    "DoesNotRest",
    "InThreadWorld",
    "ManagedClock",
    "Ping",
    "WakeUp",
    "assert_action_planned",
    "assert_action_planned_with",
    "assert_finalize_phase",
    "assert_flow",
    "assert_run_phase",
    "clock_of",
    "create_action",
    "create_action_presentation",
    "create_and_plan_action",
    "finalize_action",
    "plan_action",
    "progress_action_time",
    "refute_action_planned",
    "refute_finalize_phase",
    "refute_run_phase",
    "run_action",
    "state_of",
    "stub_planned_action",
]

_HOMES = {
    "DoesNotRest": "parts",
    "InThreadWorld": "world",
    "ManagedClock": "clock",
    "Ping": "clock",
    "assert_flow": "flows",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES.get(name) or ("assertions" if name.startswith(("assert_", "refute_")) else "actions")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
