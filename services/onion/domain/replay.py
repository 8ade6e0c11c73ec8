"""Recognise onion layers that were seen before.

Replaying a recorded packet lets an observer watch where it comes out again. A node therefore opens a layer once. Its
memory is bounded twice: by time, since nobody can want to replay for ever what has long expired, and by number, since
a flood of layers must not cost memory. Under a flood the window gets shorter; it never lets memory grow.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from typing import Final

_MARK_BYTES: Final = 16
#: At least the nonce of every encryption type, and its tag.
_HEAD: Final = 24
_TAIL: Final = 16


class ReplayFilter:
    """Remembers layers in two generations, so that forgetting costs nothing per layer.

    Args:
        window: seconds that a layer is remembered at least, unless there are too many.
        entries: layers remembered at most, both generations together.
    """

    def __init__(self, window: float, entries: int) -> None:
        if window <= 0 or entries < 2:  # noqa: PLR2004 - one for each generation
            raise ValueError("a replay filter needs a window and room for two layers")
        #: Layers that came again.
        self.caught = 0
        self._key = os.urandom(_MARK_BYTES)
        self._window = window
        self._half = entries // 2
        self._recent: set[bytes] = set()
        self._older: set[bytes] = set()
        self._turned = float("-inf")

    def __len__(self) -> int:
        """How many layers are remembered."""
        return len(self._recent) + len(self._older)

    def mark(self, ephemeral_key: bytes, ciphertext: bytes) -> bytes:
        """Return what a layer is remembered by.

        Key, nonce and tag stand for the whole: under authenticated encryption nobody makes a second ciphertext that
        shares all three and opens. (Under AES-CBC, which authenticates nothing, whoever changes the middle can as well
        change the end.) Keyed, so that nobody outside can find two layers with one mark.
        """
        known = ephemeral_key + ciphertext[:_HEAD] + ciphertext[-_TAIL:]
        return blake2b(known, digest_size=_MARK_BYTES, key=self._key).digest()

    def seen(self, mark: bytes) -> bool:
        """Tell whether a layer came before, and count it if so."""
        if mark in self._recent or mark in self._older:
            self.caught += 1
            return True
        return False

    def add(self, mark: bytes, now: float) -> None:
        """Remember a layer that has opened. `now` is in seconds and never goes back."""
        if now - self._turned >= self._window or len(self._recent) >= self._half:
            self._older = self._recent if now - self._turned < 2 * self._window else set()
            self._recent = set()
            self._turned = now
        self._recent.add(mark)
