"""Whatever commands take: the limit keeps its bounds, and comes back."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.swarm.domain.admission import AdaptiveLimit

BOUNDS = st.tuples(st.integers(1, 5000), st.integers(1, 5000)).map(sorted)
PATIENCE = st.floats(0.001, 10.0)
#: Seconds since the one before, seconds that it took, how many were under way.
ENDED = st.tuples(st.floats(0.0, 5.0), st.floats(0.0, 1e6), st.integers(1, 5000))


@given(bounds=BOUNDS, patience_s=PATIENCE, ended=st.lists(ENDED, max_size=200))
def test_the_limit_keeps_its_bounds_and_moves_in_steps(
    bounds: list[int], patience_s: float, ended: list[tuple[float, float, int]]
) -> None:
    least, most = bounds
    limit = AdaptiveLimit(least=least, most=most, patience_s=patience_s)
    values, now = [limit.value], 0.0
    for pause, took_s, under_way in ended:
        now += pause
        limit.learn(now, took_s, under_way)
        values.append(limit.value)
    assert all(least <= value <= most for value in values)
    # Values are rounded down, what they are made of is not.
    assert all(0.5 * before - 1 <= value <= 1.5 * (before + 1) for before, value in pairwise(values))


@given(bounds=BOUNDS, patience_s=PATIENCE, ended=st.lists(ENDED, max_size=100))
def test_whatever_was_a_server_that_is_fast_again_gets_all(
    bounds: list[int], patience_s: float, ended: list[tuple[float, float, int]]
) -> None:
    least, most = bounds
    limit = AdaptiveLimit(least=least, most=most, patience_s=patience_s)
    now = 0.0
    for pause, took_s, under_way in ended:
        now += pause
        limit.learn(now, took_s, under_way)
    for _ in range(400):
        now += 0.1
        limit.learn(now, patience_s / 10, limit.value)
    assert limit.value == most
