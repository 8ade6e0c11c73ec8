"""Having the disk take what is committed, which a commit by itself does not wait for (docs/adr/0011)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from services.swarm.adapters.store.schema import FILE

_LOG: Final = f"{FILE}-wal"


class Disk:
    """A store's part of the disk, for one thread at a time.

    Committed pages that are not in the store's file yet lie in its write-ahead log; a checkpoint syncs what it moves.
    Files stay open: to close one, by whatever descriptor, would give up SQLite's lock on it.

    Args:
        folder: of the store.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptors: dict[str, int] = {}

    def sync(self) -> None:
        """Have the disk take every transaction that is committed.

        Raises:
            OSError: it does not.
        """
        try:
            os.fdatasync(self._open(_LOG))
        except FileNotFoundError:
            return  # a store that is being filled has none, and nobody relies on it

    def sync_file(self) -> None:
        """Have the disk take the store's file itself, for a store that has no write-ahead log; raises as ``sync``."""
        os.fsync(self._open(FILE))

    def forget_log(self) -> None:
        """Let go of the write-ahead log: it is about to be removed."""
        if (descriptor := self._descriptors.pop(_LOG, None)) is not None:
            os.close(descriptor)

    def close(self) -> None:
        """Let go of everything; the store is closed."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def _open(self, name: str) -> int:
        descriptor = self._descriptors.get(name)
        if descriptor is None:
            descriptor = self._descriptors[name] = os.open(self._folder / name, os.O_RDWR)
        return descriptor
