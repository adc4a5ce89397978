"""What the catalogue demo does with one file and with many, without an engine around it."""

from __future__ import annotations

from typing import Any

from examples.catalogue_actions import (
    LARGEST,
    TOTALS,
    definitions,
    largest,
    measures,
    merge,
    package_of,
    storable,
)


def summary(package: str, size: int) -> dict[str, Any]:
    totals = {**dict.fromkeys(TOTALS, 0), "files": 1, "size": size}
    return {
        "package": package,
        "totals": totals,
        "largest": [{"path": package, "size": size}],
        "findings": [],
    }


def test_a_last_line_without_a_newline_counts_as_a_line() -> None:
    assert [measures(data)["lines"] for data in (b"", b"a", b"a\n", b"a\nb")] == [0, 1, 1, 2]


def test_functions_and_classes_are_counted_wherever_they_are_nested() -> None:
    source = b"class A:\n    def f(self):\n        async def g(): pass\n"

    assert definitions(source) == {"functions": 2, "classes": 1}


def test_a_source_that_cannot_be_parsed_is_a_finding() -> None:
    assert "SyntaxError" in definitions(b"def :")["finding"]
    assert "unparsable" in definitions(b"\0")["finding"]


def test_a_package_in_several_parts_becomes_one_again() -> None:
    merged = merge([summary("a", 1), summary("b", 2), summary("a", 4)])

    assert merged["packages"]["a"]["size"] == 5
    assert merged["totals"]["files"] == 3
    assert [file["size"] for file in merged["largest"]] == [4, 2, 1]


def test_the_largest_are_few_and_ties_are_in_order_of_their_names() -> None:
    files = [{"path": name, "size": 1} for name in "gfedcba"]

    assert [file["path"] for file in largest(files)] == list("abcdefg")[:LARGEST]


def test_a_file_is_of_the_package_that_its_first_directory_names() -> None:
    assert package_of("/lib", "/lib/json/tool.py") == "json"
    assert package_of("/lib", "/lib/this.py") == "(files in lib)"


def test_a_file_name_that_is_no_text_is_stored_as_bytes() -> None:
    assert storable("/tmp/a") == "/tmp/a"
    assert storable("/tmp/\udcff") == b"/tmp/\xff"
