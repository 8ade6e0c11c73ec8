"""Which nodes failed lately (wire 2.5: three strikes), in memory only.

A node with three strikes is left out for a minute, with each further one for twice as long, up to an hour. Nothing is
for ever: strikes are forgotten after two days and a success forgives them, so a bad hour of the network, or a lying
exit, cannot strip a client of its nodes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

LIMIT = 3
FIRST_PAUSE = 60.0
LONGEST_PAUSE = 3600.0
MEMORY = 48 * 3600.0
MOST_NODES = 4096


class Strikes:
    """Counts failures per node.

    Args:
        clock: monotonic seconds.

    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._strikes: OrderedDict[bytes, tuple[int, float]] = OrderedDict()

    def add(self, node: bytes, count: int = 1) -> None:
        """Count a failure; `LIMIT` at once leaves the node out now."""
        before, _ = self._strikes.pop(node, (0, 0.0))
        self._strikes[node] = (before + count, self._clock())
        while len(self._strikes) > MOST_NODES:
            self._strikes.popitem(last=False)

    def forgive(self, node: bytes) -> None:
        """Forget a node's failures: it has just worked."""
        self._strikes.pop(node, None)

    def out(self) -> set[bytes]:
        """Return the nodes to leave out now."""
        now = self._clock()
        for node in [node for node, (_, last) in self._strikes.items() if now - last > MEMORY]:
            del self._strikes[node]
        return {node for node, (count, last) in self._strikes.items() if now - last < pause(count)}


def pause(count: int) -> float:
    """Return for how many seconds a node with that many strikes is left out."""
    return 0.0 if count < LIMIT else min(FIRST_PAUSE * 2.0 ** min(count - LIMIT, 16), LONGEST_PAUSE)
