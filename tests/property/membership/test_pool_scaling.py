"""Whatever the load: sizes stay within bounds and come to rest, and no node leaves without knowledge."""

from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from operators.membership.domain.assignment import SwarmSizes
from operators.membership.domain.pool.scaling import Decision, Fleet, Movement, Reason, decide
from operators.membership.domain.pool.scaling_policy import ScalingPolicy, Targets
from operators.membership.domain.pool.scaling_window import Sample, Window
from tests.property.membership.pool_under_load import SCRAPE_MS, START_MS, Pool, Work
from tests.property.membership.scaling_day import PICTURE, live_through

SIZES = SwarmSizes()
TARGETS = Targets(stores_per_s=100, onions_per_s=1000, cpu_percent=50, held_bytes=1 << 30)
NO_CHANGE = {Reason.NODES_MOVING, Reason.METRICS_MISSING, Reason.STABILIZING, Reason.COOLING_DOWN}


@dataclass(frozen=True)
class Scene:
    """A pool at one moment: for each scrape and node, the load as a share of its targets; ``None`` did not answer."""

    policy: ScalingPolicy
    fleet: Fleet
    scrapes: tuple[tuple[tuple[float, float] | None, ...], ...]
    since_change_ms: int | None

    def decide(self, policy: ScalingPolicy | None = None, *, extra: float = 0, last: int | None = None) -> Decision:
        """Decide; with ``extra`` as so much more work of everybody all along."""
        window = Window.over(self.policy.stabilization_ms)
        names = sorted(self.fleet.nodes)
        counted = dict.fromkeys(names, (0.0, 0.0))
        now_ms = START_MS
        for scrape in self.scrapes:
            now_ms += SCRAPE_MS
            samples = {}
            for name, share in zip(names, scrape, strict=True):
                load, held = share or (0.0, 0.0)
                stores, cpu_s = counted[name]
                work = (load + extra) * SCRAPE_MS / 1000
                counted[name] = stores + 100 * work, cpu_s + 0.5 * work
                if share is not None:
                    stored = (held + extra) * (1 << 30)
                    samples[name] = Sample(counted[name][0], 0, counted[name][1], stored, (1, 1))
            window = window.observe(samples, now_ms)
            window = window.observe(samples, now_ms)  # once more is as good as once
        last_ms = None if self.since_change_ms is None else now_ms - self.since_change_ms
        return decide(policy or self.policy, self.fleet, window, last or last_ms, now_ms)


