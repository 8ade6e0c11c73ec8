"""Plans and arrivals: what is planned arrives, in order, and shared among processes it is the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice, pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.load.arrivals import Share, Spacing, arrivals
from operators.load.errors import BadPlan
from operators.load.plan import Phase, Plan, read_ramp, read_seconds
from operators.load.wishes import plan_of

RATES = st.floats(0, 30)
SECONDS = st.floats(0.1, 10)
PHASES = st.builds(Phase, RATES, RATES, SECONDS)
PLANS = st.lists(PHASES, min_size=1, max_size=4).filter(lambda p: sum(x.arrivals for x in p) >= 1).map(Plan.of)


def times(plan: Plan, spacing: Spacing, seed: int = 1, share: Share | None = None) -> list[float]:
    return list(arrivals(plan, spacing, Random(seed), share or Share()))


@settings(deadline=None)
@given(PLANS, st.floats(0, 1))
def test_the_time_of_an_arrival_is_when_so_many_are_due(plan: Plan, part: float) -> None:
    due = plan.arrivals * part
    time = plan.time_of(due)
    assert time is not None
    assert 0 <= time <= plan.seconds * (1 + 1e-9)
    assert plan.arrivals_by(time) == pytest.approx(due, rel=1e-6, abs=1e-6)


@settings(deadline=None)
@given(PLANS, st.floats(0, 1), st.floats(0, 1))
def test_arrivals_due_never_fall_and_grow_by_the_rate(plan: Plan, one: float, other: float) -> None:
    early, late = sorted((one * plan.seconds, other * plan.seconds))
    assert plan.arrivals_by(early) <= plan.arrivals_by(late) + 1e-9
    highest = max(max(phase.start, phase.end) for phase in plan.phases)
    assert plan.arrivals_by(late) - plan.arrivals_by(early) <= highest * (late - early) + 1e-6


@settings(deadline=None)
@given(PLANS)
def test_beyond_its_end_a_plan_has_nothing(plan: Plan) -> None:
    assert plan.time_of(plan.arrivals * 1.001 + 0.001) is None
    assert plan.rate_at(plan.seconds + 1) == plan.rate_at(-1) == 0
    assert plan.arrivals_by(plan.seconds + 1) == pytest.approx(plan.arrivals)


@settings(deadline=None)
@given(PLANS)
def test_even_arrivals_are_as_many_as_planned_and_as_dense(plan: Plan) -> None:
    found = times(plan, Spacing.CONSTANT)
    assert abs(len(found) - plan.arrivals) <= 1
    assert all(early <= late for early, late in pairwise(found))
    for number, time in enumerate(found):
        assert plan.arrivals_by(time) == pytest.approx(number + 0.5, abs=1e-5)


@settings(deadline=None)
@given(PLANS, st.integers(1, 6))
def test_shares_of_an_even_plan_are_together_the_whole_plan(plan: Plan, of: int) -> None:
    shares = [times(plan, Spacing.CONSTANT, share=Share(number, of)) for number in range(of)]
    assert sorted(time for share in shares for time in share) == times(plan, Spacing.CONSTANT)


@settings(deadline=None)
@given(PLANS, st.integers())
def test_the_same_seed_gives_the_same_arrivals_in_order(plan: Plan, seed: int) -> None:
    found = times(plan, Spacing.POISSON, seed)
    assert found == times(plan, Spacing.POISSON, seed)
    assert all(early <= late for early, late in pairwise(found))
    assert all(0 <= time <= plan.seconds * (1 + 1e-9) for time in found)


@pytest.mark.parametrize("of", [1, 3])
def test_poisson_arrivals_follow_a_ramp_and_scatter_as_chance_does(of: int) -> None:
    """Counts in stretches of equal expectation: mean and variance of a Poisson process are both that expectation."""
    plan = Plan.of([Phase(10, 200, 60), Phase(200, 200, 30), Phase(200, 0, 20)])
    found = sorted(t for n in range(of) for t in times(plan, Spacing.POISSON, 7 + n, Share(n, of)))
    assert len(found) == pytest.approx(plan.arrivals, abs=4 * math.sqrt(plan.arrivals))
    cells, counts = 300, [0] * 300
    for time in found:
        counts[min(cells - 1, int(plan.arrivals_by(time) / plan.arrivals * cells))] += 1
    expected = plan.arrivals / cells
    mean, variance = _moments(counts)
    assert mean == pytest.approx(expected, rel=0.05)
    # Of 300 cells: the standard error of variance over mean is sqrt(2/300), 8 %.
    assert variance / mean == pytest.approx(1, abs=0.35)
    even, even_variance = _moments(_cells(times(plan, Spacing.CONSTANT), plan, cells))
    assert even_variance / even < 0.1, "even arrivals would not pass for chance"


def _cells(found: Sequence[float], plan: Plan, cells: int) -> list[int]:
    counts = [0] * cells
    for time in found:
        counts[min(cells - 1, int(plan.arrivals_by(time) / plan.arrivals * cells))] += 1
    return counts


def _moments(counts: Sequence[int]) -> tuple[float, float]:
    mean = sum(counts) / len(counts)
    return mean, sum((count - mean) ** 2 for count in counts) / (len(counts) - 1)


def test_an_endless_plan_goes_on() -> None:
    plan = Plan.steady(20)
    assert list(islice(arrivals(plan, Spacing.CONSTANT, Random(1)), 3)) == pytest.approx([0.025, 0.075, 0.125])
    assert plan.time_of(1e6) == pytest.approx(50_000)
    assert math.isinf(plan.arrivals)


def test_what_is_written_is_read() -> None:
    assert read_ramp("10:200:60s") == Phase(10, 200, 60)
    assert read_seconds("1.5m") == 90
    assert Phase(10, 200, 60).text == "10:200:60s"


@pytest.mark.parametrize("text", ["", "10:20", "10:20:5", "a:20:5s", "10:20:5s:6", "-1:20:5s", "1:2e9:5s", "nan:1:5s"])
def test_what_is_no_ramp_is_refused(text: str) -> None:
    with pytest.raises(BadPlan):
        read_ramp(text)


@pytest.mark.parametrize(
    "phases",
    [[], [(0, 0, 5)], [(1, 1, 0)], [(1, 1, -1)], [(1, 2, math.inf)], [(1, 1, math.inf), (1, 1, 1)], [(1, 1, math.nan)]],
)
def test_a_plan_in_which_nothing_can_arrive_is_refused(phases: list[tuple[float, float, float]]) -> None:
    with pytest.raises(BadPlan):
        Plan.of(Phase(*phase) for phase in phases)


def test_options_amount_to_a_plan() -> None:
    ramp = Phase(10, 200, 60)
    assert plan_of(None, None, (), (20, 60)).phases == (Phase(20, 20, 60),)
    assert plan_of(50, 5, (), (20, 60)).phases == (Phase(50, 50, 5),)
    assert plan_of(None, None, (ramp,), (20, 60)).phases == (ramp,)
    assert plan_of(None, 30, (ramp,), (20, 60)).phases == (ramp, Phase(200, 200, 30))
    assert plan_of(90, 30, (ramp,), (20, 60)).phases == (ramp, Phase(90, 90, 30))
    assert plan_of(90, None, (ramp,), (20, 60)).phases == (ramp, Phase(90, 90, 60))
