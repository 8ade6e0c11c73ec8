"""How often somebody may ask: token buckets, one per key, in a table of bounded size.

The table forgets a key only when that changes nothing for it: a bucket that nobody touched for the time it takes to
fill from empty is full, and a full bucket is what a newcomer gets. So nobody wins a fresh allowance by making the table
overflow. When more keys are active at once than it holds, the newcomers share one bucket among them: a flood from very
many keys costs other newcomers, never those who are known already, and never memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class TokenBuckets(Generic[Key]):
    """Who may still ask. The defaults are those of the public HTTPS interface (wire 3, guard rails).

    The key should be what costs an attacker something: an IPv4 address, but the /64 of an IPv6 address.

    Args:
        burst: tokens in a full bucket.
        per_second: tokens that come back each second.
        keys: keys remembered at most.
        monotonic: seconds, never going back.
    """

    def __init__(
        self,
        burst: float = 600,
        per_second: float = 300,
        keys: int = 65_536,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if burst < 1 or per_second <= 0 or keys < 1:
            raise ValueError("a bucket needs room for a token, a rate above zero and a table")
        self.refused = 0
        self._cost = 1 / per_second
        # From empty to full; a thousandth of a token more, so that sums of fractions never cost a whole one.
        self._span = (burst + 0.001) / per_second
        self._keys = keys
        self._monotonic = monotonic
        # Per key: when its bucket will be full again. The past means that it is full.
        self._recent: dict[Key, float] = {}
        self._older: dict[Key, float] = {}
        self._turned = monotonic()
        self._newcomers = 0.0

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._recent) + len(self._older)

    def take(self, key: Key, tokens: float = 1) -> bool:
        """Take tokens from the key's bucket; False (and nothing taken) if it holds too few."""
        now = self._monotonic()
        if now - self._turned >= self._span:
            self._turn(now)
        full_at = self._recent.get(key)
        if full_at is None:
            full_at = self._older.pop(key, None)
            if full_at is None:
                if len(self._recent) + len(self._older) >= self._keys:
                    return self._take_as_newcomer(now, tokens)
                full_at = now
        full_at = max(full_at, now) + tokens * self._cost
        allowed = full_at - now <= self._span
        if not allowed:
            self.refused += 1
            full_at -= tokens * self._cost
        self._recent[key] = full_at
        return allowed

    def _take_as_newcomer(self, now: float, tokens: float) -> bool:
        full_at = max(self._newcomers, now) + tokens * self._cost
        if full_at - now > self._span:
            self.refused += 1
            return False
        self._newcomers = full_at
        return True

    def _turn(self, now: float) -> None:
        # What lies in `_older` was last touched a whole span ago, so those buckets are full: forgetting them is fair.
        self._older = self._recent if now - self._turned < 2 * self._span else {}
        self._recent = {}
        self._turned = now
