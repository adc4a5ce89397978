"""Column types, and a function, whose form differs between databases: the one place for it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CHAR, Integer, LargeBinary, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class PlanId(CHAR):
    """A plan's id: 36 ASCII characters, compared byte by byte."""

    cache_ok = True

    def __init__(self, length: int = 36, collation: str | None = None) -> None:
        super().__init__(length, collation)


class Name(String):
    """A text that identifies, compared byte by byte whatever the database's habits are."""

    cache_ok = True


class Blob(LargeBinary):
    """The codec's bytes, of any length."""

    cache_ok = True


@compiles(PlanId, "mysql", "mariadb")
def _plan_id_on_mysql(column_type: PlanId, compiler: Any, **options: Any) -> str:
    return f"CHAR({column_type.length}) CHARACTER SET ascii COLLATE ascii_bin"


@compiles(Name, "mysql", "mariadb")
def _name_on_mysql(column_type: Name, compiler: Any, **options: Any) -> str:
    return f"VARCHAR({column_type.length}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"


@compiles(Blob, "mysql", "mariadb")
def _blob_on_mysql(column_type: Blob, compiler: Any, **options: Any) -> str:
    return "LONGBLOB"


class PlaceOf(FunctionElement[int]):
    """Where in bytes, the first argument, other bytes begin, the second; from 1, 0 for nowhere."""

    name = "place_of"
    type = Integer()
    inherit_cache = True


@compiles(PlaceOf)
def _place(element: PlaceOf, compiler: Any, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)})"


@compiles(PlaceOf, "postgresql")
def _place_on_postgresql(element: PlaceOf, compiler: Any, **options: Any) -> str:
    whole, part = element.clauses
    return f"position({compiler.process(part, **options)} IN {compiler.process(whole, **options)})"
