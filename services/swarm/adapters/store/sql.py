"""SQL statements over many rows: one statement for up to 256, so that the interpreter's lock changes hands once."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final

#: Rows of one statement, largest first; few sizes, so that SQLite parses each statement once.
_SIZES: Final = (256, 32, 8, 1)
_PREFIX: Final = struct.Struct(">q")


def prefix(value: bytes) -> int:
    """Return the first eight bytes of a tag or hash as SQLite's kind of integer; what it finds is compared in full."""
    number: int = _PREFIX.unpack_from(value)[0]
    return number


def insert_flat(connection: sqlite3.Connection, into: str, width: int, values: list[Any], conflict: str = "") -> None:
    """Insert rows given as one list of their values, which costs least.

    Args:
        connection: in a transaction.
        into: table, with columns in parentheses unless all are given.
        width: values of a row.
        values: of all rows, one after the other.
        conflict: an ``ON CONFLICT`` clause.
    """
    if len(values) == width:
        connection.execute(_insert(into, width, 1, conflict), values)
        return
    for start, rows in _parts(len(values) // width):
        part = values[start * width : (start + rows) * width]
        connection.execute(_insert(into, width, rows, conflict), part)


def select_pairs(
    connection: sqlite3.Connection, query: str, pairs: Sequence[tuple[Any, Any]]
) -> Iterable[tuple[Any, ...]]:
    """Return the rows of a query over any number of pairs; its ``{}`` stands for rows of two placeholders."""
    if len(pairs) == 1:
        return connection.execute(_with_pairs(query, 1), pairs[0])
    return chain.from_iterable(
        connection.execute(_with_pairs(query, rows), tuple(chain.from_iterable(pairs[start : start + rows])))
        for start, rows in _parts(len(pairs))
    )


def _parts(count: int) -> Iterator[tuple[int, int]]:
    """Cut a number of rows into statements: yield where each begins and how many rows it has."""
    start = 0
    for rows in _SIZES:
        while count - start >= rows:
            yield start, rows
            start += rows


@cache
def _insert(into: str, width: int, rows: int, conflict: str) -> str:
    row = f"({','.join('?' * width)})"
    return f"INSERT INTO {into} VALUES {','.join([row] * rows)} {conflict}"  # noqa: S608 - names are this package's own


@cache
def _with_pairs(query: str, count: int) -> str:
    return query.format(",".join(["(?, ?)"] * count))
