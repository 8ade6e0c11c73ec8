"""What lies on a network's disks, byte for byte."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from naisho.protocol.message_hash import parse_hash
from services.swarm.adapters.store.schema import FILE

LOOK_EVERY_S = 0.05
WINDOW_BYTES, APART_BYTES = 32, 400


class Sealed(NamedTuple):
    """A message's body as it lies in a node's store, and the key that opens it."""

    body: bytes
    key: bytes

    @property
    def windows(self) -> list[bytes]:
        """Pieces of the body, so short that most of them lie in one page of any file."""
        starts = [*range(0, len(self.body) - WINDOW_BYTES, APART_BYTES), len(self.body) - WINDOW_BYTES]
        return [self.body[start : start + WINDOW_BYTES] for start in starts]


def find_sealed(store: Path, message_hash: str) -> Sealed:
    """Look up a message and its key in a node's store."""
    query = (
        "SELECT m.sealed, k.key FROM message AS m JOIN body_key AS k ON k.period = m.period "
        "WHERE m.hash = ? ORDER BY k.number DESC"
    )
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / FILE
        for suffix in ("-wal", ""):  # the store itself is its node's alone
            shutil.copy(store / f"{FILE}{suffix}", f"{copied}{suffix}")
        with contextlib.closing(sqlite3.connect(copied)) as connection:
            return Sealed(*connection.execute(query, (parse_hash(message_hash),)).fetchone())


def read_all(folders: Iterable[Path]) -> list[bytes]:
    """Return the contents of all files below some folders."""
    contents = []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            with contextlib.suppress(FileNotFoundError):
                if path.is_file():
                    contents.append(path.read_bytes())
    return contents


def share_found(folders: Iterable[Path], needles: Sequence[bytes]) -> float:
    """Return which share of some byte strings is found anywhere below some folders, from 0 to 1."""
    contents = read_all(folders)
    return sum(any(needle in content for content in contents) for needle in needles) / len(needles)


async def seconds_until_gone(
    folders: Iterable[Path], needles: Sequence[bytes], *, since: float, within_s: float
) -> float:
    """Wait until no byte string is found any more; return how long that was after a time in seconds since 1970.

    Raises:
        TimeoutError: some are found still, so long after that time.
    """
    there = list(folders)
    async with asyncio.timeout(within_s - (time.time() - since)):
        while await asyncio.to_thread(share_found, there, needles):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(LOOK_EVERY_S)
    return time.time() - since


async def until_found(folders: Iterable[Path], needle: bytes, *, within_s: float) -> None:
    """Wait until a byte string is found below every one of some folders."""
    async with asyncio.timeout(within_s):
        for folder in folders:
            while not await asyncio.to_thread(share_found, [folder], [needle]):  # noqa: ASYNC110 - as above
                await asyncio.sleep(LOOK_EVERY_S)
