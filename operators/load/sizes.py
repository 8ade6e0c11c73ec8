"""How many bytes a message has. Pure.

Four ways to say it: ``1024`` always; ``200-4000`` any number between, equally likely; ``lognormal:1024:0.8`` a median
and the spread (the standard deviation of the logarithm), as lengths of texts tend to lie; ``512*6,8192*3`` some sizes
by weight.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import NamedTuple, TypeAlias

from naisho.protocol.limits import MAX_DATA_BYTES
from operators.load.errors import BadPlan

Draw: TypeAlias = Callable[[Random], int]
FORMS = "1024, 200-4000, lognormal:1024:0.8 or 512*6,8192*3"


class Sizes(NamedTuple):
    """Sizes of messages: how they were written, and what draws them."""

    text: str
    draw: Draw

    @classmethod
    def parse(cls, text: str) -> Sizes:
        """Read one of the four ways.

        >>> Sizes.parse("1024").draw(Random(1))
        1024

        Raises:
            BadPlan: something else, or a size that no message may have.
        """
        try:
            return cls(text, _read(text.strip()))
        except ValueError as error:
            raise BadPlan(f"{text}: {error if isinstance(error, BadPlan) else f'sizes are {FORMS}'}") from error


def _read(text: str) -> Draw:
    if text.startswith("lognormal:"):
        _, median, spread = text.split(":")
        return _lognormal(_size(median), float(spread))
    if "*" in text or "," in text:
        parts = [part.partition("*") for part in text.split(",")]
        sizes, weights = [_size(size) for size, _, _ in parts], [float(weight or 1) for _, _, weight in parts]
        if min(weights) < 0 or not 0 < sum(weights) < math.inf:
            raise BadPlan("weights are 0 or more, and at least one is more")
        return lambda random: random.choices(sizes, weights)[0]
    low, dash, high = text.partition("-")
    least, most = _size(low), _size(high if dash else low)
    if least > most:
        raise BadPlan("the smaller size comes first")
    return lambda random: random.randint(least, most)


def _lognormal(median: int, spread: float) -> Draw:
    if not 0 <= spread <= 5:  # noqa: PLR2004 - beyond, nearly every draw is the smallest or the largest
        raise BadPlan("a spread lies between 0 and 5")

    def draw(random: Random) -> int:
        return min(MAX_DATA_BYTES, max(1, round(random.lognormvariate(math.log(median), spread))))

    return draw


def _size(text: str) -> int:
    size = int(text)
    if not 1 <= size <= MAX_DATA_BYTES:
        raise BadPlan(f"a message has between 1 and {MAX_DATA_BYTES} bytes")
    return size
