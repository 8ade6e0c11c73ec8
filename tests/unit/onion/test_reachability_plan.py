from __future__ import annotations

from collections import Counter
from random import Random

from services.onion.domain.reachability import TestPlan

NODES = [bytes([i]) * 32 for i in range(10)]


def plan() -> TestPlan:
    return TestPlan(10, 10, 120, Random(7))


def test_a_random_node_every_ten_seconds_on_average() -> None:
    tests = plan()
    tested: Counter[bytes] = Counter()
    now = 0.0
    while now < 10_000:
        for node in tests.due(NODES, now):
            tested[node] += 1
            tests.record(node, now, passed=True)
        assert tests.next_time() > now
        now = tests.next_time()
    assert 900 < tested.total() < 1100
    assert set(tested) == set(NODES)


def test_a_failing_node_is_tested_again_ever_more_rarely() -> None:
    tests = TestPlan(10_000, 10, 120, Random(7))
    node = NODES[0]
    assert tests.due([node], 0) == [node]
    now, waits = 0.0, []
    for _ in range(20):
        tests.record(node, now, passed=False)
        assert tests.failing(node)
        waits.append(tests.next_time() - now)
        now = tests.next_time()
        if now < 1000:
            assert tests.due([node], now) == [node]
    assert waits[:12] == [10 * i for i in range(1, 13)]
    assert set(waits[12:]) == {120}
    tests.record(node, now, passed=True)
    assert not tests.failing(node)


def test_at_most_four_retests_at_once() -> None:
    tests = plan()
    for node in NODES:
        tests.record(node, 0, passed=False)
    assert len(tests.due(NODES, 1000)) == 4


def test_a_node_that_left_is_forgotten() -> None:
    tests = plan()
    tests.record(NODES[0], 0, passed=False)
    tests.due(NODES[1:], 1)
    assert not tests.failing(NODES[0])


def test_nobody_to_test() -> None:
    assert plan().due([], 5) == []
