"""Tables: as wide as what is in them, or as a terminal lets them be; ids stay whole."""

from __future__ import annotations

from dynflow_mp.cli.tables import Table

ID = "01a215d3-2eab-7f24-80e1-68d5c75bbef3"


def laid_out(table: Table) -> list[str]:
    return ["".join(text for text, _ in line) for line in table.lines()]


def test_columns_are_as_wide_as_what_is_in_them():
    table = Table(["A", "LONG", "LAST"], [["xyz", "1", ""], ["", "22", "the end"], ["", "", ""]])

    assert laid_out(table) == ["A    LONG  LAST", "xyz  1", "     22    the end", ""]


def test_wide_letters_take_two_places():
    assert laid_out(Table(["A", "B"], [["世界", "x"], ["abc", "y"]])) == ["A     B", "世界  x", "abc   y"]


def test_what_can_be_spared_goes_first_and_then_a_column_is_cut():
    table = Table(
        ["ID", "STATE", "TOOK", "LABEL"], [[ID, "running", "3 min 20 s", "a label of many words " * 5]]
    )

    wide, narrow, tiny = (
        laid_out(table.within(width, "LABEL", ["TOOK", "STATE"])) for width in (200, 70, 30)
    )

    assert wide == laid_out(table)
    assert narrow == [
        "ID                                    STATE    LABEL",
        f"{ID}  running  a label of many words …",
    ]
    assert max(map(len, narrow)) <= 70
    assert tiny[1].startswith(f"{ID}  a label o")


def test_states_have_colours():
    (_, row) = Table(["ID", "STATE"], [[ID, "paused"]]).lines()

    assert row == [(f"{ID}  ", ""), ("paused", "yellow")]
