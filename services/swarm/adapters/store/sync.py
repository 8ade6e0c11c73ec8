"""Having the disk take what is committed, which a commit by itself does not wait for (docs/adr/0011)."""

from __future__ import annotations

import os
from pathlib import Path

from services.swarm.adapters.store.schema import FILE


class Disk:
    """A store's part of the disk, for one thread at a time.

    Committed pages that are not in the store's file yet lie in its write-ahead log; a checkpoint syncs what it moves.

    Args:
        folder: of the store.
    """

    def __init__(self, folder: Path) -> None:
        self._log = folder / f"{FILE}-wal"
        self._descriptor: int | None = None

    def sync(self) -> None:
        """Have the disk take every transaction that is committed.

        Raises:
            OSError: it does not.
        """
        if self._descriptor is None:
            try:
                self._descriptor = os.open(self._log, os.O_RDWR)
            except FileNotFoundError:
                return  # a store that is being filled has none, and nobody relies on it
        os.fdatasync(self._descriptor)

    def forget(self) -> None:
        """Let go of the write-ahead log: it was removed, or will be."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)
