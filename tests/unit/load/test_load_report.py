"""The report and its JSON twin: one set of numbers, in one file that needs nothing else."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import pytest

from naisho.texts import LANGUAGES
from operators.load import texts as catalogs
from operators.load import twin
from operators.load.charts import plots
from operators.load.checking import Findings
from operators.load.mix import Operation
from operators.load.outcomes import Outcome
from operators.load.plan import Phase, Plan
from operators.load.report import number, render
from operators.load.resources import Curve, Usage
from operators.load.tally import Ended, Tally

PLAN = Plan.of([Phase(5, 15, 10), Phase(15, 15, 10)])
ENGLISH = catalogs.load("en")


def facts() -> twin.Facts:
    return twin.Facts(
        "net-1 <b>",
        "single-operator",
        15,
        1_795_000_000_000,
        20.5,
        cpu_s=(0.1, 0.3),
        complete=True,
        options={"rate": 15},
    )


def tally() -> Tally:
    made = Tally(1.0)
    for at in range(200):
        due = at / 10
        operation = Operation.STORE if at % 3 else Operation.RETRIEVE
        made.offered(operation, due, at % 5)
        if at % 50 == 7:
            made.shed(operation, due)
            continue
        unknown = at % 40 == 9
        outcome = Outcome.UNKNOWN if unknown else Outcome.ACKNOWLEDGED
        swarm = "7fffffffffffff" if at % 4 else "80ffffffffffffff"
        kind = "timed_out" if unknown else ""
        made.ended(Ended(operation, outcome, kind, due, due + 0.001, due + 0.02 + at / 1000, swarm=swarm, stored=9))
    return made


def document(findings: Findings | None = None, **wanted: float) -> dict[str, Any]:
    curve = Curve()
    for second in range(5):
        curve.add(second, Usage(50e6 + second, cpu_s=second * 0.5))
    resources = {"load": curve.document(), "nats": curve.document()}
    clean = Findings(messages=120, copies=600, deletions=3, seconds=1.5)
    found = clean if findings is None else findings
    return twin.document(facts(), PLAN, tally(), findings=found, resources=resources, wanted=twin.Wanted(**wanted))


class Page(HTMLParser):
    """The tables of a page by their ids, its scripts, and whatever it would fetch from elsewhere."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.fetched: list[str] = []
        self.numbers = ""
        self.plots = 0
        self._table: list[list[str]] | None = None
        self._in: str = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.fetched += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href", "srcset"}]
        self._in = tag
        self.plots += tag == "svg"
        if tag == "script":
            assert given["type"] == "application/json", "nothing is carried out"
        if tag == "table":
            self._table = self.tables.setdefault(given.get("id") or "", [])
        if self._table is not None and tag == "tr":
            self._table.append([])
        if self._table is not None and tag in {"td", "th"}:
            self._table[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._in = ""
        if tag == "table":
            self._table = None

    def handle_data(self, data: str) -> None:
        if self._in == "script":
            self.numbers += data
        if self._table is not None and self._in in {"td", "th"}:
            self._table[-1][-1] += data


def numbers(values: Mapping[str, Any], *names: str) -> list[str]:
    return [number(values[name]) for name in names]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_report_shows_the_numbers_of_its_twin(language: str) -> None:
    made = document()
    page = Page(render(made, catalogs.load(language)))
    assert json.loads(page.numbers) == json.loads(json.dumps(made))
    outcomes = ("offered", "acknowledged", "failed", "unknown", "shed")
    rates = ("offered_rate", "achieved_rate", "error_rate", "tries")
    assert page.tables["totals"][1] == numbers(made["totals"], *outcomes, *rates)
    summary = ("count", "p50", "p90", "p99", "p999", "mean", "max")
    store = made["operations"]["store"]
    assert numbers(store["latency_ms"], *summary) in [row[1:] for row in page.tables["latencies"]]
    assert page.tables["latencies"][-2][1:] == numbers(made["latency_ms"], *summary)
    assert numbers(store, *outcomes) in [row[1:] for row in page.tables["operations"]]
    assert page.tables["errors"] == [[kind, number(count)] for kind, count in made["errors"].items()]
    swarm = ("operations", "share", "acknowledged", "stored_bytes", "p50_ms", "p99_ms")
    assert page.tables["swarms"][1:] == [[name, *numbers(each, *swarm)] for name, each in made["swarms"].items()]
    check = ("messages", "copies", "deletions", "lost", "undone_deletions", "unread_members", "unread_messages")
    assert page.tables["check"][1] == numbers(made["check"], *check, "seconds")


def test_the_report_is_one_file_that_fetches_and_runs_nothing() -> None:
    html = render(document(), ENGLISH)
    page = Page(html)
    assert page.plots == 7
    assert not page.fetched
    assert "net-1 <b>" not in html
    assert not re.findall(r"url\(|@import|javascript:", html)


def test_the_twin_adds_up() -> None:
    made = document()
    totals, series = made["totals"], made["series"]
    assert totals["offered"] == 200 == sum(totals[str(outcome)] for outcome in Outcome)
    assert totals["error_rate"] == pytest.approx(1 - totals["acknowledged"] / 200)
    assert totals["offered_rate"] == pytest.approx(10)
    assert sum(series["offered"]) == 200
    assert sum(series["achieved"]) == totals["acknowledged"]
    assert sum(series["planned"]) == pytest.approx(PLAN.arrivals)
    assert {kind: sum(counts) for kind, counts in series["errors"].items()} == made["errors"]
    assert {len(values) for name, values in series.items() if isinstance(values, list)} == {len(series["at_s"])}
    assert sum(swarm["share"] for swarm in made["swarms"].values()) == pytest.approx(1, abs=1e-3)
    assert made["generator"] == {"processes": 2, "us_per_request": 2040.8, "busiest": 0.015}
    assert made["resources"]["load"]["cpu_percent"] == [None, 50.0, 50.0, 50.0, 50.0]


@pytest.mark.parametrize(
    ("findings", "reason"),
    [
        (Findings(lost=1, messages=5), "lost"),
        (Findings(undone=1, messages=5), "undone_deletions"),
        (Findings(unread_messages=1), "unread_messages"),
    ],
)
def test_a_promise_that_was_not_kept_fails_the_run(findings: Findings, reason: str) -> None:
    made = document(findings)
    assert made["verdict"] == {"passed": False, "reasons": [reason], "max_error_rate": None, "max_p99_ms": None}
    assert ENGLISH(f"reasons.{reason}") in render(made, ENGLISH)


def test_bounds_are_kept_or_not() -> None:
    made = document()
    rate, p99 = made["totals"]["error_rate"], made["latency_ms"]["p99"]
    assert made["verdict"]["passed"]
    assert document(error_rate=rate, p99_ms=p99)["verdict"]["passed"]
    assert document(error_rate=rate / 2)["verdict"]["reasons"] == ["error_rate"]
    assert document(p99_ms=p99 - 1)["verdict"]["reasons"] == ["p99"]


def test_a_run_without_any_answer_is_no_success_and_still_has_a_report() -> None:
    made = twin.document(facts(), PLAN, Tally(), findings=None, resources={}, wanted=twin.Wanted(p99_ms=5))
    assert made["verdict"]["reasons"] == ["nothing_acknowledged", "p99"]
    page = Page(render(made, ENGLISH))
    assert "check" not in page.tables
    assert page.plots == 7


def test_plotting_leaves_no_hooks_behind() -> None:
    plots(document(), ENGLISH)
    assert not [finder for finder in sys.meta_path if "pygal" in type(finder).__module__]


def test_plots_hold_every_line_by_its_name() -> None:
    rate, latency, _, errors, swarms, cpu, memory = plots(document(), ENGLISH)
    for name in ("planned", "offered", "achieved"):
        assert f">{ENGLISH(f'lines.{name}')}<" in rate
    for name in ("p50_ms", "p90_ms", "p99_ms", "max_ms"):
        assert f">{ENGLISH(f'lines.{name}')}<" in latency
    assert {">20<", ">50<", ">100<", ">200<"} <= set(re.findall(r">\d+<", latency))
    assert ">timed_out<" in errors
    assert ">shed<" in errors
    assert ">7fffffffffffff<" in swarms
    assert ">nats<" in cpu
    assert ">nats<" in memory
