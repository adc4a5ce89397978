"""Has workers call the hooks that are noted, those of one plan in the order of its states.

    noted ─▶ take ─▶ errand ─▶ worker ─▶ what went wrong: logged ─▶ forgotten
                        └ lost with its workers: logged, forgotten │ this world drains: given back

A hook never keeps anything waiting but the hooks of its own plan.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Event

from dynflow_mp.actions.hooks import packed
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.director.instructions import RunErrand
from dynflow_mp.director.stimuli import ErrandFinished
from dynflow_mp.errors import DynflowError, WorldFenced
from dynflow_mp.executor.errand_kinds import HOOKS
from dynflow_mp.executor.errands import DRAINED, ErrandNews, Tell
from dynflow_mp.maintenance.background import Background
from dynflow_mp.model.codec import decode
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.persistence.hook_store import HookCall, HookStore
from dynflow_mp.telemetry import logger

log = logger("maintenance.hooks")

_AT_ONCE = 200


class HookCaller(Background):
    """Owns a thread that looks when it is woken, and every ``interval_s`` seconds. Every executor world has one.

    When it is stopped, calls that were not made are given back.
    """

    def __init__(
        self,
        store: HookStore,
        coordinator: Coordinator,
        run_errand: Callable[[RunErrand, Tell], None],
        interval_s: float,
    ) -> None:
        super().__init__("hooks")
        self._store, self._coordinator, self._run_errand = store, coordinator, run_errand
        self._interval_s = interval_s
        self._lines: dict[str, deque[HookCall]] = {}
        """By plan, the calls that were taken."""
        self._out: set[str] = set()
        """Plans of which the first call is being made."""
        self._heard: SimpleQueue[ErrandNews] = SimpleQueue()
        self._woken = Event()

    def wake(self) -> None:
        """Any thread: something was noted."""
        self._woken.set()

    def _interrupt(self) -> None:
        self._woken.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.round()
            except WorldFenced:
                return  # others find out, and end this world
            except Exception:
                # Whatever it was, the next round may go better.
                log.exception("a round was given up", extra={"action": "hooks_failed"})
            self._woken.wait(self._interval_s)
            self._woken.clear()
        self._end()

    def round(self) -> None:
        """Look once. Done by the thread, and by worlds without one. What a round that failed has left is the next one's."""
        self._settle()
        self._begin_what_waits()
        while len(self._lines) < _AT_ONCE:
            taken = self._take()
            for call in taken:
                self._lines.setdefault(call.plan_id, deque()).append(call)
            self._begin_what_waits()
            if len(taken) < _AT_ONCE:
                return

    def _take(self) -> list[HookCall]:
        known = {(call.plan_id, call.id) for line in self._lines.values() for call in line}
        return self._store.take(
            self._coordinator.world_id, self._living(), _AT_ONCE, self._coordinator.fence, known
        )

    def _living(self) -> set[str]:
        worlds = self._coordinator.find_worlds(executor=True)
        return {world.id for world in worlds if world.state != "dead"} | {self._coordinator.world_id}

    def _begin_what_waits(self) -> None:
        """The first of each line; one that there is nothing to do for makes way for the next."""
        while waiting := [plan_id for plan_id in self._lines if plan_id not in self._out]:
            for plan_id in waiting:
                self._begin(self._lines[plan_id][0])

    def _begin(self, call: HookCall) -> None:
        brief = self._store.brief(call)
        if brief is None or not brief.actions:
            self._done(call)
            return
        data = packed(call.kinds, (brief.label, call.state, call.result), brief.actions)
        action_class = brief.actions[0].action_class
        self._out.add(call.plan_id)
        self._run_errand(RunErrand(call.plan_id, call.id, HOOKS, action_class, data, brief.queue), self._note)

    def _note(self, news: ErrandNews) -> None:
        """On the core's thread."""
        self._heard.put(news)
        self._woken.set()

    def _settle(self) -> None:
        """Forget the calls that were made."""
        while True:
            try:
                news = self._heard.get_nowait()
            except Empty:
                return
            line = self._lines.get(news.plan_id)
            if not line or line[0].id != news.errand_id or not _was_made(news):
                continue
            try:
                self._done(line[0])
            except Exception:
                self._heard.put(news)  # it was made all the same: it is forgotten in a later round
                raise

    def _done(self, call: HookCall) -> None:
        self._store.forget(call, self._coordinator.fence)
        self._out.discard(call.plan_id)
        line = self._lines[call.plan_id]
        line.popleft()
        if not line:
            del self._lines[call.plan_id]

    def _end(self) -> None:
        try:
            self._settle()
            if self._lines:
                self._store.give_back(self._coordinator.world_id, self._coordinator.fence)
        except DynflowError as error:
            # Whoever finds this world gone takes them.
            log.info("hook calls were left: %s", error, extra={"action": "hooks_left"})


def _was_made(news: ErrandNews) -> bool:
    """Whether the call is over, well or badly; not if this executor ended before."""
    plan = {"plan_id": news.plan_id}
    if not isinstance(news, ErrandFinished):
        if news.cause == DRAINED:
            return False
        log.error("hooks could not be called: %s", news.message, extra={"action": "hooks_lost", **plan})
    elif news.error is not None:
        message = ErrorRecord.from_bytes(news.error).message
        log.error("hooks could not be called: %s", message, extra={"action": "hooks_lost", **plan})
    elif news.result is not None:
        for failure in decode(news.result):
            log.error("a hook failed: %s", failure, extra={"action": "hook_failed", **plan})
    return True
