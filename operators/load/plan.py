"""How many requests arrive when: a rate that changes over time. Pure.

A plan is a row of phases, each with a rate that moves in a straight line. Integrated, it says how many arrivals are due
by a time; turned around, at which time the n-th is due. Both are exact, so arrivals need no steps of time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from operators.load.errors import BadPlan
from services.chassis.settings.values import BadValue, Duration, convert

HIGHEST_RATE = 1_000_000.0


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of time whose rate moves in a straight line.

    Attributes:
        start: arrivals each second at its beginning.
        end: and at its end.
        seconds: how long it lasts; infinite only if the rate stays the same.

    """

    start: float
    end: float
    seconds: float

    def __post_init__(self) -> None:
        """Check that it says something."""
        if not all(0 <= rate <= HIGHEST_RATE for rate in (self.start, self.end)):
            raise BadPlan(f"a rate lies between 0 and {HIGHEST_RATE:g} each second")
        if not self.seconds > 0 or (math.isinf(self.seconds) and self.start != self.end):
            raise BadPlan("a phase takes some time, and a ramp ends")

    @property
    def text(self) -> str:
        """The phase as it is written."""
        return f"{self.start:g}:{self.end:g}:{self.seconds:g}s"

    @property
    def arrivals(self) -> float:
        """How many arrive in it."""
        if self.start == self.end:
            return self.start * self.seconds if self.start else 0.0
        return (self.start + self.end) / 2 * self.seconds

    def rate_at(self, seconds: float) -> float:
        """Return the rate that many seconds after its beginning."""
        if self.start == self.end:
            return self.start
        return self.start + (self.end - self.start) * seconds / self.seconds

    def arrivals_by(self, seconds: float) -> float:
        """Return how many are due by that many seconds after its beginning."""
        return (self.start + self.rate_at(seconds)) / 2 * seconds

    def time_of(self, arrivals: float) -> float:
        """Return after how many seconds that many are due; the inverse of `arrivals_by`."""
        if arrivals <= 0:
            return 0.0
        slope = 0.0 if self.start == self.end else (self.end - self.start) / self.seconds
        # Of the two ways to write the root of a quadratic, the one that does not subtract nearly equal numbers.
        root = math.sqrt(max(0.0, self.start * self.start + 2 * slope * arrivals))
        return min(self.seconds, 2 * arrivals / (self.start + root))


@dataclass(frozen=True)
class Plan:
    """Phases, one after the other."""

    phases: tuple[Phase, ...]

    def __post_init__(self) -> None:
        """Check that arrivals come."""
        if not self.phases or not any(phase.arrivals > 0 for phase in self.phases):
            raise BadPlan("a plan has at least one phase with a rate above 0")
        if any(math.isinf(phase.seconds) for phase in self.phases[:-1]):
            raise BadPlan("only the last phase may last until it is stopped")

    @classmethod
    def of(cls, phases: Iterable[Phase]) -> Plan:
        """Return a plan of phases."""
        return cls(tuple(phases))

    @classmethod
    def steady(cls, rate: float, seconds: float = math.inf) -> Plan:
        """Return a plan of one rate, for some seconds or until the run is stopped."""
        return cls((Phase(rate, rate, seconds),))

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def arrivals(self) -> float:
        """How many are due in all."""
        return sum(phase.arrivals for phase in self.phases)

    @cached_property
    def _begins(self) -> list[tuple[float, float, Phase]]:
        """Each phase with the time of its beginning and the arrivals before it."""
        times = accumulate((phase.seconds for phase in self.phases[:-1]), initial=0.0)
        before = accumulate((phase.arrivals for phase in self.phases[:-1]), initial=0.0)
        return list(zip(times, before, self.phases, strict=True))

    def rate_at(self, seconds: float) -> float:
        """Return the planned rate at a time since the beginning; 0 outside of the plan."""
        for begin, _, phase in self._begins:
            if begin <= seconds < begin + phase.seconds:
                return phase.rate_at(seconds - begin)
        return 0.0

    def arrivals_by(self, seconds: float) -> float:
        """Return how many are due by a time since the beginning."""
        due = 0.0
        for begin, before, phase in self._begins:
            if seconds < begin:
                break
            due = before + phase.arrivals_by(min(seconds - begin, phase.seconds))
        return due

    def time_of(self, arrivals: float) -> float | None:
        """Return at which time that many are due; ``None`` if there are never so many."""
        for begin, before, phase in self._begins:
            if arrivals <= before + phase.arrivals and phase.arrivals > 0:
                return begin + phase.time_of(arrivals - before)
        return None


def read_seconds(text: str) -> float:
    """Read a time with its unit, such as ``90s``.

    >>> read_seconds("1.5m")
    90.0

    Raises:
        BadPlan: something else.
    """
    try:
        return float(convert(Duration, text))
    except BadValue as error:
        raise BadPlan(f"{text}: {error}") from error


def read_ramp(text: str) -> Phase:
    """Read ``FROM:TO:TIME``.

    >>> read_ramp("10:200:60s")
    Phase(start=10.0, end=200.0, seconds=60.0)

    Raises:
        BadPlan: something else.
    """
    parts = text.split(":")
    try:
        start, end, seconds = float(parts[0]), float(parts[1]), read_seconds(parts[2])
    except (ValueError, IndexError) as error:
        raise BadPlan(f"{text}: a ramp is FROM:TO:TIME, such as 10:200:60s") from error
    if len(parts) != 3:  # noqa: PLR2004 - said in the text
        raise BadPlan(f"{text}: a ramp is FROM:TO:TIME, such as 10:200:60s")
    return Phase(start, end, seconds)
