"""Counting: latencies from the time due, and several processes' numbers added up are those of one."""

from __future__ import annotations

import json
from random import Random

import pytest

from operators.load.histograms import COARSE, Latencies
from operators.load.mix import Operation
from operators.load.outcomes import Outcome
from operators.load.tally import Ended, Tally, decode, encode


def fill(tallies: list[Tally], seed: int = 1) -> None:
    """Count the same two hundred requests, each in one of the tallies."""
    random = Random(seed)
    for number in range(200):
        tally = tallies[number % len(tallies)]
        operation = random.choice([*Operation])
        due = random.uniform(0, 20)
        tally.offered(operation, due, number % 7)
        if number % 10 == 0:
            tally.shed(operation, due)
            continue
        outcome = random.choice([Outcome.ACKNOWLEDGED, Outcome.ACKNOWLEDGED, Outcome.UNKNOWN, Outcome.FAILED])
        kind = "" if outcome is Outcome.ACKNOWLEDGED else random.choice(["timed_out", "absent"])
        began = due + random.uniform(0, 0.1)
        swarm = random.choice(["", "7f", "ff"])
        tally.ended(
            Ended(operation, outcome, kind, due, began, began + random.expovariate(3), swarm=swarm, tries=2, stored=100)
        )


def assert_same(one: Tally, other: Tally) -> None:
    assert encode(one) | {"intervals": 0} == encode(other) | {"intervals": 0}
    for mine, theirs in zip(one.intervals, other.intervals, strict=True):
        assert (mine.offered, mine.achieved, mine.errors) == (theirs.offered, theirs.achieved, theirs.errors)
        assert mine.latency.encode() == theirs.latency.encode()


def test_what_several_processes_counted_adds_up_to_what_one_would_have() -> None:
    alone, parts = Tally(0.5), [Tally(0.5) for _ in range(3)]
    fill([alone])
    fill(parts)
    whole = Tally(0.5)
    for part in parts:
        whole.add(decode(json.loads(json.dumps(encode(part)))))
    assert_same(alone, whole)
    assert alone.total("offered") == 200
    assert sum(alone.total(outcome) for outcome in Outcome) == 200
    assert alone.tries == 360
    assert alone.errors.total() == 200 - alone.total(Outcome.ACKNOWLEDGED)
    assert sum(interval.offered for interval in alone.intervals) == 200
    assert sum(interval.achieved for interval in alone.intervals) == alone.total(Outcome.ACKNOWLEDGED)
    assert sum(len(interval.latency) for interval in alone.intervals) == len(alone.latency()) == 180


def test_a_latency_counts_from_the_time_due_and_belongs_to_it() -> None:
    tally = Tally(1.0)
    tally.offered(Operation.STORE, 0.4, 0)
    tally.ended(Ended(Operation.STORE, Outcome.ACKNOWLEDGED, "", due=0.4, began=2.3, ended=2.4))
    numbers = tally.operations[Operation.STORE]
    assert numbers.latency.largest == pytest.approx(2000, rel=0.01)
    assert numbers.service.largest == pytest.approx(100, rel=0.01)
    assert tally.late.largest == pytest.approx(1900, rel=0.01)
    assert [len(interval.latency) for interval in tally.intervals] == [1, 0, 0]
    assert [interval.achieved for interval in tally.intervals] == [0, 0, 1]


@pytest.mark.parametrize("digits", [2, 3])
def test_percentiles_are_right_to_their_digits(digits: int) -> None:
    latencies = Latencies(digits)
    for value in range(1, 10_001):
        latencies.record(value / 1000)
    for percentile in (50, 90, 99, 99.9):
        assert latencies.at(percentile) == pytest.approx(percentile * 100, rel=10**-digits * 2)
    assert latencies.largest == pytest.approx(10_000, rel=10**-digits * 2)
    again = Latencies.decode(latencies.encode(), digits)
    assert again.summary() == latencies.summary()


def test_no_values_have_no_percentiles_and_too_long_ones_count_as_the_longest() -> None:
    empty = Latencies(COARSE)
    assert empty.summary() == {"count": 0, **dict.fromkeys(("p50", "p90", "p99", "p999", "mean", "max"))}
    assert Latencies.decode(empty.encode(), COARSE).summary() == empty.summary()
    empty.record(10_000)
    empty.record(0)
    assert len(empty) == 2
    assert empty.largest == pytest.approx(600_000, rel=0.01)
