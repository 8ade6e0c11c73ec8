"""When each request is due. Pure, and the same for the same seed.

The load is open: arrivals follow the plan and wait for no answer. A Poisson process whose rate changes is one of rate 1
whose time is bent by the plan (time change), so it needs no thinning; and every n-th share of a plan is made by one
generating process alone, so that several together keep the plan without talking.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from random import Random
from typing import NamedTuple

from operators.load.plan import Plan


class Spacing(StrEnum):
    """How arrivals lie beside each other."""

    #: Independent of each other, as those of many people are.
    POISSON = "poisson"
    #: Evenly.
    CONSTANT = "constant"


class Share(NamedTuple):
    """The part of a plan that one process makes: ``number`` of ``of``, from 0."""

    number: int = 0
    of: int = 1


WHOLE = Share()


def arrivals(plan: Plan, spacing: Spacing, random: Random, share: Share = WHOLE) -> Iterator[float]:
    """Yield when each request is due, in seconds since the beginning, never going back.

    Args:
        plan: the rates.
        spacing: evenly or as a Poisson process.
        random: where the draw comes from.
        share: which part of the plan.
    """
    due = share.number + 0.5 if spacing is Spacing.CONSTANT else random.expovariate(1.0) * share.of
    while (time := plan.time_of(due)) is not None:
        yield time
        due += share.of if spacing is Spacing.CONSTANT else random.expovariate(1.0) * share.of
