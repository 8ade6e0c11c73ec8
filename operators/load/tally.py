"""What a run counts while it runs: by operation, by stretch of time, by swarm. Pure.

Every latency counts from the time at which the request was due by the plan, not from when it was sent: a network that
stands still for a second is seen by all who came in that second (no coordinated omission). The time from sending is
kept beside it, and how late this program itself was.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from operators.load.histograms import COARSE, FINE, Latencies
from operators.load.mix import Operation
from operators.load.outcomes import SHED, Outcome


class Ended(NamedTuple):
    """One request that came to its end; times in seconds since the beginning of the run.

    Attributes:
        operation: what it was.
        outcome: what became of it.
        kind: of the error; empty if it was acknowledged.
        due: when it was to be sent by the plan.
        began: when it was.
        ended: when its end was known.
        swarm: hex id of the swarm that it went to; empty if none was known.
        tries: how many times it was sent.
        stored: bytes of the message, for an acknowledged store.

    """

    operation: Operation
    outcome: Outcome
    kind: str
    due: float
    began: float
    ended: float
    swarm: str = ""
    tries: int = 1
    stored: int = 0


@dataclass(slots=True)
class OfOperation:
    """One kind of operation."""

    outcomes: Counter[str] = field(default_factory=Counter)
    latency: Latencies = field(default_factory=Latencies)
    service: Latencies = field(default_factory=Latencies)


@dataclass(slots=True)
class Interval:
    """A stretch of time: what was due in it, what came to its end in it, and how long what was due in it took."""

    offered: int = 0
    achieved: int = 0
    under_way: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    latency: Latencies = field(default_factory=lambda: Latencies(COARSE))


@dataclass(slots=True)
class OfSwarm:
    """What went to one swarm."""

    operations: int = 0
    acknowledged: int = 0
    stored_bytes: int = 0
    latency: Latencies = field(default_factory=lambda: Latencies(COARSE))


@dataclass(slots=True)
class Tally:
    """All of it.

    Args:
        width: seconds of one interval.

    """

    width: float = 1.0
    operations: dict[Operation, OfOperation] = field(default_factory=dict)
    intervals: list[Interval] = field(default_factory=list)
    swarms: dict[str, OfSwarm] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    late: Latencies = field(default_factory=Latencies)
    tries: int = 0

    def offered(self, operation: Operation, due: float, under_way: int) -> None:
        """A request was due."""
        self._operation(operation).outcomes["offered"] += 1
        interval = self._interval(due)
        interval.offered += 1
        interval.under_way = max(interval.under_way, under_way)

    def shed(self, operation: Operation, due: float) -> None:
        """A request was not sent because too many were under way."""
        self._operation(operation).outcomes[Outcome.SHED] += 1
        self.errors[SHED] += 1
        self._interval(due).errors[SHED] += 1

    def ended(self, request: Ended) -> None:
        """A request came to its end."""
        taken = request.ended - request.due
        of_operation = self._operation(request.operation)
        of_operation.outcomes[request.outcome] += 1
        of_operation.latency.record(taken)
        of_operation.service.record(request.ended - request.began)
        self._interval(request.due).latency.record(taken)
        self.late.record(max(0.0, request.began - request.due))
        self.tries += request.tries
        done = request.outcome is Outcome.ACKNOWLEDGED
        interval = self._interval(request.ended)
        if done:
            interval.achieved += 1
        else:
            self.errors[request.kind] += 1
            interval.errors[request.kind] += 1
        if request.swarm:
            swarm = self._swarm(request.swarm)
            swarm.operations += 1
            swarm.acknowledged += done
            swarm.stored_bytes += request.stored
            swarm.latency.record(taken)

    def total(self, outcome: str) -> int:
        """Return how many requests came to an end of a kind, or were ``offered``."""
        return sum(each.outcomes[outcome] for each in self.operations.values())

    def latency(self) -> Latencies:
        """Return the latencies of all operations together."""
        whole = Latencies(FINE)
        for each in self.operations.values():
            whole.add(each.latency)
        return whole

    def add(self, other: Self) -> None:
        """Add what another generating process counted; its intervals must be as wide and begin at the same time."""
        for name, theirs in other.operations.items():
            ours = self._operation(name)
            ours.outcomes.update(theirs.outcomes)
            ours.latency.add(theirs.latency)
            ours.service.add(theirs.service)
        for at, interval in enumerate(other.intervals):
            mine = self._interval(at * self.width)
            mine.offered += interval.offered
            mine.achieved += interval.achieved
            mine.under_way += interval.under_way
            mine.errors.update(interval.errors)
            mine.latency.add(interval.latency)
        for swarm_id, swarm in other.swarms.items():
            known = self._swarm(swarm_id)
            known.operations += swarm.operations
            known.acknowledged += swarm.acknowledged
            known.stored_bytes += swarm.stored_bytes
            known.latency.add(swarm.latency)
        self.errors.update(other.errors)
        self.late.add(other.late)
        self.tries += other.tries

    def _operation(self, operation: Operation) -> OfOperation:
        # No setdefault: a histogram is dear to make in vain.
        if (known := self.operations.get(operation)) is None:
            known = self.operations[operation] = OfOperation()
        return known

    def _swarm(self, name: str) -> OfSwarm:
        if (known := self.swarms.get(name)) is None:
            known = self.swarms[name] = OfSwarm()
        return known

    def _interval(self, seconds: float) -> Interval:
        # A hair is added so that the beginning of an interval is not rounded into the one before.
        at = max(0, int(seconds / self.width + 1e-9))
        while len(self.intervals) <= at:
            self.intervals.append(Interval())
        return self.intervals[at]


def encode(tally: Tally) -> dict[str, Any]:
    """Return a tally as JSON values, to hand it from one process to another."""
    return {
        "width": tally.width,
        "operations": {
            name: [dict(each.outcomes), each.latency.encode(), each.service.encode()]
            for name, each in tally.operations.items()
        },
        "intervals": [
            [each.offered, each.achieved, each.under_way, dict(each.errors), each.latency.encode()]
            for each in tally.intervals
        ],
        "swarms": {
            name: [each.operations, each.acknowledged, each.stored_bytes, each.latency.encode()]
            for name, each in tally.swarms.items()
        },
        "errors": dict(tally.errors),
        "late": tally.late.encode(),
        "tries": tally.tries,
    }


def decode(values: dict[str, Any]) -> Tally:
    """Return the tally that was encoded."""
    return Tally(
        values["width"],
        {
            Operation(name): OfOperation(Counter(outcomes), Latencies.decode(latency), Latencies.decode(service))
            for name, (outcomes, latency, service) in values["operations"].items()
        },
        [
            Interval(offered, achieved, under_way, Counter(errors), Latencies.decode(latency, COARSE))
            for offered, achieved, under_way, errors, latency in values["intervals"]
        ],
        {
            name: OfSwarm(operations, acknowledged, stored, Latencies.decode(latency, COARSE))
            for name, (operations, acknowledged, stored, latency) in values["swarms"].items()
        },
        Counter(values["errors"]),
        Latencies.decode(values["late"]),
        values["tries"],
    )
