"""One store on a file, folded and read on the same connection, without a thread between."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from services.swarm.adapters.store import schema
from services.swarm.adapters.store.fold import Fold
from services.swarm.adapters.store.reader import Reader, StoreView
from services.swarm.adapters.store.recent import RecentMessages, recover
from services.swarm.adapters.store.shards import follow_shards
from services.swarm.adapters.store.sweep import sweep
from services.swarm.domain.evolve import Changes
from services.swarm.domain.policies import Retention
from services.swarm.projections.arrivals import Arrivals, Arrived, FirstStores

SHARDS = {"main": frozenset({1, 2, 3})}


class PlainStore:
    """The tables and the rules of the local store."""

    def __init__(self, folder: Path, retention: Retention) -> None:
        self.connection = schema.open_for_writing(folder, 1024 * 1024)
        self.connection.execute("PRAGMA synchronous = OFF")
        self.folder = folder
        self._retention = retention
        self._begin()
        self.follow(SHARDS)

    def follow(self, shards: dict[str, frozenset[int]]) -> dict[str, int]:
        positions = None
        while positions is None:
            with self.transaction():
                self._fold.step_aside(self.connection)
                positions = follow_shards(self.connection, shards, "log")
        return positions

    def fold(self, events: Sequence[Arrived] | FirstStores, follower: str = "main") -> list[Changes | None]:
        last = events.sequences[-1] if isinstance(events, FirstStores) else events[-1].sequence
        with self.transaction():
            return self._fold.apply(self.connection, Arrivals(follower, events, last, 0))

    def forget(self) -> None:
        """Begin anew with what is on the disk, as after a restart."""
        with self.transaction():
            recover(self.connection)
        self._begin()

    def sweep(self, until_ms: int) -> None:
        with self.transaction():
            sweep(self.connection, self._fold.recent, self._fold.expiries, until_ms)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            self._fold.roll_back()
            raise
        self.connection.execute("COMMIT")
        self._fold.commit()

    def _begin(self) -> None:
        # So few that some examples reach the bound.
        self._fold = Fold(self._retention, RecentMessages(most=5))
        self.reader = Reader(self.connection, self._fold.recent.committed)

    @contextmanager
    def view(self, tag: bytes, now_ms: int) -> Iterator[StoreView]:
        with self.reader.view(tag, now_ms) as view:
            yield view

    def check(self) -> None:
        """Raise unless the file is sound."""
        assert self.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)

    def close(self) -> None:
        self.connection.close()


@pytest.fixture
def plain_store(tmp_path: Path) -> Iterator[PlainStore]:
    store = PlainStore(tmp_path, Retention())
    yield store
    store.close()


@pytest.fixture
def open_plain_store() -> Callable[[Retention], AbstractContextManager[PlainStore]]:
    """Return a context manager that makes a store of its own: a fresh one for every example."""

    @contextmanager
    def make(retention: Retention) -> Iterator[PlainStore]:
        with tempfile.TemporaryDirectory() as folder:
            store = PlainStore(Path(folder), retention)
            try:
                yield store
            finally:
                store.close()

    return make
