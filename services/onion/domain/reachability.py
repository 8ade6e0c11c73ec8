"""When to test which node's public address (wire 3.5)."""

from __future__ import annotations

from collections.abc import Collection
from random import Random
from typing import Final

#: Spread of the time between tests, as a share of its mean.
_SPREAD: Final = 0.3
_MOST_RETESTS: Final = 4


class TestPlan:
    """Every so often a random node; failing ones again, ever more rarely, until they answer.

    Args:
        interval: mean seconds between two tests of random nodes.
        retest: seconds until a failing node is tested again, times its failures so far.
        longest_retest: the bound on that.
        random: chooses.
    """

    __test__ = False  # not for pytest

    def __init__(self, interval: float, retest: float, longest_retest: float, random: Random) -> None:
        self._interval = interval
        self._retest = retest
        self._longest_retest = longest_retest
        self._random = random
        self._next = 0.0
        #: By node: failures in a row, and when to test again.
        self._failing: dict[bytes, tuple[int, float]] = {}

    def failing(self, node: bytes) -> bool:
        """Tell whether a node's last test failed."""
        return node in self._failing

    @property
    def failures(self) -> int:
        """How many nodes' last test failed."""
        return len(self._failing)

    def next_time(self) -> float:
        """Return when the next test is due."""
        return min(self._next, min((due for _, due in self._failing.values()), default=self._next))

    def due(self, nodes: Collection[bytes], now: float) -> list[bytes]:
        """Return whom to test now.

        Args:
            nodes: everybody in the directory but this node.
            now: seconds on a clock that never goes back.
        """
        for gone in self._failing.keys() - set(nodes):
            del self._failing[gone]
        overdue = sorted((due, node) for node, (_, due) in self._failing.items() if due <= now)
        chosen = [node for _, node in overdue[:_MOST_RETESTS]]
        if self._next <= now:
            self._next = now + max(0.1 * self._interval, self._random.gauss(self._interval, _SPREAD * self._interval))
            healthy = [node for node in nodes if node not in self._failing]
            if healthy:
                chosen.append(self._random.choice(healthy))
        return chosen

    def record(self, node: bytes, now: float, *, passed: bool) -> None:
        """Take a result in."""
        if passed:
            self._failing.pop(node, None)
            return
        failures = self._failing.get(node, (0, 0.0))[0] + 1
        self._failing[node] = (failures, now + min(self._retest * failures, self._longest_retest))
