"""A database full of plans that nobody ran: rows put in directly, for measuring how lists of them are read.

Of a hundred plans some 94 went well, two ended badly, two are paused with an error, one runs, one was never begun; one in
ten is a sub-plan of one of a few. They are of 100 classes; one in five has a label of its own.
"""

from __future__ import annotations

from random import Random
from typing import Any

from sqlalchemy import insert, text

from dynflow_mp.model.codec import encode
from dynflow_mp.model.flows import Concurrence, Sequence, flow_tokens
from dynflow_mp.model.plans import HistoryEntry, history_to_data
from dynflow_mp.model.policies import ActionPolicy
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.tables import actions, execution_plans, steps

FIRST_START = 1_790_000_000_000_000
BETWEEN_US = 250_000
_AT_ONCE = 2_000
_CALLERS = 20


def store(database: Database, number: int, seed: int = 1) -> None:
    """Fill an empty database with so many plans, and have a server learn what is in it."""
    random = Random(seed)
    for begin in range(0, number, _AT_ONCE):
        made = [_plan(place, random) for place in range(begin, min(begin + _AT_ONCE, number))]
        with database.write() as connection:
            connection.execute(insert(execution_plans), [plan for plan, _, _ in made])
            connection.execute(insert(steps), [row for _, rows, _ in made for row in rows])
            connection.execute(insert(actions), [row for _, _, rows in made for row in rows])
    if not database.is_sqlite:  # as its autovacuum does after a while; SQLite is used as it is
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in (execution_plans, steps, actions):
                told = "VACUUM ANALYZE" if connection.dialect.name == "postgresql" else "ANALYZE TABLE"
                connection.execute(text(f"{told} {table.name}"))


def plan_id(place: int) -> str:
    """The id of the plan at this place; ids and starts have the same order."""
    milliseconds, rest = divmod(FIRST_START + place * BETWEEN_US, 1000)
    whole = f"{milliseconds:012x}7{rest:03x}8{place:015x}"
    return "-".join((whole[:8], whole[8:12], whole[12:16], whole[16:20], whole[20:]))


def class_name(place: int) -> str:
    """The root class of the plan at this place; half of all plans are of the first ten classes."""
    kind = place % 10 if place % 2 else place // 2 % 100
    return f"warehouse.orders.Handle{kind:02d}"


def _plan(place: int, random: Random) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    name, root = plan_id(place), class_name(place)
    started = FIRST_START + place * BETWEEN_US + random.randrange(50_000)
    state, result = _fate(random.randrange(1000))
    seconds = random.expovariate(0.1)
    stopped = state == "stopped"
    caller = plan_id(place % _CALLERS) if place % 10 == 3 and place >= _CALLERS else None
    label = root if place % 5 else f"Order {place:06d} for Customer {random.randrange(5000)}"
    row = {
        "id": name,
        "label": label,
        "state": state,
        "result": result,
        "root_plan_step_id": 1,
        "run_flow": encode(flow_tokens(Concurrence((3, 4))), "flow"),
        "finalize_flow": encode(flow_tokens(Sequence()), "flow"),
        "history": _HISTORY,
        "policies": encode({root: _POLICY, _CHILD: _POLICY}, "policies"),
        "dependencies": encode([], "dependencies"),
        "started_at": None if state == "planned" else started,
        "ended_at": started + int(seconds * 1e6) if stopped else None,
        "execution_time": seconds,
        "real_time": seconds,
        "requested_at": None if stopped or state == "paused" else started,
        "owner_id": "w" * 32 if state == "running" else None,
        "lock_epoch": 1,
        "caller_execution_plan_id": caller,
        "caller_action_id": None if caller is None else 1,
        "step_count": 4,
        "created_at": started,
    }
    return row, _steps(name, root, result, started, random), _actions(name, root, caller)


def _fate(chance: int) -> tuple[str, str]:
    for below, state, result in (
        *((940, "stopped", "success"), (948, "stopped", "warning"), (955, "stopped", "cancelled")),
        *((964, "stopped", "error"), (980, "paused", "error"), (990, "running", "pending")),
    ):
        if chance < below:
            return state, result
    return "planned", "pending"


def _steps(plan: str, root: str, result: str, started: int, random: Random) -> list[dict[str, Any]]:
    ends = {"success": "success", "warning": "skipped", "pending": "pending"}
    second = ends.get(result, "error")
    error = None if second != "error" and second != "skipped" else _error(random)
    return [
        _step(plan, 1, "plan", "success", 1, root, started),
        _step(plan, 2, "plan", "success", 2, _CHILD, started),
        _step(plan, 3, "run", "success" if result != "pending" else "running", 1, root, started),
        {**_step(plan, 4, "run", second, 2, _CHILD, started), "error": error},
    ]


def _step(
    plan: str, number: int, phase: str, state: str, action: int, kind: str, started: int
) -> dict[str, Any]:
    return {
        "execution_plan_id": plan,
        "id": number,
        "phase": phase,
        "state": state,
        "action_id": action,
        "action_class": kind,
        "queue": None,
        "attempts": 1,
        "error": None,
        "children": None,
        "started_at": started,
        "ended_at": started + 1_000_000,
        "execution_time": 0.5,
        "real_time": 1.0,
        "progress_done": 1.0 if state == "success" else 0.25,
        "progress_weight": 1.0,
    }


def _actions(plan: str, root: str, caller: str | None) -> list[dict[str, Any]]:
    shared = {"execution_plan_id": plan, "finalize_step_id": None, "references": None}
    given = encode({"order": plan, "lines": ["shelf", "book", "lamp"]}, "input")
    return [
        {**shared, "id": 1, "action_class": root, "caller_execution_plan_id": caller}
        | {
            "caller_action_id": None if caller is None else 1,
            "plan_step_id": 1,
            "run_step_id": 3,
            "input": given,
        },
        {**shared, "id": 2, "action_class": _CHILD, "caller_execution_plan_id": None}
        | {"caller_action_id": 1, "plan_step_id": 2, "run_step_id": 4, "input": given},
    ]


def _error(random: Random) -> bytes:
    kind = random.randrange(40)
    message = (
        f"host db{kind}.example refused connection {random.randrange(100_000)} after {random.random():.3f} s"
    )
    return ErrorRecord(f"warehouse.errors.Failure{kind % 7}", message, _BACKTRACE).to_bytes()


_CHILD = "warehouse.parts.Deliver"
_POLICY = ActionPolicy().to_data()
_HISTORY = encode(
    history_to_data(
        [HistoryEntry(FIRST_START, name, "w" * 32) for name in ("start execution", "finish execution")]
    ),
    "history",
)
_BACKTRACE = tuple(
    f'  File "/srv/warehouse/part{number}.py", line {number}, in call_number_{number}\n    return self.deliver(order)'
    for number in range(12)
)
