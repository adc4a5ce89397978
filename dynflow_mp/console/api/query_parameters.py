"""What a list of plans can be asked for, as OpenAPI tells it. It is read by PlanQuery, which checks it."""

from __future__ import annotations

from typing import Any

from dynflow_mp.model.plan_orders import ORDERS
from dynflow_mp.model.states import PlanState, Result
from dynflow_mp.reading.plan_query import LONGEST, MOST_PAGES, MOST_PER_PAGE, MOST_VALUES


def _parameter(name: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": text}


def _words(kind: Any) -> dict[str, Any]:
    words = {"type": "string", "enum": [str(one) for one in kind]}
    return {"type": "array", "maxItems": MOST_VALUES, "items": words}


def _text(name: str, text: str) -> dict[str, Any]:
    return _parameter(name, {"type": "string", "maxLength": LONGEST[name]}, text)


PLAN_QUERY: list[dict[str, Any]] = [
    _parameter("state", _words(PlanState), "One or several states."),
    _parameter("result", _words(Result), "One or several results."),
    _text("label", "A part of the label."),
    _text("action", "The class of any action of the plan, with or without its module."),
    _parameter("since", {"type": "string", "format": "date-time"}, "Started not before."),
    _parameter("until", {"type": "string", "format": "date-time"}, "Started before."),
    _text("error", "A text in the errors of its steps."),
    _parameter("caller", {"type": "string", "format": "uuid"}, "The plan it is a sub-plan of."),
    _parameter("order_by", {"type": "string", "enum": list(ORDERS)}, "By what the list is ordered."),
    _parameter("desc", {"type": "boolean"}, "Whether the largest comes first."),
    _parameter("page", {"type": "integer", "minimum": 0, "maximum": MOST_PAGES}, "Counts from 0."),
    _parameter(
        "per_page", {"type": "integer", "minimum": 1, "maximum": MOST_PER_PAGE}, "How many are on a page."
    ),
]
