from __future__ import annotations

import random

import pytest

from services.chassis.limits import TokenBuckets


class Hand:
    """Time, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def buckets(hand: Hand, burst: float = 6, per_second: float = 3, keys: int = 8) -> TokenBuckets[str]:
    return TokenBuckets(burst, per_second, keys, hand)


def test_a_burst_then_the_rate() -> None:
    hand = Hand()
    table = buckets(hand)
    assert [table.take("a") for _ in range(8)] == [True] * 6 + [False] * 2
    hand.now += 1.001
    assert [table.take("a") for _ in range(5)] == [True] * 3 + [False] * 2
    hand.now += 100
    assert [table.take("a") for _ in range(8)] == [True] * 6 + [False] * 2
    assert table.refused == 6


def test_the_defaults_are_six_hundred_at_once_and_three_hundred_a_second() -> None:
    hand = Hand()
    table: TokenBuckets[str] = TokenBuckets(monotonic=hand)
    assert sum(table.take("a") for _ in range(1000)) == 600
    hand.now += 1.0001
    assert sum(table.take("a") for _ in range(1000)) == 300


def test_refusals_cost_nothing() -> None:
    hand = Hand()
    table = buckets(hand)
    for _ in range(100):
        table.take("a")
    hand.now += 1 / 3 + 0.001
    assert table.take("a")


def test_several_tokens_are_taken_together_or_not_at_all() -> None:
    table = buckets(Hand())
    assert not table.take("a", 7)
    assert table.take("a", 5)
    assert not table.take("a", 2)
    assert table.take("a", 1)


def test_keys_are_apart() -> None:
    table = buckets(Hand())
    assert all(table.take(key) for key in ("a", "b") for _ in range(6))
    assert not table.take("a")
    assert not table.take("b")


def test_nobody_is_forgotten_before_its_bucket_is_full_again() -> None:
    """Against a table that forgets nothing, under random load: every answer is the same."""
    draw = random.Random(3)
    hand = Hand()
    small = buckets(hand, keys=10_000)
    endless: dict[str, TokenBuckets[str]] = {}
    for _ in range(20_000):
        hand.now += draw.expovariate(30)
        key = f"k{draw.randrange(12)}"
        if key not in endless:
            endless[key] = TokenBuckets(6, 3, 1, hand)
        # The reference never turns its table: one bucket, kept by hand.
        reference = endless[key]
        reference._turned = hand.now
        assert small.take(key) == reference.take(key)


def test_the_table_is_bounded_and_its_overflow_shares_one_bucket() -> None:
    hand = Hand()
    table = buckets(hand)
    known = [f"known {n}" for n in range(8)]
    for key in known:
        assert table.take(key, 6)
    newcomers = [table.take(f"new {n}") for n in range(100)]
    assert newcomers == [True] * 6 + [False] * 94
    assert len(table) == 8
    assert not any(table.take(key) for key in known)


def test_a_flood_of_keys_cannot_reset_a_bucket() -> None:
    hand = Hand()
    table = buckets(hand)
    allowed = 0
    for step in range(400):  # ten seconds
        hand.now += 0.025
        allowed += table.take("attacker")
        for n in range(5):
            table.take(f"flood {step} {n}")
        assert len(table) <= 8
    assert allowed <= 6 + 3 * 10 + 1


def test_newcomers_get_in_again_when_the_flood_is_over() -> None:
    hand = Hand()
    table = buckets(hand)
    for n in range(50):
        table.take(f"flood {n}")
    hand.now += 4.1
    assert [table.take("late") for _ in range(7)] == [True] * 6 + [False]
    hand.now += 10
    table.take("later")
    assert len(table) == 1


@pytest.mark.parametrize(("burst", "rate", "keys"), [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_senseless_tables_are_refused(burst: float, rate: float, keys: int) -> None:
    with pytest.raises(ValueError, match="needs room"):
        TokenBuckets(burst, rate, keys)
