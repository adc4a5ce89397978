"""Rows under headings, in columns as wide as what is in them, or as a terminal lets them be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_GAP = "  "
_LEAST = 10
"""A column is not cut to less: it would say nothing any more."""


class Table:
    """Texts that print, in rows; :meth:`lines` lays them out."""

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        from rich.cells import cell_len  # imported late: rich takes longer than most commands

        self._columns, self._rows = list(columns), [list(row) for row in rows]
        self._cells = cell_len

    def within(self, width: int, flexible: str | None, spare: Sequence[str]) -> Table:
        """One that fits, if leaving out columns and cutting one is enough."""
        table = self
        for name in spare:
            if table._least_width(flexible) <= width:
                break
            table = table._without(name)
        if flexible is not None and table._width() > width:
            table._cut(flexible, width)
        return table

    def lines(self) -> Iterator[list[tuple[str, str]]]:
        """The headings as one text, then each row as texts with styles."""
        from dynflow_mp.cli.terminal import style_of

        widths = self._widths()
        yield [("".join(self._padded(self._columns, widths)), "")]
        for row in self._rows:
            padded = self._padded(row, widths)
            yield [(shown, style_of(cell)) for shown, cell in zip(padded, row, strict=True)]

    def _padded(self, cells: Sequence[str], widths: Sequence[int]) -> list[str]:
        """Each to its width, but not what ends the line."""
        last = max((place for place, cell in enumerate(cells) if cell), default=0)
        return [
            cell + (" " * (width - self._cells(cell)) + _GAP if place < last else "")
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]

    def _widths(self) -> list[int]:
        return [max(map(self._cells, column)) for column in zip(self._columns, *self._rows, strict=True)]

    def _width(self) -> int:
        return sum(self._widths()) + len(_GAP) * (len(self._columns) - 1)

    def _least_width(self, flexible: str | None) -> int:
        if flexible is None:
            return self._width()
        own = self._widths()[self._columns.index(flexible)]
        return self._width() - own + min(own, 2 * _LEAST)

    def _without(self, name: str) -> Table:
        place = self._columns.index(name)
        rows = [[*row[:place], *row[place + 1 :]] for row in self._rows]
        return Table([*self._columns[:place], *self._columns[place + 1 :]], rows)

    def _cut(self, name: str, width: int) -> None:
        from rich.cells import set_cell_size

        place = self._columns.index(name)
        own = self._widths()[place]
        most = max(_LEAST, own - (self._width() - width))
        for row in self._rows:
            if self._cells(row[place]) > most:
                row[place] = set_cell_size(row[place], most - 1) + "…"
