"""What a worker does for each kind of errand; who adds a kind enters it here."""

from __future__ import annotations

from collections.abc import Mapping

from dynflow_mp.actions.errands import Kind
from dynflow_mp.model.policies import RESCUE
from dynflow_mp.model.work import Errand

PLAN = "plan"
"""Plan what was scheduled: ``data`` are the codec's bytes of ``[arguments, input]``, the result a plan's bytes."""

HOOKS = "hooks"
"""Call hooks: ``data`` is what :func:`dynflow_mp.actions.hooks.packed` makes, the result a list of what went wrong."""
_MOST, _LONGEST, _NO_LIMIT = 1000, 1000, 2**40


def _plan(errand: Errand, max_payload: int) -> bytes:
    # Not imported at the top: most workers never plan, and it costs an idle one its memory.
    from dynflow_mp.actions.middleware import world_middleware
    from dynflow_mp.actions.unique_key import with_key
    from dynflow_mp.clock import now_us
    from dynflow_mp.model.codec import decode
    from dynflow_mp.model.planned_codec import plan_to_bytes
    from dynflow_mp.planning.delaying import plan_scheduled

    arguments, stored_input = decode(errand.data)
    planned = plan_scheduled(
        errand.action_class,
        errand.plan_id,
        arguments,
        stored_input,
        now_us,
        max_payload,
        world_middleware(),
    )
    return plan_to_bytes(with_key(planned.plan, planned.root))


def _hooks(errand: Errand, max_payload: int) -> bytes:
    from dynflow_mp.actions.hooks import call_hooks
    from dynflow_mp.actions.middleware import world_middleware
    from dynflow_mp.model.codec import encode

    failures = call_hooks(errand.plan_id, errand.data, world_middleware())
    return encode([failure[:_LONGEST] for failure in failures[:_MOST]], "failures", _NO_LIMIT)


def _rescue(errand: Errand, max_payload: int) -> bytes:
    from dynflow_mp.actions.rescue import tell_strategy

    return tell_strategy(errand, max_payload)


KINDS: Mapping[str, Kind] = {PLAN: _plan, RESCUE: _rescue, HOOKS: _hooks}
