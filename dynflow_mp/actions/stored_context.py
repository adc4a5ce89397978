"""An action as it is stored: looked at, not run."""

from __future__ import annotations

from typing import Any, Generic, NoReturn, Protocol, TypeVar

from dynflow_mp.actions.context import Context
from dynflow_mp.model.codec import decode
from dynflow_mp.model.states import Phase


class StoredAction(Protocol):
    """What is known of it; payloads are the codec's bytes."""

    @property
    def id(self) -> int: ...
    @property
    def plan_step_id(self) -> int: ...
    @property
    def run_step_id(self) -> int | None: ...
    @property
    def finalize_step_id(self) -> int | None: ...
    @property
    def input(self) -> bytes: ...
    @property
    def output(self) -> bytes | None: ...


Row = TypeVar("Row", bound=StoredAction)


class StoredContext(Context, Generic[Row]):
    """One stored action, in phase present. Input and output are decoded when they are looked at."""

    __slots__ = ("_input", "_output", "_plan_id", "_row")

    phase = Phase.PRESENT

    def __init__(self, plan_id: str, row: Row) -> None:
        self._plan_id, self._row = plan_id, row
        self._input: dict[str, Any] | None = None
        self._output: dict[str, Any] | None = None

    @property
    def plan_id(self) -> str:
        return self._plan_id

    @property
    def action_id(self) -> int:
        return self._row.id

    @property
    def plan_step_id(self) -> int:
        return self._row.plan_step_id

    @property
    def run_step_id(self) -> int | None:
        return self._row.run_step_id

    @property
    def finalize_step_id(self) -> int | None:
        return self._row.finalize_step_id

    def get_input(self) -> dict[str, Any]:
        if self._input is None:
            self._input = self._decoded_input()
        return self._input

    def _decoded_input(self) -> dict[str, Any]:
        values: dict[str, Any] = decode(self._row.input)
        return values

    def error(self, what: str | BaseException) -> NoReturn:
        """There is no step here to fail, and who looks at the action is not to be thrown out of what they do."""
        self.refuse("error", Phase.PLAN, Phase.RUN, Phase.FINALIZE)

    def get_output(self) -> dict[str, Any]:
        if self._output is None:
            self._output = {} if self._row.output is None else decode(self._row.output)
        return self._output
