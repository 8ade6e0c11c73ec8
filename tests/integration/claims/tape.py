"""What one process of a node saw, in one file: written by its taps, read by the search.

A record is one piece of one stream: number of the stream, length, bytes. A stream is one direction of one connection
(or of one edge inside the process), so that whatever was cut into pieces on the way is searched whole.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

_RECORD = struct.Struct("<II")

#: Takes the next bytes of a stream.
Write = Callable[[bytes], None]


class Tape:
    """The writing end; one for each process."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Append whole records at once: nothing of them waits in this process when it is killed.
        self._file = path.open("ab", buffering=0)
        self._streams = 0

    def stream(self, edge: str) -> Write:
        """Begin a stream; return what takes its bytes.

        Args:
            edge: where it is tapped and which way it goes, such as ``https in``.
        """
        self._streams += 1
        number = self._streams
        self._write(0, b"%d %s" % (number, edge.encode()))
        return lambda data: self._write(number, data)

    def close(self) -> None:
        """Write no more."""
        self._file.close()

    def _write(self, number: int, data: bytes) -> None:
        self._file.write(_RECORD.pack(number, len(data)) + data)


class Stream(NamedTuple):
    """One direction of one connection."""

    edge: str
    data: bytes


def length(path: Path) -> int:
    """Return how long a tape is now: a mark to read from later; 0 for one that was not begun."""
    return path.stat().st_size if path.exists() else 0


def read(path: Path, since: int = 0, until: int | None = None) -> list[Stream]:
    """Return the streams of a tape, with what was written between two marks; empty ones are left out.

    A record that is being written just now is left for the next reading.
    """
    raw = path.read_bytes()[:until] if path.exists() else b""
    edges: dict[int, str] = {}
    pieces: dict[int, list[bytes]] = {}
    at = 0
    while at + _RECORD.size <= len(raw):
        number, size = _RECORD.unpack_from(raw, at)
        start, at = at, at + _RECORD.size + size
        data = raw[at - size : at]
        if len(data) < size:
            break
        if number == 0:
            name, _, edge = data.partition(b" ")
            edges[int(name)] = edge.decode()
        elif start >= since:
            pieces.setdefault(number, []).append(data)
    return [Stream(edges[number], b"".join(parts)) for number, parts in pieces.items()]
