"""Draw docs/operating/scaling.svg: ``python -m tests.property.membership.draw_scaling_day [FILE]``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pygal
from pygal.style import CleanStyle

from tests.property.membership.scaling_day import PICTURE, Moment, live_through


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
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE
    target.write_bytes(draw(live_through()))
