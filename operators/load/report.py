"""The report: one HTML file that needs nothing else. Pure, and made from the JSON twin alone, which it carries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined

from naisho.texts import Texts
from operators.load.charts import plots

TEMPLATE = "page.html.j2"


def render(twin: Mapping[str, Any], texts: Texts) -> str:
    """Return the report of a run as HTML text.

    Args:
        twin: see `operators.load.twin`.
        texts: the reader's language.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = number
    source = resources.files("operators.load").joinpath(TEMPLATE).read_text(encoding="utf-8")
    began = datetime.fromtimestamp(twin["began_ms"] / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return environment.from_string(source).render(
        twin=twin,
        t=texts,
        language=texts.language,
        began=began,
        plots=plots(twin, texts),
        # Inside a script element nothing is an entity, so what would end it is written another way.
        numbers=json.dumps(twin, separators=(",", ":")).replace("<", "\\u003c"),
    )


def number(value: float | None) -> str:
    """Return a number for people; a dash for none.

    >>> number(12345.678), number(0.5), number(None)
    ('12,345.678', '0.5', '–')
    """
    if value is None:
        return "–"
    return f"{value:,.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else f"{value:,}"
