"""Waiting for worlds' answers, and for plans to end, so that Ctrl-C is heard meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from time import monotonic
from typing import Any, TypeVar

import click

from dynflow_mp.cli.words import SPAN, FloatType
from dynflow_mp.errors import RequestTimeout

T = TypeVar("T")

FOREVER = -1.0
"""``--wait`` without a number."""
_HEAR_S = 0.2
"""A Ctrl-C that comes just before a thread goes to sleep does not wake it: so it never sleeps long."""


class WaitingCommand(click.Command):
    """A command with ``--wait[=SPAN]``: what follows after a space is its next argument, not the span."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, once it is clear that nothing was given."""
        end = args.index("--") if "--" in args else len(args)
        told = [f"--wait={FOREVER:g}" if arg == "--wait" else arg for arg in args[:end]]
        return super().parse_args(ctx, told + args[end:])


class _WaitSpan(FloatType):
    name = "span"

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> float:
        return FOREVER if str(value) == f"{FOREVER:g}" else SPAN.convert(value, parameter, context)


wait_option = click.option(
    "--wait",
    "wait_s",
    type=_WaitSpan(),
    metavar="[=SPAN]",
    help="Wait until it has ended: exit status 0 if well, else 1; =90s, =5m: no longer (exit status 5).",
)


def answer(future: Future[T], within_s: float | None, what: str) -> T:
    """What it ends with. Raises what it fails with, and :class:`RequestTimeout` when the time is over."""
    if not until(future.done, within_s, future):
        raise RequestTimeout(f"{what} has not ended within {within_s:g} s")
    return future.result(0)


def until(come: Callable[[], bool], within_s: float | None, *futures: Future[Any]) -> bool:
    """Wait until something has come, looking again and again; false when the time is over."""
    give_up_at = None if within_s is None else monotonic() + within_s
    while not come():
        left_s = _HEAR_S if give_up_at is None else min(_HEAR_S, give_up_at - monotonic())
        if left_s <= 0:
            return False
        wait_for(_open(futures), left_s) if _open(futures) else _pause(left_s)
    return True


def seconds_of(wait_s: float) -> float | None:
    """What ``--wait`` says, None for as long as it takes."""
    return None if wait_s == FOREVER else wait_s


def _open(futures: Sequence[Future[Any]]) -> list[Future[Any]]:
    return [future for future in futures if not future.done()]


def _pause(seconds: float) -> None:
    from time import sleep

    sleep(seconds)


def is_taken(statuses: Mapping[str, Any], plan_id: str) -> bool:
    """Whether an executor has a plan, or it has gone further than being asked for."""
    status = statuses.get(plan_id)
    return status is not None and (status.owner_id is not None or str(status.state) == "stopped")
