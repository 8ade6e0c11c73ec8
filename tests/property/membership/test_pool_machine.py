"""Pools through wishes, accidents, delays and failures: what the operator never does, and what it always reaches."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from operators.membership.domain.life import Life
from operators.membership.domain.pool.observed import Observed, Wish
from operators.membership.domain.pool.reconcile import Plan, reconcile
from operators.membership.domain.pool.register import Register
from operators.membership.domain.pool.spec import FEWEST
from tests.property.membership.pool_world import BAD, GOOD, World

who = st.integers(0, 30)
some_of_them: st.SearchStrategy[frozenset[int]] = st.just(frozenset()) | st.frozensets(st.integers(0, 8), max_size=5)


class Pools(RuleBasedStateMachine):
    """One pool, its operator, and people who wish for things."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.last = Register()
        #: Nodes that the operator took from their work, by name; until they are back.
        self.taken: set[str] = set()

    def pick(self, number: int) -> str | None:
        names = sorted(self.world.resources)
        return names[number % len(names)] if names else None

    # What people wish for.

    @initialize(steps=st.sampled_from((0, 8, 8)))
    def begin(self, steps: int) -> None:
        """Most pools serve when the first thing happens to them."""
        for _ in range(steps):
            self.world.step()
            self.turn()

    @rule(replicas=st.sampled_from((1, 4, 5, 6, 7, 8, 9)))
    def scale(self, replicas: int) -> None:
        self.world.spec = {**self.world.spec, "replicas": replicas}

    @rule(image=st.sampled_from((*GOOD, *GOOD, *BAD)))
    def upgrade(self, image: str) -> None:
        """Whoever upgrades puts right what was wrong with the spec, so that the upgrade is followed."""
        replicas = max(self.world.spec["replicas"], FEWEST)
        self.world.spec = {"replicas": replicas, "image": image, "storage": {"size": "20Gi"}}

    @rule(lazy=some_of_them, steps=st.integers(3, 12))
    def upgrade_and_think_better_of_it(self, lazy: frozenset[int], steps: int) -> None:
        """The change is taken back while Kubernetes has not got round to some of the nodes."""
        before = self.world.spec["image"]
        self.upgrade("v1" if before == "v2" else "v2")
        for _ in range(steps):
            self.world.step(lazy=self.names(lazy))
            self.turn()
        self.upgrade(before)
        self.turn()

    @rule(leave=st.booleans())
    def allow_unsafe(self, leave: bool) -> None:  # noqa: FBT001 - hypothesis gives it by name
        self.world.spec = {**self.world.spec, "allowUnsafe": leave}

    @rule(paused=st.sampled_from((True, False, False)))
    def pause(self, paused: bool) -> None:  # noqa: FBT001 - hypothesis gives it by name
        self.world.spec = {**self.world.spec, "paused": paused}

    @rule(size=st.sampled_from(("5Gi", "20Gi", "20Gi")))
    def resize_volumes(self, size: str) -> None:
        self.world.spec = {**self.world.spec, "storage": {"size": size}}

    @rule(
        number=who,
        wish=st.sampled_from(
            (
                {"drain": True},
                {"drain": False},
                {"drain": True, "no_replacement": True},
                {"drain_first": True},
                {"drain": True, "skip_drain": True},
                {"skip_drain": True},
            )
        ),
    )
    def annotate(self, number: int, wish: dict[str, bool]) -> None:
        if name := self.pick(number):
            self.world.change(name, **wish)

    @rule(number=who)
    def delete_node(self, number: int) -> None:
        if name := self.pick(number):
            del self.world.resources[name]

    # What happens to pods, volumes and the log.

    @rule(number=who)
    def delete_pod(self, number: int) -> None:
        if (name := self.pick(number)) and name in self.world.pods:
            self.world.pods[name].deleting = True
            self.world.pods[name].ready = False

    @rule(number=who)
    def crash(self, number: int) -> None:
        if (name := self.pick(number)) and name in self.world.pods:
            self.world.pods[name].crashed = True
            self.world.pods[name].ready = False

    @rule(number=who)
    def lose_volume(self, number: int) -> None:
        if (name := self.pick(number)) and name in self.world.claims:
            self.world.claims[name] = "Lost"

    @rule(number=who)
    def delete_pod_with_its_volume(self, number: int) -> None:
        if (name := self.pick(number)) and name in self.world.pods:
            self.world.claims.pop(name, None)
            self.world.pods[name].no_claim = True
            self.world.pods[name].ready = False

    @rule(there=st.sampled_from((False, True, True)))
    def log_comes_or_goes(self, there: bool) -> None:  # noqa: FBT001 - hypothesis gives it by name
        self.world.authority = there

    # What the operator does.

    @rule(steps=st.integers(1, 8), lazy=some_of_them, failing=some_of_them, cut=st.sampled_from((1, 3, 10**6)))
    def live(self, steps: int, lazy: frozenset[int], failing: frozenset[int], cut: int) -> None:
        """Let some steps pass, with a turn of the operator after each; what fails, fails at first."""
        for number in range(steps):
            troubled = number <= steps // 2
            self.world.step(lazy=self.names(lazy) if troubled else ())
            self.turn(failing=self.names(failing) if troubled else frozenset(), cut=cut if troubled else 10**6)

    @rule()
    def look_twice(self) -> None:
        """A second look at once, before anything has happened."""
        self.turn()
        self.turn()

    def names(self, numbers: frozenset[int]) -> frozenset[str]:
        return frozenset(f"p-{number}" for number in numbers)

    def turn(self, *, failing: frozenset[str] = frozenset(), cut: int = 10**6) -> None:
        self.taken = {name for name in self.taken if not self.world.is_well(name)}
        observed = self.world.observe()
        plan = reconcile(observed)
        self.check_pause(observed, plan)
        self.check_wishes(observed)
        self.check_leaving(observed, plan)
        self.check_rollout(observed, plan)
        self.world.carry_out(plan, failing=failing, cut=cut)

    def check_pause(self, observed: Observed, plan: Plan) -> None:
        if not self.world.spec.get("paused"):
            return
        assert plan.paused
        assert plan.register == observed.register
        assert plan.resized is None
        assert not any((plan.drains, plan.dismissals, plan.retired, plan.budgets, plan.unbudgeted))

    def check_wishes(self, observed: Observed) -> None:
        pool = observed.pool
        assert pool.paused or pool.allow_unsafe or pool.replicas >= FEWEST

    def check_leaving(self, observed: Observed, plan: Plan) -> None:
        """Whoever leaves was drained, had nothing, or was not to be waited for."""
        gone = {name for name, entry in plan.register.entries.items() if entry.drained}
        for name in gone - {name for name, entry in observed.register.entries.items() if entry.drained}:
            known = self.world.roster.get(plan.register.entries[name].key)
            resource = self.world.resources.get(name)
            skipped = (
                resource is not None and resource.skip_drain and (resource.drain or resource.wish is Wish.DRAINING)
            )
            assert skipped or known is None or known.drained or known.life in {Life.ANNOUNCED, Life.GONE}
            assert skipped or self.world.authority
        assert set(plan.retired) <= gone
        assert not gone & set(plan.nodes)

    def check_rollout(self, observed: Observed, plan: Plan) -> None:
        touched = {name for name, node in plan.nodes.items() if self.is_touched(observed, name, node)}
        for name in touched:
            pod = self.world.pods.get(name)
            runs = pod is not None and pod.runs
            assert self.world.authority or not runs, "what serves is left alone while the log is away"
            if not self.world.is_well(name):
                continue
            swarm = self.swarm_of(name)
            others = {other for other in plan.nodes if other != name and self.swarm_of(other) == swarm}
            assert not others & touched, "one of a swarm at a time"
            assert not others & self.taken, "the one before is back"
            assert all(self.world.is_well(other) for other in others), "the others serve"
            self.taken.add(name)

    def swarm_of(self, name: str) -> str:
        return self.world.swarm_of(name) if name in self.world.register.entries else ""

    def is_touched(self, observed: Observed, name: str, node: Any) -> bool:
        seen = observed.nodes.get(name)
        if seen is None or not seen.placed or seen.pod is None or seen.pod.deleting:
            return False
        changed = node.renew and not seen.current
        return changed or node.replace_pod or (node.replace_volume and seen.volume is not None)

    @invariant()
    def identities_are_never_used_again(self) -> None:
        register = self.world.register
        assert register.next_ordinal >= self.last.next_ordinal
        for name, entry in register.entries.items():
            before = self.last.entries.get(name)
            if before is None:
                assert self.last.next_ordinal <= entry.ordinal < register.next_ordinal
                continue
            assert entry.ordinal == before.ordinal
            assert before.key in {"", entry.key}
            assert entry.drained or not before.drained
        assert set(self.last.entries) <= set(register.entries)
        self.last = register

    def teardown(self) -> None:
        """When people and the world are quiet, there are as many nodes as are wanted, and nothing is left to do."""
        world = self.world
        world.authority = True
        wanted = max(6, world.spec["replicas"])
        image = world.spec["image"] if world.spec["image"] in GOOD else "v2"
        world.spec = {"replicas": wanted, "image": image, "storage": {"size": "20Gi"}, "allowUnsafe": False}
        for pod in world.pods.values():
            pod.crashed = False
        for _ in range(150):
            world.step()
            before = world.writes
            self.turn()
        assert world.writes == before, "nothing is written when nothing has changed"
        wanted = world.spec["replicas"]  # lower, if people wanted nodes to go without a replacement
        plan = reconcile(world.observe())
        assert [node.wish for node in plan.nodes.values()] == [Wish.ACTIVE] * wanted
        assert set(world.resources) == set(world.sets) == set(world.pods) == set(plan.nodes)
        assert all(world.is_well(name) for name in plan.nodes)
        assert {pod.image for pod in world.pods.values()} <= {image}
        assert {(swarm, name) for swarm, names in world.budgets.items() for name in names} == {
            (world.swarm_of(name), name) for name in plan.nodes
        }


TestPools = Pools.TestCase
TestPools.settings = settings(max_examples=70, stateful_step_count=25, deadline=None)
