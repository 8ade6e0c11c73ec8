"""Latencies as counts in buckets: any percentile of any number of values in a few kilobytes. Pure."""

from __future__ import annotations

from typing import Final, Self

from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

#: Microseconds.
_LOWEST: Final = 1
_HIGHEST: Final = 600 * 1_000_000
#: Significant digits: of what is said once, and of what is said for every interval.
FINE, COARSE = 3, 2
PERCENTILES: Final = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9}


class Latencies:
    """A distribution of times from 1 µs to 10 minutes; longer ones count as 10 minutes.

    Args:
        digits: how many significant digits are kept.

    """

    __slots__ = ("_counts", "digits")

    def __init__(self, digits: int = FINE) -> None:
        self.digits = digits
        self._counts = HdrHistogram(_LOWEST, _HIGHEST, digits)

    def __len__(self) -> int:
        """How many values were recorded."""
        return int(self._counts.get_total_count())

    def record(self, seconds: float) -> None:
        """Count one value."""
        self._counts.record_value(min(_HIGHEST, max(_LOWEST, round(seconds * 1e6))))

    def add(self, other: Self) -> None:
        """Count all values of another distribution, too."""
        self._counts.add(other._counts)

    def at(self, percentile: float) -> float | None:
        """Return the value in ms that a percentage of all values does not exceed; ``None`` without values."""
        return round(self._counts.get_value_at_percentile(percentile) / 1000, 3) if len(self) else None

    @property
    def largest(self) -> float | None:
        """The largest value in ms; ``None`` without values."""
        return round(self._counts.get_max_value() / 1000, 3) if len(self) else None

    def summary(self) -> dict[str, float | None]:
        """Return count, percentiles, mean and largest value in ms; ``None`` where there are no values."""
        found: dict[str, float | None] = {"count": len(self)}
        found |= {name: self.at(percentile) for name, percentile in PERCENTILES.items()}
        mean = round(self._counts.get_mean_value() / 1000, 3) if len(self) else None
        return found | {"mean": mean, "max": self.largest}

    def encode(self) -> str:
        """Return it as text that `decode` reads; in the format of the HdrHistogram libraries."""
        encoded: bytes = self._counts.encode()
        return encoded.decode("ascii")

    @classmethod
    def decode(cls, text: str, digits: int = FINE) -> Self:
        """Return what was encoded with the same number of digits."""
        made = cls(digits)
        made._counts.decode_and_add(text.encode("ascii"))
        return made
