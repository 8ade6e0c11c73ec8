"""Draw docs/operating/scaling.svg: ``python -m tests.property.membership.draw_scaling_day``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pygal
from pygal.style import CleanStyle

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


def draw(moments: list[Moment]) -> bytes:
    """Return the picture: load, nodes and swarms over the hours."""
    chart = pygal.XY(
        style=CleanStyle,
        title="A day of load and the nodes that were chosen (simulated)",
        x_title="hour",
        show_dots=False,
        height=420,
        range=(0, 30),
        xrange=(0, 24),
        js=(),
        no_prefix=True,
    )
    shown = moments[::10]
    chart.add("nodes", _steps([(moment.hour, moment.size) for moment in moments]))
    chart.add("nodes that 40 stores/s each would need", [(round(m.hour, 2), round(m.load / 40, 1)) for m in shown])
    chart.add("swarms", _steps([(moment.hour, moment.swarms) for moment in moments]))
    rendered = chart.render(disable_xml_declaration=True)
    assert isinstance(rendered, str | bytes)
    text = rendered if isinstance(rendered, str) else rendered.decode()
    return re.sub("<!--.*?-->", "", text).encode() + b"\n"  # comments tell the day on which it was drawn


def _steps(points: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """Return the corners of a line that goes up and down in steps."""
    corners = [points[0]]
    for (_, before), (hour, after) in zip(points, points[1:], strict=False):  # noqa: RUF007 - pairs of pairs
        if after != before:
            corners += [(round(hour, 3), before), (round(hour, 3), after)]
    return [*corners, points[-1]]


if __name__ == "__main__":
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_bytes(draw(live_through()))
