"""What a run came to, as one JSON document: everything that the report shows, and nothing that it does not. Pure.

The report is made from this document alone, so its numbers are the same. The schema is described in
``docs/operating/load.md``; ``version`` grows when a reader would have to change.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from operators.load.checking import Findings
from operators.load.outcomes import SHED, Outcome
from operators.load.plan import Plan
from operators.load.tally import OfOperation, OfSwarm, Tally

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run must keep to pass, besides losing nothing: bounds that were given.

    Attributes:
        error_rate: share of all requests that may not be acknowledged, 0 to 1.
        p99_ms: latency that a hundredth of all requests may exceed.

    """

    error_rate: float | None = None
    p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is said of a run besides its numbers.

    Attributes:
        network: its id.
        grade: its label.
        nodes: how many nodes the directory listed at the end.
        began_ms: Unix ms.
        seconds: from the first arrival to the last answer.
        cpu_s: what each generating process used of its core meanwhile.
        complete: the whole plan was carried out.
        options: as they were given, for people.

    """

    network: str
    grade: str
    nodes: int
    began_ms: int
    seconds: float
    cpu_s: Sequence[float]
    complete: bool
    options: Mapping[str, Any]


def document(
    facts: Facts,
    plan: Plan,
    tally: Tally,
    *,
    findings: Findings | None,
    resources: Mapping[str, Any],
    wanted: Wanted,
) -> dict[str, Any]:
    """Return the document.

    Args:
        facts: see there.
        plan: the rates that were planned.
        tally: what was counted.
        findings: of the check after the run; ``None`` if there was none.
        resources: CPU and memory by process.
        wanted: bounds to keep.
    """
    made: dict[str, Any] = {
        "naisho_load": VERSION,
        "network": {"id": facts.network, "grade": facts.grade, "nodes": facts.nodes},
        "began_ms": facts.began_ms,
        "seconds": round(facts.seconds, 3),
        "complete": facts.complete,
        "options": dict(facts.options),
        "totals": _totals(tally, min(facts.seconds, plan.seconds) or 1.0),
        "generator": _generator(facts, tally.total("offered") - tally.total(Outcome.SHED)),
        "latency_ms": tally.latency().summary(),
        "late_ms": tally.late.summary(),
        "operations": {str(name): _operation(each) for name, each in tally.operations.items()},
        "errors": dict(sorted(tally.errors.items(), key=lambda item: (-item[1], item[0]))),
        "series": _series(plan, tally),
        "swarms": _swarms(tally),
        "resources": dict(resources),
        "check": None if findings is None else findings.document(),
    }
    return made | {"verdict": _verdict(made, wanted)}


def _totals(tally: Tally, seconds: float) -> dict[str, Any]:
    offered, done = tally.total("offered"), tally.total(Outcome.ACKNOWLEDGED)
    outcomes = {str(outcome): tally.total(outcome) for outcome in Outcome}
    return {
        "offered": offered,
        **outcomes,
        "error_rate": round(1 - done / offered, 6) if offered else 0.0,
        "offered_rate": round(offered / seconds, 2),
        "achieved_rate": round(done / seconds, 2),
        "tries": tally.tries,
    }


def _generator(facts: Facts, sent: int) -> dict[str, Any]:
    """Return what making the load cost; a process that is busy all the time is what was measured, not the network."""
    return {
        "processes": len(facts.cpu_s),
        "us_per_request": round(sum(facts.cpu_s) / sent * 1e6, 1) if sent else None,
        "busiest": round(max(facts.cpu_s, default=0.0) / facts.seconds, 3) if facts.seconds else 0.0,
    }


def _operation(each: OfOperation) -> dict[str, Any]:
    outcomes = {name: each.outcomes[name] for name in ("offered", *map(str, Outcome))}
    return {**outcomes, "latency_ms": each.latency.summary(), "service_ms": each.service.summary()}


def _series(plan: Plan, tally: Tally) -> dict[str, Any]:
    width, intervals = tally.width, tally.intervals
    kinds = sorted(tally.errors, key=lambda kind: (kind != SHED, kind))
    return {
        "width_s": width,
        "at_s": [at * width for at in range(len(intervals))],
        "planned": [_planned(plan, at * width, width) for at in range(len(intervals))],
        "offered": [round(each.offered / width, 3) for each in intervals],
        "achieved": [round(each.achieved / width, 3) for each in intervals],
        "under_way": [each.under_way for each in intervals],
        "p50_ms": [each.latency.at(50) for each in intervals],
        "p90_ms": [each.latency.at(90) for each in intervals],
        "p99_ms": [each.latency.at(99) for each in intervals],
        "max_ms": [each.latency.largest for each in intervals],
        "errors": {kind: [each.errors[kind] for each in intervals] for kind in kinds},
    }


def _planned(plan: Plan, begin: float, width: float) -> float:
    """Return the mean rate that was planned for a stretch of time."""
    end = begin + width
    due = plan.arrivals_by(end) - plan.arrivals_by(begin)
    return round(due / width, 3) if math.isfinite(due) else 0.0


def _swarms(tally: Tally) -> dict[str, Any]:
    whole = sum(swarm.operations for swarm in tally.swarms.values()) or 1

    def show(swarm: OfSwarm) -> dict[str, Any]:
        return {
            "operations": swarm.operations,
            "share": round(swarm.operations / whole, 4),
            "acknowledged": swarm.acknowledged,
            "stored_bytes": swarm.stored_bytes,
            "p50_ms": swarm.latency.at(50),
            "p99_ms": swarm.latency.at(99),
        }

    return {name: show(tally.swarms[name]) for name in sorted(tally.swarms, key=lambda name: int(name, 16))}


def _verdict(made: Mapping[str, Any], wanted: Wanted) -> dict[str, Any]:
    """Return whether the run passed, and each reason why not by a name that the catalogs explain."""
    check, p99 = made["check"], made["latency_ms"]["p99"]
    reasons = []
    if check is not None:
        reasons += [name for name in ("lost", "undone_deletions", "unread_messages") if check[name]]
    if not made["totals"][Outcome.ACKNOWLEDGED]:
        reasons.append("nothing_acknowledged")
    if wanted.error_rate is not None and made["totals"]["error_rate"] > wanted.error_rate:
        reasons.append("error_rate")
    if wanted.p99_ms is not None and (p99 is None or p99 > wanted.p99_ms):
        reasons.append("p99")
    return {"passed": not reasons, "reasons": reasons, "max_error_rate": wanted.error_rate, "max_p99_ms": wanted.p99_ms}
