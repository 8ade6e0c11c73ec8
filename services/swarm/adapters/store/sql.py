"""SQL statements over many rows: one statement for up to 1,024, so that the interpreter's lock changes hands once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final

#: Rows of one statement, largest first; few sizes, so that SQLite parses each statement once.
_SIZES: Final = (1024, 256, 64, 8, 1)


def insert_flat(connection: sqlite3.Connection, into: str, width: int, values: list[Any], conflict: str = "") -> None:
    """Insert rows given as one list of their values, which costs least.

    Args:
        connection: in a transaction.
        into: table, with columns in parentheses unless all are given.
        width: values of a row.
        values: of all rows, one after the other.
        conflict: an ``ON CONFLICT`` clause.
    """
    start, end = 0, len(values)
    for rows in _SIZES:
        step = rows * width
        while end - start >= step:
            connection.execute(_insert(into, width, rows, conflict), values[start : start + step])
            start += step


def select_in(
    connection: sqlite3.Connection, query: str, values: Sequence[Any], *others: Any
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query over any number of values.

    Args:
        connection: in a transaction.
        query: its ``{}`` stands for a list of placeholders; those behind it are for ``others``.
        values: distinct.
        others: values of the other placeholders.
    """
    start, end = 0, len(values)
    while start < end:
        part = values[start : start + _SIZES[0]]
        size = min(s for s in _SIZES if s >= len(part))
        padding = [part[-1]] * (size - len(part))
        yield from connection.execute(_with_placeholders(query, size), (*part, *padding, *others))
        start += len(part)


def select_pairs(
    connection: sqlite3.Connection, query: str, pairs: Sequence[tuple[Any, Any]]
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query over any number of pairs; its ``{}`` stands for rows of two placeholders."""
    start, end = 0, len(pairs)
    while start < end:
        part = pairs[start : start + _SIZES[0]]
        size = min(s for s in _SIZES if s >= len(part))
        padding = (part[-1],) * (size - len(part))
        yield from connection.execute(_with_pairs(query, size), tuple(chain.from_iterable((*part, *padding))))
        start += len(part)


@cache
def _insert(into: str, width: int, rows: int, conflict: str) -> str:
    row = f"({','.join('?' * width)})"
    return f"INSERT INTO {into} VALUES {','.join([row] * rows)} {conflict}"  # noqa: S608 - names are this package's own


@cache
def _with_placeholders(query: str, count: int) -> str:
    return query.format(",".join("?" * count))


@cache
def _with_pairs(query: str, count: int) -> str:
    return query.format(",".join(["(?, ?)"] * count))
