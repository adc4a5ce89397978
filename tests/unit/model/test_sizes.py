"""How much data may be, and that more is refused before it is sent anywhere."""

from __future__ import annotations

from typing import Any

import pytest

from dynflow_mp.errors import DataError, PayloadTooLarge
from dynflow_mp.model.codec import MAX_DEPTH, MAX_ITEMS, MAX_KEY, MAX_PAYLOAD, decode, encode

OVERHEAD = len(encode({"data": bytes(MAX_PAYLOAD - 1000)}, "input")) - (MAX_PAYLOAD - 1000)


@pytest.mark.parametrize("size", [1, 1024, 1024**2, MAX_PAYLOAD - OVERHEAD])
def test_g36_a_payload_up_to_the_limit_goes(size: int) -> None:
    data = {"data": b"x" * size}

    assert decode(encode(data, "input")) == data


@pytest.mark.parametrize("size", [MAX_PAYLOAD - OVERHEAD + 1, MAX_PAYLOAD, 64 * 1024**2])
def test_g36_a_larger_one_is_refused_with_both_sizes(size: int) -> None:
    with pytest.raises(PayloadTooLarge, match=rf"{size + OVERHEAD:,} bytes .* \({MAX_PAYLOAD:,} bytes\)"):
        encode({"data": b"x" * size}, "output")


def nested(levels: int) -> Any:
    data: Any = 1
    for number in range(levels):
        data = [data] if number % 2 else {"k": data}
    return data


@pytest.mark.parametrize("levels", [MAX_DEPTH + 2, 1_000, 100_000])
def test_g36_data_nested_too_deeply_is_named(levels: int) -> None:
    with pytest.raises(DataError, match=f"nested deeper than {MAX_DEPTH} levels"):
        encode(nested(levels), "output")


def test_g36_data_that_contains_itself_is_named() -> None:
    data: dict[str, Any] = {}
    data["self"] = [data]

    with pytest.raises(DataError, match="nested deeper"):
        encode(data, "output")


def test_g36_a_key_that_is_data_is_refused() -> None:
    encode({"output": {"k" * MAX_KEY: 1}}, "output")

    with pytest.raises(DataError, match=r"^output\['a'\]\[1\]: the key 'kkkk.*…' of 1,000,000 characters"):
        encode({"a": [0, {"k" * 1_000_000: 1}]}, "output")


def test_g36_too_many_items_in_one_place_are_refused() -> None:
    encode({"a": [0] * MAX_ITEMS}, "output")

    with pytest.raises(DataError, match=r"^output\['a'\]: 1,000,001 items are more than 1,000,000"):
        encode({"a": [0] * (MAX_ITEMS + 1)}, "output")
