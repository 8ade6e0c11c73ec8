"""What a pool's size follows: loads, bytes, bounds, waits, and what is not known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from operators.membership.domain.pool.scaling import Decision, Fleet, Measured, Movement, Reason, decide
from operators.membership.domain.pool.scaling_policy import ScalingPolicy, Targets, read_policy, read_quantity
from operators.membership.domain.pool.scaling_window import AVERAGED_MS, LONGEST_SPAN_MS, Load, Sample, Window
from operators.membership.domain.pool.spec import PoolSpec

SCRAPE_MS = 15_000
START_MS = 1_800_000_000_000
GIB = 1 << 30
POLICY = ScalingPolicy(12, 30, Targets(stores_per_s=100))


def fleet(size: int, *, swarms: int = 2, **more: Any) -> Fleet:
    return Fleet(size, frozenset(f"net-{n}" for n in range(size)), swarms, **more)


class Nodes:
    """Nodes that work, and are scraped into a window."""

    def __init__(self, names: frozenset[str], policy: ScalingPolicy = POLICY) -> None:
        self.window = Window.over(policy.stabilization_ms)
        self.now_ms = START_MS
        self.samples = dict.fromkeys(sorted(names), Sample(0, 0, 0, 0, (1.0, 1.0)))
        self.scrape()

    def work(self, seconds: float, *, held: float = 0, silent: frozenset[str] = frozenset(), **load: float) -> None:
        """Let every node do the same for a while, scraped all along but for silent ones."""
        each = Load(**load)
        for _ in range(round(seconds * 1000 / SCRAPE_MS)):
            self.now_ms += SCRAPE_MS
            for name, sample in self.samples.items():
                self.samples[name] = Sample(
                    sample.stores + each.stores_per_s * SCRAPE_MS / 1000,
                    sample.onions + each.onions_per_s * SCRAPE_MS / 1000,
                    sample.cpu_s + each.cpu_percent / 100 * SCRAPE_MS / 1000,
                    held,
                    sample.begun,
                )
            self.scrape(silent)

    def restart(self, name: str) -> None:
        self.samples[name] = Sample(0, 0, 0, self.samples[name].held_bytes, (1.0, self.now_ms / 1000))

    def scrape(self, silent: frozenset[str] = frozenset()) -> None:
        answered = {name: sample for name, sample in self.samples.items() if name not in silent}
        self.window = self.window.observe(answered, self.now_ms)


def after(
    pool: Fleet, policy: ScalingPolicy = POLICY, *, minutes: float = 10, since_s: float | None = None, **work: Any
) -> Decision:
    """Decide after some minutes of an even load, so long after the last change."""
    nodes = Nodes(pool.nodes, policy)
    nodes.work(minutes * 60, **work)
    last_ms = None if since_s is None else nodes.now_ms - round(since_s * 1000)
    return decide(policy, pool, nodes.window, last_ms, nodes.now_ms)


def outcome(decision: Decision) -> tuple[int, Reason]:
    return decision.replicas, decision.reason


@pytest.mark.parametrize(
    ("per_node", "expected"),
    [
        (100, (15, Reason.WITHIN_TARGETS)),
        (109, (15, Reason.WITHIN_TARGETS)),
        (120, (18, Reason.LOAD_ABOVE_TARGET)),
        (500, (21, Reason.LOAD_ABOVE_TARGET)),  # one swarm's worth
        (91, (15, Reason.WITHIN_TARGETS)),
        (80, (14, Reason.LOAD_BELOW_TARGET)),
        (1, (14, Reason.LOAD_BELOW_TARGET)),
    ],
)
def test_the_size_follows_the_load(per_node: float, expected: tuple[int, Reason]) -> None:
    assert outcome(after(fleet(15), stores_per_s=per_node)) == expected


def test_the_target_that_asks_for_most_decides() -> None:
    policy = replace(POLICY, targets=Targets(stores_per_s=100, onions_per_s=1000, cpu_percent=50))
    assert outcome(after(fleet(15), policy, stores_per_s=50, onions_per_s=100, cpu_percent=60)) == (
        18,
        Reason.LOAD_ABOVE_TARGET,
    )
    assert after(fleet(15), policy, stores_per_s=50, onions_per_s=1400, cpu_percent=60).desired == 21
    assert outcome(after(fleet(15), policy, cpu_percent=49, stores_per_s=1))[1] is Reason.WITHIN_TARGETS


def test_steps_and_bounds() -> None:
    assert outcome(after(fleet(28, swarms=4), stores_per_s=500)) == (30, Reason.LOAD_ABOVE_TARGET)
    assert outcome(after(fleet(30, swarms=5), stores_per_s=500)) == (30, Reason.AT_MAXIMUM)
    assert outcome(after(fleet(12), stores_per_s=1)) == (12, Reason.AT_MINIMUM)
    assert outcome(after(fleet(9, swarms=1), stores_per_s=1)) == (12, Reason.BELOW_MINIMUM)
    assert outcome(after(fleet(31, swarms=5), stores_per_s=500)) == (30, Reason.ABOVE_MAXIMUM)
    assert after(fleet(15), stores_per_s=5000).desired == 30, "wishes stay within the bounds, too"


def test_no_node_leaves_that_is_needed_again_at_once() -> None:
    policy = replace(POLICY, minimum=3, smallest_network=3)
    assert outcome(after(fleet(4, swarms=1), policy, stores_per_s=80)) == (4, Reason.WITHIN_TARGETS)  # 3.2 nodes
    assert outcome(after(fleet(4, swarms=1), policy, stores_per_s=75)) == (3, Reason.LOAD_BELOW_TARGET)


def test_a_drain_that_would_be_refused_is_not_asked_for() -> None:
    policy = replace(POLICY, minimum=3)
    assert outcome(after(fleet(12), policy, stores_per_s=1)) == (12, Reason.AT_MINIMUM)
    assert outcome(after(fleet(12, others=1), policy, stores_per_s=1)) == (11, Reason.LOAD_BELOW_TARGET)
    small = replace(policy, maximum=8, smallest_network=3)
    assert outcome(after(fleet(4, swarms=1), small, stores_per_s=1)) == (3, Reason.LOAD_BELOW_TARGET)
    assert outcome(after(fleet(3, swarms=1), small, stores_per_s=1)) == (3, Reason.AT_MINIMUM)
    assert outcome(after(fleet(12), replace(policy, maximum=8), stores_per_s=1)) == (12, Reason.AT_MINIMUM)


@pytest.mark.parametrize("movement", Movement)
def test_nothing_while_nodes_move(movement: Movement) -> None:
    moving = fleet(15, movement=movement)
    assert outcome(after(moving, stores_per_s=500)) == (15, Reason.NODES_MOVING)
    assert outcome(after(moving, stores_per_s=1)) == (15, Reason.NODES_MOVING)
    assert movement.value in after(moving).message


def test_nothing_until_the_nodes_are_those_that_are_wanted() -> None:
    assert outcome(after(replace(fleet(15), replicas=16), stores_per_s=500)) == (16, Reason.NODES_MOVING)


def test_cool_downs() -> None:
    assert outcome(after(fleet(15), stores_per_s=120, since_s=119)) == (15, Reason.COOLING_DOWN)
    assert outcome(after(fleet(15), stores_per_s=120, since_s=120))[0] == 18
    assert outcome(after(fleet(15), stores_per_s=50, since_s=599)) == (15, Reason.COOLING_DOWN)
    assert outcome(after(fleet(15), stores_per_s=50, since_s=600))[0] == 14
    assert outcome(after(fleet(15), stores_per_s=50, since_s=-599)) == (15, Reason.COOLING_DOWN)
    assert outcome(after(fleet(15), stores_per_s=50, since_s=-3600))[0] == 14, "a clock set back does not wait for ever"


def test_shrinking_waits_until_the_load_has_been_low_for_long() -> None:
    pool = fleet(15)
    nodes = Nodes(pool.nodes)
    nodes.work(600, stores_per_s=100)
    nodes.work(285, stores_per_s=50)
    assert outcome(decide(POLICY, pool, nodes.window, None, nodes.now_ms)) == (15, Reason.STABILIZING)
    nodes.work(15, stores_per_s=50)
    assert outcome(decide(POLICY, pool, nodes.window, None, nodes.now_ms)) == (14, Reason.LOAD_BELOW_TARGET)
    nodes.work(15, stores_per_s=120)
    nodes.work(60, stores_per_s=50)
    assert outcome(decide(POLICY, pool, nodes.window, None, nodes.now_ms)) == (15, Reason.STABILIZING), "one peak"


def test_growing_does_not_follow_a_single_peak() -> None:
    pool = fleet(15)
    nodes = Nodes(pool.nodes)
    nodes.work(300, stores_per_s=95)
    nodes.work(15, stores_per_s=140)
    assert outcome(decide(POLICY, pool, nodes.window, None, nodes.now_ms)) == (15, Reason.WITHIN_TARGETS)
    nodes.work(45, stores_per_s=140)
    assert outcome(decide(POLICY, pool, nodes.window, None, nodes.now_ms)) == (21, Reason.LOAD_ABOVE_TARGET)


def test_a_window_that_has_just_begun_lets_nobody_leave() -> None:
    assert outcome(after(fleet(15), minutes=0, stores_per_s=1)) == (15, Reason.METRICS_MISSING)
    assert outcome(after(fleet(15), minutes=4.75, stores_per_s=1)) == (15, Reason.STABILIZING)
    assert outcome(after(fleet(15), minutes=5, stores_per_s=1)) == (14, Reason.LOAD_BELOW_TARGET)


def test_a_silent_node_lets_nobody_leave_and_counts_as_idle_on_the_way_up() -> None:
    pool, silent = fleet(15), frozenset({"net-3"})
    nodes = Nodes(pool.nodes)
    nodes.work(600, stores_per_s=50)
    nodes.work(15, stores_per_s=50, silent=silent)
    assert outcome(decide(POLICY, pool, nodes.window, None, nodes.now_ms)) == (15, Reason.METRICS_MISSING)
    nodes.work(15, stores_per_s=50)
    assert outcome(decide(POLICY, pool, nodes.window, None, nodes.now_ms))[0] == 14, "a longer span loses nothing"
    nodes.work(LONGEST_SPAN_MS / 1000, stores_per_s=50, silent=silent)
    nodes.work(285, stores_per_s=50)
    assert outcome(decide(POLICY, pool, nodes.window, None, nodes.now_ms)) == (15, Reason.STABILIZING), "a hole"
    nodes.work(30, stores_per_s=50)
    assert outcome(decide(POLICY, pool, nodes.window, None, nodes.now_ms))[0] == 14
    nodes.work(LONGEST_SPAN_MS / 1000, stores_per_s=130, silent=silent)
    decision = decide(POLICY, pool, nodes.window, None, nodes.now_ms)
    assert outcome(decision) == (19, Reason.LOAD_ABOVE_TARGET), "14 nodes, 130 each"
    assert decision.measured.load == pytest.approx((130, 0, 0))


def test_nodes_that_nobody_has_asked_lately_change_nothing() -> None:
    pool = fleet(15)
    nodes = Nodes(pool.nodes)
    nodes.work(600, stores_per_s=500)
    late_ms = nodes.now_ms + LONGEST_SPAN_MS + 1
    assert outcome(decide(POLICY, pool, nodes.window, None, late_ms)) == (15, Reason.METRICS_MISSING)
    assert outcome(decide(POLICY, pool, nodes.window.emptied(), None, late_ms)) == (15, Reason.METRICS_MISSING)


def test_a_restart_is_a_hole_and_no_negative_load() -> None:
    pool = fleet(15)
    nodes = Nodes(pool.nodes)
    nodes.work(600, stores_per_s=50)
    nodes.restart("net-0")
    nodes.work(270, stores_per_s=50)
    decision = decide(POLICY, pool, nodes.window, None, nodes.now_ms)
    assert outcome(decision) == (15, Reason.STABILIZING)
    assert decision.measured.load == pytest.approx((50, 0, 0))
    nodes.work(60, stores_per_s=50)
    assert outcome(decide(POLICY, pool, nodes.window, None, nodes.now_ms))[0] == 14


@pytest.mark.parametrize(
    "later",
    [
        Sample(1e6, 1e6, 1e6, 0, (1, 2)),  # the new process has done more than the old one: only its start tells
        Sample(1e6, 1e6, 1e6, 0, (2, 1)),
        Sample(99, 200, 200, 0, (1, 1)),
        Sample(200, 99, 200, 0, (1, 1)),
        Sample(200, 200, 99, 0, (1, 1)),
    ],
)
def test_what_is_no_continuation_makes_no_span(later: Sample) -> None:
    before = Window.over(0).observe({"net-0": Sample(100, 100, 100, 0, (1, 1))}, START_MS)
    assert before.observe({"net-0": later}, START_MS + SCRAPE_MS).tracks["net-0"].spans == ()
    assert (
        len(before.observe({"net-0": before.tracks["net-0"].sample}, START_MS + SCRAPE_MS).tracks["net-0"].spans) == 1
    )


BYTES = replace(POLICY, targets=Targets(held_bytes=8 * GIB))


@pytest.mark.parametrize(
    ("pool", "held", "expected"),
    [
        (fleet(15), 8 * GIB, (15, Reason.WITHIN_TARGETS)),
        (fleet(15), 9 * GIB, (18, Reason.BYTES_ABOVE_TARGET)),  # three swarms of six
        (fleet(15), 90 * GIB, (18, Reason.BYTES_ABOVE_TARGET)),
        (fleet(19, swarms=2), 9 * GIB, (19, Reason.WITHIN_TARGETS)),  # the next directory has three already
        (fleet(20, swarms=3), 9 * GIB, (24, Reason.BYTES_ABOVE_TARGET)),
        (fleet(10, swarms=2, others=4), 9 * GIB, (12, Reason.BELOW_MINIMUM)),
        (fleet(12, swarms=2, others=4), 9 * GIB, (14, Reason.BYTES_ABOVE_TARGET)),
        (fleet(12, swarms=2), 9 * GIB, (18, Reason.BYTES_ABOVE_TARGET)),
        (fleet(26, swarms=5), 9 * GIB, (26, Reason.SPLIT_BEYOND_MAXIMUM)),  # 36 would help, 30 would not
        (fleet(15), GIB, (15, Reason.WITHIN_TARGETS)),  # bytes never let a pool shrink
    ],
)
def test_bytes_ask_for_the_next_swarm_or_for_nothing(pool: Fleet, held: float, expected: tuple[int, Reason]) -> None:
    assert outcome(after(pool, BYTES, held=held)) == expected


def test_one_full_node_is_enough() -> None:
    pool = fleet(15)
    nodes = Nodes(pool.nodes, BYTES)
    nodes.work(60, held=GIB)
    nodes.samples["net-7"] = nodes.samples["net-7"]._replace(held_bytes=9 * GIB)
    nodes.now_ms += SCRAPE_MS
    nodes.scrape()
    assert outcome(decide(BYTES, pool, nodes.window, None, nodes.now_ms)) == (18, Reason.BYTES_ABOVE_TARGET)


@pytest.mark.parametrize(
    ("pool", "load", "held", "expected"),
    [
        (fleet(15, swarms=3), 60, 4 * GIB, (14, Reason.LOAD_BELOW_TARGET)),  # two swarms: 90 each at worst, 8 GiB
        (fleet(15, swarms=3), 70, 4 * GIB, (15, Reason.WOULD_MERGE_SWARMS)),  # 105 each at worst
        (fleet(15, swarms=3), 60, 4.1 * GIB, (15, Reason.WOULD_MERGE_SWARMS)),
        (fleet(16, swarms=3), 70, 4.1 * GIB, (15, Reason.LOAD_BELOW_TARGET)),  # nothing ends
        (fleet(12, swarms=3, others=3), 60, 4.1 * GIB, (12, Reason.AT_MINIMUM)),
        (fleet(14, swarms=3, others=1), 60, 4.1 * GIB, (14, Reason.WOULD_MERGE_SWARMS)),
    ],
)
def test_no_swarm_ends_if_the_others_could_have_too_much(
    pool: Fleet, load: float, held: float, expected: tuple[int, Reason]
) -> None:
    policy = replace(POLICY, targets=Targets(stores_per_s=100, held_bytes=8 * GIB))
    assert outcome(after(pool, policy, stores_per_s=load, held=held)) == expected


def test_what_is_shown_has_two_digits() -> None:
    shown = Measured(Load(123.4, 0.0567, 45.6), 8_765_432_109).as_status()
    assert shown == {"storesPerSecond": 120.0, "onionsPerSecond": 0.057, "cpuPercent": 46, "bytes": 8_800_000_000}
    assert Measured().as_status() == {}


def test_reasons_can_be_reasons_of_events() -> None:
    assert all(reason.value.isalpha() and reason.value[0].isupper() and len(reason.value) < 40 for reason in Reason)
    assert len({*Reason}) == 14, "they are stable: add, but never rename"


def test_the_window_is_bounded() -> None:
    nodes = Nodes(frozenset({"net-0"}))
    nodes.work(7200, stores_per_s=1)
    assert len(nodes.window.tracks["net-0"].spans) <= 300 / 15 + 1
    for step in range(2000):  # somebody scrapes without a pause
        nodes.window = nodes.window.observe(nodes.samples, nodes.now_ms + step * 1000)
    assert len(nodes.window.tracks["net-0"].spans) <= 62
    gone = nodes.window.observe({"net-1": nodes.samples["net-0"]}, nodes.window.end_ms + LONGEST_SPAN_MS + 1)
    assert list(gone.tracks) == ["net-1"]
    back = nodes.window.observe(nodes.samples, START_MS)
    assert (back.end_ms, back.tracks["net-0"].spans) == (START_MS, ()), "the clock was set back"


def test_a_minute_half_known_is_enough_for_an_average() -> None:
    nodes = Nodes(frozenset({"net-0"}))
    nodes.work(15, stores_per_s=4)
    assert nodes.window.average("net-0") is None
    nodes.work(15, stores_per_s=4)
    assert nodes.window.average("net-0") == Load(stores_per_s=4)
    assert nodes.window.average("net-9") is None
    assert AVERAGED_MS == 60_000


def pool(**autoscaling: Any) -> PoolSpec:
    return PoolSpec("net", autoscaling={"enabled": True, "minReplicas": 12, "maxReplicas": 30} | autoscaling)


def test_a_policy_is_read_from_a_pool() -> None:
    targets = {"storesPerSecond": 2.5, "onionsPerSecond": 40, "cpuPercent": 60, "bytes": "8Gi"}
    assert read_policy(pool(targets=targets)) == ScalingPolicy(12, 30, Targets(2.5, 40, 60, 8 * GIB))
    read = read_policy(
        pool(
            targets={"cpuPercent": 60},
            tolerancePercent=20,
            scaleUpCooldownSeconds=1,
            scaleDownCooldownSeconds=2,
            stabilizationSeconds=3,
        )
    )
    assert read == ScalingPolicy(12, 30, Targets(cpu_percent=60), 0.2, 1000, 2000, 3000)
    assert read_policy(pool(enabled=False)) is None
    assert read_policy(PoolSpec("net")) is None
    unsafe = read_policy(replace(pool(targets={"cpuPercent": 60}, minReplicas=3), allow_unsafe=True))
    assert unsafe is not None
    assert unsafe.smallest_network == 3


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({}, "at least one target"),
        ({"targets": {"cpuPercent": 0}}, "above zero"),
        ({"targets": {"bytes": "8 gigs"}}, "not a quantity"),
        ({"targets": {"cpuPercent": 1}, "minReplicas": 2}, "3 ≤"),
        ({"targets": {"cpuPercent": 1}, "maxReplicas": 11}, "minReplicas ≤ maxReplicas"),
        ({"targets": {"cpuPercent": 1}, "maxReplicas": None}, "needs maxReplicas"),
        ({"targets": {"cpuPercent": 1}, "tolerancePercent": 100}, "tolerancePercent"),
        ({"targets": {"cpuPercent": 1}, "scaleUpCooldownSeconds": -1}, "cool-down"),
        ({"targets": {"cpuPercent": 1}, "stabilizationSeconds": 3601}, "stabilizationSeconds"),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        read_policy(pool(**wrong))


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("1500", 1500),
        ("1.5Gi", 3 * GIB // 2),
        ("2k", 2000),
        ("3E", 3 * 10**18),
        ("2e3", 2000),
        ("1Ei", 1 << 60),
    ],
)
def test_quantities(text: str, amount: int) -> None:
    assert read_quantity(text) == amount


@pytest.mark.parametrize("text", ["", "Gi", "-1", "1m", "1 Gi", "0x10", "1e999", "1KB"])
def test_no_quantities_of_bytes(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        read_quantity(text)
