"""A node's local store: everything it holds of its shards, and how far that is."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from services.swarm.adapters.store import filling, schema
from services.swarm.adapters.store.body_keys import drop_keys, keep_key, kept_keys
from services.swarm.adapters.store.fold import Fold
from services.swarm.adapters.store.progress import Progress, load_progress
from services.swarm.adapters.store.reader import Reader
from services.swarm.adapters.store.recent import recover
from services.swarm.adapters.store.rewind import rewind
from services.swarm.adapters.store.shards import follow_shards
from services.swarm.adapters.store.sweep import SLICE, sweep
from services.swarm.adapters.store.sync import Disk
from services.swarm.adapters.store.writer import Writer
from services.swarm.domain.evolve import Changes
from services.swarm.domain.policies import Retention
from services.swarm.projections.arrivals import Arrivals


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreBounds:
    """Bounds of a local store.

    Attributes:
        writer_cache_bytes: most memory for pages of the writing connection.
        reader_cache_bytes: most memory for pages of the reading connection.
    """

    writer_cache_bytes: int = 4 * 1024 * 1024
    reader_cache_bytes: int = 2 * 1024 * 1024


class LocalStore:
    """One SQLite file, with one writer. Made by ``open``; everything else is called in the event loop.

    Attributes:
        reader: reads what is committed.
    """

    def __init__(self, folder: Path, opened: _Opened, retention: Retention, bounds: StoreBounds) -> None:
        self._folder = folder
        self._bounds = bounds
        self._fold = Fold(retention)
        self._disk = Disk(folder)
        self._writer = Writer(
            opened.writer,
            sync=self._disk.sync,
            on_commit=self._fold.commit,
            on_rollback=self._fold.roll_back,
        )
        self.reader = Reader(opened.reader, self._fold.recent.committed)
        self._empty = opened.empty
        self._filling = False
        self._ending = asyncio.Lock()

    @classmethod
    async def open(cls, folder: Path, retention: Retention, settings: StoreBounds | None = None) -> Self:
        """Open the store in a folder, or make an empty one.

        Raises:
            OSError: the folder cannot be made or written.
            sqlite3.OperationalError: another process has the store open.
        """
        bounds = settings or StoreBounds()
        return cls(folder, await asyncio.to_thread(_open, folder, bounds), retention, bounds)

    @staticmethod
    def forget(folder: Path) -> None:
        """Remove a closed store's files: the node has left its network, and others hold everything."""
        schema.forget(folder)

    @property
    def overwriting(self) -> bool:
        """Whether bytes of removed messages are still in the files."""
        return self._fold.overwritten

    async def fold(self, arrivals: Arrivals, *, synced: bool = True) -> list[Changes | None]:
        """Fold arrivals; the result, see ``Fold.apply``, comes when they are committed, and if asked for, synced.

        While much waits in the log an empty store is filled: until it is level, it is not on the disk for good, the
        reader finds nothing, and nobody is told what has changed.
        """
        ready: asyncio.Future[None] | None = None
        if self._empty and arrivals.behind >= filling.WORTH_IT:
            self._filling = True
            self.reader.change_to(schema.open_empty())
            ready = self._writer.run_alone(lambda connection: filling.begin(connection, self._disk))
        self._empty = False
        folded = self._folded(arrivals, synced=synced)
        if ready is not None:
            await ready
        changes = await folded
        if not arrivals.behind:
            await self.end_filling()
        return [None] * len(changes) if self._filling else changes

    def fold_now(self, arrivals: Arrivals) -> list[Changes | None] | None:
        """Fold arrivals at once and without a sync; ``None``, and nothing is done, if that may last."""
        size = None if self._empty or self._filling else self._fold.small_size(arrivals)
        if size is None or not self._writer.takes_small(size):
            return None
        return self._writer.do_small(lambda connection: self._fold.apply(connection, arrivals), size=size)

    def _folded(self, arrivals: Arrivals, *, synced: bool) -> asyncio.Future[list[Changes | None]]:
        def apply(connection: sqlite3.Connection) -> list[Changes | None]:
            return self._fold.apply(connection, arrivals)

        size = None if self._filling else self._fold.small_size(arrivals)
        if size is None:
            return self._writer.run(apply, synced=synced)
        return self._writer.run_small(apply, size=size, synced=synced)

    async def end_filling(self) -> None:
        """Have everything that is folded on the disk for good, and readable; before anybody relies on it."""
        if not self._filling:
            return
        async with self._ending:
            if self._filling:
                await self._writer.run_alone(lambda connection: filling.end(connection, self._disk))
                self.reader.change_to(schema.open_for_reading(self._folder, self._bounds.reader_cache_bytes))
                self._filling = False

    def sync(self) -> asyncio.Future[None]:
        """Have the disk take everything that is folded by now."""
        return self._writer.sync()

    def progress(self) -> asyncio.Future[list[Progress]]:
        """Return how far which shards are folded."""
        return self._writer.run(load_progress, synced=False)

    async def follow(self, followed: Mapping[str, frozenset[int]], incarnation: str) -> dict[str, int]:
        """Hold exactly these shards from now on: forget others, begin with new ones. Nothing may be folded meanwhile.

        Args:
            followed: shards, 0 to 255, by the follower that will deliver them.
            incarnation: of the log that new shards will be folded from.

        Returns:
            The position behind which each follower must read.
        """

        def take_up(connection: sqlite3.Connection) -> dict[str, int] | None:
            self._fold.step_aside(connection)
            return follow_shards(connection, followed, incarnation)

        positions: dict[str, int] | None = None
        while positions is None:
            positions = await self._writer.run(take_up)
        return positions

    async def rewind(self, agreed: int, incarnation: str) -> None:
        """Begin anew behind a sequence, see ``rewind.rewind``. Nothing may be folded meanwhile."""

        def take_back(connection: sqlite3.Connection) -> None:
            self._fold.step_aside(connection)
            rewind(connection, agreed, incarnation)

        await self._writer.run(take_back)

    def kept_keys(self) -> asyncio.Future[list[tuple[int, bytes]]]:
        """Return the body keys that this node knows: periods and keys, in the order in which it learnt them."""
        return self._writer.run(kept_keys, synced=False)

    def keep_key(self, period: int, key: bytes) -> asyncio.Future[None]:
        """Keep a body key."""
        return self._writer.run(lambda connection: keep_key(connection, period, key))

    async def drop_keys(self, before_period: int) -> None:
        """Overwrite the body keys of earlier periods."""
        if await self._writer.run(lambda connection: drop_keys(connection, before_period)):
            self._fold.overwritten = True

    async def sweep(self, until_ms: int) -> None:
        """Remove what expired by then, in slices between which others write."""
        removed = SLICE
        while removed == SLICE:
            removed = await self._writer.run(
                lambda connection: sweep(connection, self._fold.recent, self._fold.expiries, until_ms)
            )
            self._fold.overwritten |= removed > 0

    async def overwrite(self) -> None:
        """Have the bytes of what was removed since the last time leave the files.

        Removed rows are overwritten at once, but the write-ahead log still holds pages as they were.
        """
        if not self._fold.overwritten:
            return
        self._fold.overwritten = False
        busy, _, _ = await self._writer.run_alone(
            lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        )
        self._fold.overwritten |= bool(busy)

    async def close(self) -> None:
        """Finish what is queued and close the file."""
        await self.end_filling()
        await self._writer.close()
        self.reader.close()
        self._disk.close()


class _Opened(NamedTuple):
    writer: sqlite3.Connection
    reader: sqlite3.Connection
    empty: bool


def _open(folder: Path, bounds: StoreBounds) -> _Opened:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        writer = schema.open_for_writing(folder, bounds.writer_cache_bytes)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        # Damaged beyond reading: the log has it all.
        schema.forget(folder)
        writer = schema.open_for_writing(folder, bounds.writer_cache_bytes)
    with writer:
        writer.execute("BEGIN IMMEDIATE")
        recover(writer)
    reader = schema.open_for_reading(folder, bounds.reader_cache_bytes)
    # One that began anew because the log lost everything is not empty: it may hold the only copies.
    empty = not any(group.position for group in load_progress(writer)) and not schema.holds_mail(writer)
    return _Opened(writer, reader, empty)
