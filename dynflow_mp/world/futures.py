"""Futures that are done before anybody waits for them."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, TypeVar

from dynflow_mp.errors import DynflowError

T = TypeVar("T")


def with_result(result: T) -> Future[T]:
    """It has this result."""
    future: Future[T] = Future()
    future.set_result(result)
    return future


def failed(error: DynflowError) -> Future[Any]:
    """It has failed with this."""
    future: Future[Any] = Future()
    future.set_exception(error)
    return future
