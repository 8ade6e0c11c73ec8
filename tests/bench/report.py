"""The table and the chart of a bench run."""

from __future__ import annotations

import json
import platform
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pygal
from pygal.style import CleanStyle

from tests.bench.rows import Row

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


@dataclass
class Result:
    """All pairs of one row."""

    row: Row
    figures: list[float] = field(default_factory=list)
    parts: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Median of the pairwise ratios."""
        return statistics.median(figure / part for figure, part in zip(self.figures, self.parts, strict=True))

    def as_json(self) -> dict[str, Any]:
        """Return the result for machines."""
        return {
            "row": self.row.key,
            "unit": self.row.unit,
            "median": statistics.median(self.figures),
            "parts": statistics.median(self.parts),
            "ratio": self.ratio,
            "bound": self.row.bound,
            "met": self.row.met(self.ratio),
            "requests_per_s": statistics.median(self.rates) if self.rates else None,
            "pairs": list(zip(self.figures, self.parts, strict=True)),
        }


def table(results: list[Result], memory: dict[str, str]) -> str:
    """Return the Markdown page."""
    lines = [
        "# Benchmark",
        "",
        "Made by `make bench`. Each row stands beside the sum of its parts, measured alone in the same run, in turns;",
        "the ratio is the median over the pairs. CPU is user and system time of every process of the network,",
        "per request; everything is fsynced before it is acknowledged. Parts and bounds: `tests/bench/rows.py`.",
        "",
        f"Machine: {platform.machine()}, Python {platform.python_version()}. Figures belong to it, ratios travel.",
        "",
        "| work | figure | its parts | ratio | bound | | requests/s |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for result in results:
        row = result.row
        bound = f"≥ {row.bound:g} ×" if row.is_rate else f"≤ {row.bound:g} ×"
        mark = "met" if row.met(result.ratio) else "**missed**"
        rate = f"{statistics.median(result.rates):,.0f}" if result.rates else ""
        figure, parts = statistics.median(result.figures), statistics.median(result.parts)
        cells = (row.title, f"{figure:,.3g} {row.unit}", f"{parts:,.3g}", f"{result.ratio:.2f} ×", bound, mark, rate)
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "![ratios to the parts](benchmark.svg)", "", "## Memory, disk, start and overload", ""]
    lines += ["| what | figure |", "| --- | --- |"]
    lines += [f"| {what} | {figure} |" for what, figure in memory.items()]
    return "\n".join(lines) + "\n"


def chart(results: list[Result]) -> bytes:
    """Return an SVG: each row's ratio beside its bound."""
    bars = pygal.HorizontalBar(style=CleanStyle, title="Cost as a multiple of the parts (bound beside it)", height=420)
    bars.x_labels = [result.row.title for result in results]
    bars.add("measured", [round(result.ratio, 2) for result in results])
    bars.add("bound", [result.row.bound for result in results])
    rendered = bars.render(disable_xml_declaration=True)
    assert isinstance(rendered, str | bytes)
    return rendered.encode() if isinstance(rendered, str) else rendered


def write(results: list[Result], memory: dict[str, str]) -> None:
    """Write ``docs/benchmark.md``, ``.svg`` and ``.json``."""
    (DOCS / "benchmark.md").write_text(table(results, memory), encoding="utf-8")
    (DOCS / "benchmark.svg").write_bytes(chart(results))
    found = {"rows": [result.as_json() for result in results], "memory": memory}
    (DOCS / "benchmark.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
