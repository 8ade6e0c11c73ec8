"""This device's time as the nodes see it.

Signed requests must be within a minute of the nodes' clocks (wire 4.4). The offset is learnt only when a node refuses a
timestamp (406): the median of three nodes' `info`, so that one lying node cannot move it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

SAMPLES = 3


def system_ms() -> int:
    """Return this device's time in Unix milliseconds."""
    return time.time_ns() // 1_000_000


class NetworkClock:
    """Network time: this device's plus a learnt offset."""

    def __init__(self, device_ms: Callable[[], int] = system_ms) -> None:
        self._device_ms = device_ms
        self.offset_ms = 0

    def now_ms(self) -> int:
        """Return network time in Unix milliseconds."""
        return self._device_ms() + self.offset_ms

    def device_ms(self) -> int:
        """Return this device's own time."""
        return self._device_ms()

    def learn(self, offsets_ms: Sequence[int]) -> None:
        """Set the offset to the median of what nodes said (their time less ours)."""
        if offsets_ms:
            self.offset_ms = round(statistics.median(offsets_ms))


def offset_of(node_ms: int, sent_ms: int, received_ms: int) -> int:
    """Return a node's offset from an answer that named its time, assuming that both ways took equally long."""
    return node_ms - (sent_ms + received_ms) // 2
