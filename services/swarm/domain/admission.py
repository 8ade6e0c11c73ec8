"""How many commands may be under way, learnt from how long they take: too many wait outside instead of within."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import median_low
from typing import Final

#: A window of what is learnt from: as long as a command takes, within these bounds (seconds) ...
_WINDOW: Final = (0.1, 1.0)
#: ... and of so many commands.
_FEWEST: Final = 8
_MOST: Final = 4096
#: How many times as long as without hurry a command may take, if that is more than it may take anyway.
_HURRY: Final = 2.0
#: Beyond this nothing is bearable, in multiples of the setting.
_UNBEARABLE: Final = 10.0
#: What is left of the knowledge of the time without hurry after each window of hurry.
_REMEMBERED: Final = 0.95
#: The limit changes at most by these factors from window to window.
_STEP: Final = (0.5, 1.5)
#: It grows only if so much of it was used.
_USED: Final = 0.8


@dataclass(slots=True)
class Places:
    """Places of commands that were let in and have not begun yet."""

    left: int


class AdaptiveLimit:
    """A limit of commands under way.

    What finishes ``x`` commands a second and takes ``r`` seconds for each has ``x * r`` under way (Little's law). Once
    log and disk are busy all the time, more under way do not raise ``x``, they raise ``r``: they stand in a queue. The
    limit is moved towards where a command takes as long as is bearable, by the root of the ratio, as the gradient
    limits of the field do; the root keeps it steady although a change shows only when the commands let in by it end.

    Bearable is ``patience_s``, which leaves room for groups of commits; or, on a slow disk, twice what a command took
    when ``least`` or fewer were under way, for then it did not wait for others. The median is looked at: a few that
    end at once, or that wait for something of their own, do not move it. The limit begins halfway between its bounds,
    by ratio.

    Args:
        least: the limit never falls below this; commands so few are never too many.
        most: it never rises above this.
        patience_s: seconds that a command may take, however fast it could be.

    Raises:
        ValueError: ``least`` is below 1 or above ``most``, or ``patience_s`` is not above 0.
    """

    def __init__(self, *, least: int, most: int, patience_s: float) -> None:
        if not 1 <= least <= most or patience_s <= 0:
            raise ValueError("a limit needs 1 <= least <= most, and some patience")
        self.least = least
        self.most = most
        self._patience_s = patience_s
        self._limit = sqrt(least * most)
        self._unhurried_s = 0.0
        self._took: list[float] = []
        self._crowd = 0
        self._until_s = 0.0

    @property
    def value(self) -> int:
        """The limit now."""
        return int(self._limit)

    def learn(self, now_s: float, took_s: float, under_way: int) -> None:
        """Take in that a command has ended.

        Args:
            now_s: the time, by a clock that never goes back.
            took_s: how long it took, since it was let in.
            under_way: how many were under way with it, itself included.
        """
        self._took.append(took_s)
        self._crowd = max(self._crowd, under_way)
        if len(self._took) >= _MOST or (now_s >= self._until_s and len(self._took) >= _FEWEST):
            typical_s = median_low(self._took)
            self._move(typical_s)
            self._until_s = now_s + _within(typical_s, _WINDOW)
            self._took.clear()
            self._crowd = 0

    def _move(self, typical_s: float) -> None:
        if self._crowd <= self.least:
            self._unhurried_s = typical_s
        else:
            self._unhurried_s *= _REMEMBERED
        bearable_s = _within(_HURRY * self._unhurried_s, (self._patience_s, _UNBEARABLE * self._patience_s))
        step = _STEP[1] if typical_s <= 0 else _within(sqrt(bearable_s / typical_s), _STEP)
        if step < 1 or self._crowd >= _USED * self.value:
            self._limit = _within(self._limit * step, (self.least, self.most))


def _within(value: float, bounds: tuple[float, float]) -> float:
    return min(max(value, bounds[0]), bounds[1])
