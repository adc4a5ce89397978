"""What a client may decide to do about its requests: done by the client dispatcher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from dynflow_mp.errors import DynflowError
from dynflow_mp.model.messages import Envelope


class Send(NamedTuple):
    """Hand this to the connector."""

    envelope: Envelope


class Route(NamedTuple):
    """Find out who runs this plan, then call ``routed``."""

    request_id: str
    plan_id: str


class StopUnowned(NamedTuple):
    """Nobody runs this plan: stop it in the store, then call ``stopped``."""

    request_id: str
    plan_id: str


class LookUp(NamedTuple):
    """Read the stored statuses of these plans, then call ``found``."""

    plan_ids: Sequence[str]


class LoadPlan(NamedTuple):
    """The attempt ended: the request's future gets the plan as it is stored now."""

    request_id: str
    plan_id: str


class Resolve(NamedTuple):
    """The request's future gets this value."""

    request_id: str
    value: Any


class Fail(NamedTuple):
    """The request's future gets this error."""

    request_id: str
    error: DynflowError


class FailUnlessTaken(NamedTuple):
    """The request's event is not taken by anybody now; only if it was not taken before is it this error."""

    request_id: str
    error: DynflowError


Decision = Send | Route | StopUnowned | LookUp | LoadPlan | Resolve | Fail | FailUnlessTaken