@st.composite
def scenes(
    draw: st.DrawFn, *, within: bool = True, complete: bool = False, movements: bool = False, most: float = 3
) -> Scene:
    low = draw(st.integers(3, 20))
    high = draw(st.integers(low, 40))
    size = draw(st.integers(low, high) if within else st.integers(1, 45))
    share = st.floats(0, most)
    node = st.tuples(share, share)
    quiet = draw(st.sampled_from((0, 1, 12)))  # scrapes with an even load, so that some scenes are steady
    even = draw(node)
    answer = node if complete else st.one_of(node, node, node, st.none())
    line = st.tuples(*(st.just(even) if complete and quiet else answer for _ in range(size)))
    scrapes = draw(st.lists(line, min_size=1, max_size=6)) + [draw(line)] * quiet
    return Scene(
        ScalingPolicy(
            low,
            high,
            draw(st.sampled_from((TARGETS, Targets(cpu_percent=50), Targets(held_bytes=1 << 30)))),
            draw(st.sampled_from((0.0, 0.1, 0.5))),
            draw(st.integers(1, 600)) * 1000,
            draw(st.integers(1, 600)) * 1000,
            draw(st.sampled_from((0, 60_000, 120_000))),
            SIZES,
            draw(st.sampled_from((3, 12))),
        ),
        Fleet(
            size,
            frozenset(f"net-{n}" for n in range(size)),
            draw(st.integers(1, max(1, size // SIZES.minimum))),
            draw(st.integers(0, 12)),
            draw(st.sampled_from((None, *Movement))) if movements else None,
        ),
        tuple(scrapes),
        draw(st.one_of(st.none(), st.integers(0, 700_000))),
    )


@settings(max_examples=150, deadline=None)
@given(scenes(within=False, movements=True))
def test_sizes_stay_within_their_bounds_and_steps(scene: Scene) -> None:
    decision, policy, size = scene.decide(), scene.policy, scene.fleet.replicas
    assert -1 <= decision.replicas - size <= SIZES.ideal
    assert policy.minimum <= decision.desired <= policy.maximum
    if scene.fleet.movement is not None:
        assert (decision.replicas, decision.reason) == (size, Reason.NODES_MOVING)
    elif policy.minimum <= size <= policy.maximum:
        assert policy.minimum <= decision.replicas <= policy.maximum
    elif size < policy.minimum:
        assert size < decision.replicas <= policy.minimum
    else:
        assert policy.maximum <= decision.replicas
    if decision.replicas < size:
        assert decision.replicas >= 3
        assert decision.replicas + scene.fleet.others >= policy.smallest_network
    assert (decision.replicas == size) == (decision.reason not in CHANGES)


CHANGES = {
    Reason.LOAD_ABOVE_TARGET,
    Reason.BYTES_ABOVE_TARGET,
    Reason.LOAD_BELOW_TARGET,
    Reason.BELOW_MINIMUM,
    Reason.ABOVE_MAXIMUM,
}


@settings(max_examples=150, deadline=None)
@given(scenes(complete=True, most=1.3), st.floats(0, 2))
def test_more_work_never_means_fewer_nodes(scene: Scene, extra: float) -> None:
    assert scene.decide(extra=extra).replicas >= scene.decide().replicas


@settings(max_examples=150, deadline=None)
@given(scenes(complete=True, most=0.4), st.data())
def test_no_node_leaves_while_one_is_not_known(scene: Scene, data: st.DataObject) -> None:
    scene = replace(scene, policy=replace(scene.policy, smallest_network=3), since_change_ms=None)
    assume(scene.decide().replicas < scene.fleet.replicas)
    lost = data.draw(st.integers(0, scene.fleet.replicas - 1))
    last = tuple(None if number == lost else share for number, share in enumerate(scene.scrapes[-1]))
    assert replace(scene, scrapes=(*scene.scrapes[:-1], last)).decide().reason is Reason.METRICS_MISSING
    stranger = frozenset({"net-new"} | set(sorted(scene.fleet.nodes)[1:]))
    unknown = replace(scene, fleet=replace(scene.fleet, nodes=stranger))
    assert unknown_decision(scene, unknown.fleet).reason is Reason.METRICS_MISSING


def unknown_decision(scene: Scene, fleet: Fleet) -> Decision:
    """Decide about a fleet of which one node has never been measured."""
    window, counted, now_ms = Window.over(scene.policy.stabilization_ms), 0.0, START_MS
    for _ in range(12):
        now_ms += SCRAPE_MS
        counted += 1
        window = window.observe(
            {name: Sample(counted, 0, 0, 0, (1, 1)) for name in fleet.nodes if name != "net-new"}, now_ms
        )
    return decide(scene.policy, fleet, window, None, now_ms)


@settings(max_examples=150, deadline=None)
@given(scenes(complete=True), st.integers(-600_000, 600_000))
def test_cool_downs_are_respected(scene: Scene, ago_ms: int) -> None:
    now_ms = START_MS + SCRAPE_MS * len(scene.scrapes)
    decision = scene.decide(last=now_ms - ago_ms)
    if decision.replicas > scene.fleet.replicas:
        assert abs(ago_ms) >= scene.policy.up_cooldown_ms
    if decision.replicas < scene.fleet.replicas:
        assert abs(ago_ms) >= scene.policy.down_cooldown_ms
    if decision.reason is Reason.COOLING_DOWN:
        assert abs(ago_ms) < max(scene.policy.up_cooldown_ms, scene.policy.down_cooldown_ms)


@settings(max_examples=150, deadline=None)
@given(scenes(movements=True))
def test_to_decide_twice_is_to_decide_once(scene: Scene) -> None:
    decision = scene.decide()
    assert scene.decide() == decision
    if decision.replicas != scene.fleet.replicas:
        now_ms = START_MS + SCRAPE_MS * len(scene.scrapes)
        again = replace(scene, fleet=replace(scene.fleet, replicas=decision.replicas))
        assert again.decide(last=now_ms).replicas == decision.replicas


WORK = st.builds(
    Work,
    stores=st.floats(0, 4000),
    onions=st.floats(0, 40_000),
    shared_cpu=st.floats(0, 2000),
    swarm_cpu=st.floats(0, 300),
    idle_cpu=st.floats(0, 60),
    held=st.floats(0, 6 * (1 << 30)),
)


@settings(max_examples=80, deadline=None)
@given(WORK, st.integers(12, 40), st.sampled_from((0.02, 0.1, 0.3)))
def test_a_constant_load_is_answered_by_one_size(work: Work, size: int, tolerance: float) -> None:
    policy = ScalingPolicy(12, 40, TARGETS, tolerance, 1000, 1000, 30_000)
    pool = Pool(policy, size)
    sizes = [size]
    while True:
        pool.pass_time(work, scrapes=5)
        decision = pool.decide()
        assert decision.reason not in NO_CHANGE, "everything is known for long enough"
        if decision.replicas == pool.size:
            break
        pool.obey(decision)
        sizes.append(pool.size)
        assert len(sizes) < 60
    turns = [before < after for before, after in itertools.pairwise(sizes)]
    assert turns == sorted(turns, reverse=True), "grown first, if at all, and never again after it has shrunk"
    pool.pass_time(work, scrapes=20)
    assert pool.decide().replicas == pool.size
    assert pool.cpu(work) <= 50 * (1 + tolerance) or pool.size == policy.maximum


def test_a_day_is_lived_through_as_the_documentation_shows_it() -> None:
    day = live_through()
    changes = [after for before, after in itertools.pairwise(day) if after.size != before.size]
    assert len(changes) < 30, "as often as the load turns, and no more"
    assert {moment.reason for moment in changes} == {Reason.LOAD_ABOVE_TARGET, Reason.LOAD_BELOW_TARGET}
    overloaded = sum(moment.load > 40 * 1.1 * moment.size for moment in day) * SCRAPE_MS / 60_000
    assert overloaded < 15, f"{overloaded} minutes of the day above the target"


def test_the_picture_is_what_the_code_decides(tmp_path: Path) -> None:
    drawn = tmp_path / "scaling.svg"
    # In a process of its own: pygal changes how Python imports, which warns.
    draw = [sys.executable, "-m", "tests.property.membership.draw_scaling_day", str(drawn)]
    subprocess.run(draw, cwd=PICTURE.parents[2], check=True, timeout=50)
    assert drawn.read_bytes() == PICTURE.read_bytes(), "draw it again"
