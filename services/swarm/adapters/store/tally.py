"""Counting what a store holds, a slice of its mailboxes at a time, so that nobody waits for it.

The room that the file's tables take up would not do: pages that lost some of their messages stay until they lost all.
"""

from __future__ import annotations

from typing import Final

from services.swarm.adapters.store.reader import Reader

#: Mailboxes looked at in one go: about two milliseconds.
SLICE: Final = 4_000
_BEGIN: Final = (b"", 0)


class Tally:
    """Counts over and over again.

    Attributes:
        held_bytes: of all bodies, unsealed, as of the last count that came to its end.
    """

    def __init__(self, reader: Reader) -> None:
        self.held_bytes = 0
        self._reader = reader
        self._after = _BEGIN
        self._so_far = 0

    def count_on(self, most: int = SLICE) -> None:
        """Look at some more mailboxes."""
        rows = self._reader.usage_behind(*self._after, most)
        self._so_far += sum(size for _, _, size in rows)
        if len(rows) == most:
            self._after = rows[-1][:2]
        else:
            self.held_bytes = self._so_far + self._reader.recent_bytes()
            self._so_far, self._after = 0, _BEGIN
