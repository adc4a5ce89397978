"""What a list of plans can be asked for, as OpenAPI tells it. It is read by PlanQuery, which checks it."""

from __future__ import annotations

from typing import Any

from dynflow_mp.model.states import PlanState, Result


def _parameter(name: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": text}


def _words(kind: Any) -> dict[str, Any]:
    return {"type": "array", "maxItems": 20, "items": {"type": "string", "enum": [str(one) for one in kind]}}


def _text(longest: int) -> dict[str, Any]:
    return {"type": "string", "maxLength": longest}


PLAN_QUERY: list[dict[str, Any]] = [
    _parameter("state", _words(PlanState), "One or several states."),
    _parameter("result", _words(Result), "One or several results."),
    _parameter("label", _text(255), "A part of the label."),
    _parameter("action", _text(255), "The class of any action of the plan, with or without its module."),
    _parameter("since", {"type": "string", "format": "date-time"}, "Started not before."),
    _parameter("until", {"type": "string", "format": "date-time"}, "Started before."),
    _parameter("error", _text(500), "A text in the errors of its steps."),
    _parameter("caller", {"type": "string", "format": "uuid"}, "The plan it is a sub-plan of."),
    _parameter(
        "order_by",
        {
            "type": "string",
            "enum": ["started_at", "created_at", "ended_at", "label", "state", "result"],
        },
        "By what the list is ordered.",
    ),
    _parameter("desc", {"type": "boolean"}, "Whether the largest comes first."),
    _parameter("page", {"type": "integer", "minimum": 0, "maximum": 1_000_000}, "Counts from 0."),
    _parameter("per_page", {"type": "integer", "minimum": 1, "maximum": 500}, "How many are on a page."),
]
