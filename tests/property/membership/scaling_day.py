"""A day of a pool whose load rises and falls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from operators.membership.domain.pool.scaling import Reason
from operators.membership.domain.pool.scaling_policy import ScalingPolicy, Targets
from tests.property.membership.pool_under_load import SCRAPE_MS, START_MS, Pool, Work

PICTURE: Final = Path(__file__).parents[3] / "docs" / "operating" / "scaling.svg"
HOUR_S: Final = 3600
SCRAPES: Final = 24 * HOUR_S * 1000 // SCRAPE_MS
POLICY: Final = ScalingPolicy(12, 30, Targets(stores_per_s=40, cpu_percent=60))


@dataclass(frozen=True, slots=True)
class Moment:
    """The pool at one scrape; the load in stores a second of the whole network."""

    hour: float
    load: float
    size: int
    swarms: int
    reason: Reason


def load_at(hour: float) -> float:
    """Return a day's load: a quiet night, a long afternoon, a lively evening, and something that happens at eleven."""
    day = 350 + 300 * math.sin((hour - 10) / 24 * 2 * math.pi) + 250 * math.exp(-((hour - 20) ** 2) / 4)
    return day + (350 if 11 <= hour < 11 + 0.5 else 0)


def live_through() -> list[Moment]:
    """Return a day of the pool, scraped and decided about all along."""
    pool = Pool(POLICY, 15)
    moments = []
    for _ in range(SCRAPES):
        hour = (pool.now_ms - START_MS) / 1000 / HOUR_S
        load = load_at(hour)
        # Of a store, the one who receives it has the most work; every member of its swarm has some.
        pool.pass_time(Work(stores=load, shared_cpu=load * 0.9, swarm_cpu=load * 0.05, idle_cpu=2))
        decision = pool.decide()
        pool.obey(decision)
        moments.append(Moment(hour, load, pool.size, len(pool.swarms), decision.reason))
    return moments
