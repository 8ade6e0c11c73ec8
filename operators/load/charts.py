"""The report's plots, as SVG without scripts or anything from elsewhere. Pure: numbers in, text out."""

from __future__ import annotations

import functools
import math
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from naisho.texts import Texts

#: Told apart without colours, too: by order in the legend, which is that of the lines.
COLOURS = ("#0b6e8f", "#d9822b", "#7a3e9d", "#2e8b57", "#c0392b", "#5d6d7e", "#b7950b", "#1b4f72")
LOOK = {
    "background": "transparent",
    "plot_background": "transparent",
    "foreground": "#555",
    "foreground_strong": "#222",
    "foreground_subtle": "#ccc",
    "colors": COLOURS,
    "font_family": "sans-serif",
    "opacity": ".85",
    "transition": "0s",
    "label_font_size": 11,
    "major_label_font_size": 11,
    "legend_font_size": 12,
    "title_font_size": 15,
}
Line = Sequence[tuple[float, float | None]]
#: More processes than this are told in the twin only.
MOST_LINES = 12


def plots(twin: Mapping[str, Any], texts: Texts) -> list[str]:
    """Return all plots of a run in the order of the report."""
    series, resources = twin["series"], twin["resources"]
    at = series["at_s"]

    def lines(*names: str) -> dict[str, Line]:
        return {texts(f"lines.{name}"): list(zip(at, series[name], strict=True)) for name in names}

    used = dict(list(resources.items())[:MOST_LINES])
    cpu = {name: list(zip(curve["at_s"], curve["cpu_percent"], strict=True)) for name, curve in used.items()}
    memory = {name: list(zip(curve["at_s"], curve["memory_mb"], strict=True)) for name, curve in used.items()}
    errors = {kind: list(zip(at, counts, strict=True)) for kind, counts in series["errors"].items()}
    swarms = twin["swarms"]
    return [
        _over_time(texts, "rate", lines("planned", "offered", "achieved")),
        _over_time(texts, "latency", lines("p50_ms", "p90_ms", "p99_ms", "max_ms"), logarithmic=True),
        _over_time(texts, "under_way", lines("under_way")),
        _over_time(texts, "errors", errors),
        _bars(texts, "swarms", {name: swarm["operations"] for name, swarm in swarms.items()}),
        _over_time(texts, "cpu", cpu),
        _over_time(texts, "memory", memory),
    ]


@functools.cache
def _pygal() -> Any:
    """Return the library, without what it leaves behind.

    It hooks a finder of its own plug-ins into every later import of the process, in a form that Python gave up.
    """
    import pygal  # noqa: PLC0415 - see above: not by merely importing this module

    sys.meta_path[:] = [finder for finder in sys.meta_path if not type(finder).__module__.startswith("pygal")]
    return pygal


def _over_time(texts: Texts, name: str, lines: Mapping[str, Line], *, logarithmic: bool = False) -> str:
    chart = _pygal().XY(
        **_look(texts, name),
        x_title=texts("axes.seconds"),
        show_dots=False,
        legend_at_bottom=True,
        legend_at_bottom_columns=4,
        allow_interruptions=True,
    )
    if logarithmic:  # pygal's own would bend the time, too
        lines = {label: [(x, math.log10(y) if y else None) for x, y in line] for label, line in lines.items()}
        chart.y_labels = _decades([y for line in lines.values() for _, y in line if y is not None])
    for label, line in lines.items():
        chart.add(label, [None if y is None else (x, y) for x, y in line])
    return _text(chart)


def _decades(logarithms: Sequence[float]) -> list[dict[str, Any]]:
    """Return the marks 1, 2, 5, 10, … of an axis that shows logarithms, just beyond all values."""
    if not logarithms:
        return []
    low, high = math.floor(min(logarithms)), math.ceil(max(logarithms))
    marks = [step * 10.0**decade for decade in range(low, high + 1) for step in (1, 2, 5)]
    logs = [math.log10(mark) for mark in marks]
    first = max((at for at, log in enumerate(logs) if log <= min(logarithms)), default=0)
    last = min((at for at, log in enumerate(logs) if log >= max(logarithms)), default=len(logs) - 1)
    return [{"value": logs[at], "label": f"{marks[at]:g}"} for at in range(first, last + 1)]


def _bars(texts: Texts, name: str, values: Mapping[str, float]) -> str:
    chart = _pygal().HorizontalBar(**_look(texts, name), show_legend=False, print_values=True)
    chart.x_labels = list(values)
    chart.add(texts(f"plots.{name}"), list(values.values()))
    return _text(chart)


def _look(texts: Texts, name: str) -> dict[str, Any]:
    return {
        "title": texts(f"plots.{name}"),
        "style": _pygal().style.Style(**LOOK),
        "js": (),
        "disable_xml_declaration": True,
        "width": 860,
        "height": 320,
        "no_data_text": texts("plots.nothing"),
    }


def _text(chart: Any) -> str:
    # A plot carries its settings in a script, for a script that is not there.
    return re.sub(r"<script\b.*?</script>", "", chart.render(is_unicode=True), flags=re.DOTALL)
