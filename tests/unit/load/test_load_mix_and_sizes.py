"""What accounts do and how much they write."""

from __future__ import annotations

from collections import Counter
from random import Random
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naisho.protocol.limits import MAX_DATA_BYTES
from operators.load.errors import BadPlan
from operators.load.mix import Mix, Operation
from operators.load.sizes import Sizes


def test_operations_are_drawn_by_their_weights() -> None:
    mix = Mix.parse("store=6, retrieve=3,delete=1,extend=0")
    random = Random(4)
    counts = Counter(mix.draw(random) for _ in range(20_000))
    assert counts[Operation.STORE] == pytest.approx(12_000, rel=0.03)
    assert counts[Operation.RETRIEVE] == pytest.approx(6_000, rel=0.05)
    assert counts[Operation.DELETE] == pytest.approx(2_000, rel=0.1)
    assert Operation.EXTEND not in counts


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(list(Operation)), st.integers(0, 1000), min_size=1))
def test_a_mix_is_read_back_as_it_is_written(weights: dict[Operation, int]) -> None:
    if not any(weights.values()):
        with pytest.raises(BadPlan):
            Mix(weights)
        return
    assert Mix.parse(Mix(weights).text) == Mix(weights)


@pytest.mark.parametrize(
    "text", ["", "store", "store=", "store=x", "send=1", "store=0", "store=-1,retrieve=2", "store=inf"]
)
def test_what_is_no_mix_is_refused(text: str) -> None:
    with pytest.raises(BadPlan):
        Mix.parse(text)


@settings(deadline=None)
@given(st.integers(1, MAX_DATA_BYTES), st.integers(1, MAX_DATA_BYTES), st.integers())
def test_sizes_lie_where_they_are_wanted(one: int, other: int, seed: int) -> None:
    low, high = sorted((one, other))
    random = Random(seed)
    assert Sizes.parse(str(one)).draw(random) == one
    assert all(low <= Sizes.parse(f"{low}-{high}").draw(random) <= high for _ in range(20))
    assert all(Sizes.parse(f"{low}*3,{high}").draw(random) in {low, high} for _ in range(20))
    assert all(1 <= Sizes.parse(f"lognormal:{one}:3").draw(random) <= MAX_DATA_BYTES for _ in range(20))


def test_distributions_have_their_shape() -> None:
    random = Random(5)
    lengths = [Sizes.parse("lognormal:1000:0.8").draw(random) for _ in range(4_000)]
    assert median(lengths) == pytest.approx(1000, rel=0.1)
    assert max(lengths) > 5_000
    weighted = Counter(Sizes.parse("512*6,8192*3,100").draw(random) for _ in range(10_000))
    assert weighted[512] == pytest.approx(6_000, rel=0.05)
    assert weighted[100] == pytest.approx(1_000, rel=0.15)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "0",
        "76801",
        "-5",
        "5-",
        "9-3",
        "1-76801",
        "lognormal:1",
        "lognormal:1:9",
        "lognormal:0:1",
        "5*0",
        "5*-1,6*2",
    ],
)
def test_what_are_no_sizes_is_refused(text: str) -> None:
    with pytest.raises(BadPlan):
        Sizes.parse(text)
