"""A cluster on paper in which pools live: its controllers, its membership authority, its accidents."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from operators.membership.domain.life import Life
from operators.membership.domain.pool.acceptance import ACCEPTED, accepted
from operators.membership.domain.pool.observed import (
    Observed,
    SeenDirectory,
    SeenMember,
    SeenNode,
    SeenPod,
    SeenResource,
    Wish,
)
from operators.membership.domain.pool.reconcile import Plan
from operators.membership.domain.pool.register import Register
from operators.membership.domain.pool.spec import NOT_REPLACED, read_pool

#: So many steps without being ready are long; so many without a sign make a member unreachable.
LONG: Final = 4
SWARMS: Final = ("0000000000000000", "8000000000000000")
#: Images, by what becomes of a container that runs them.
GOOD: Final = ("v1", "v2")
BAD: Final = ("crashes", "never-ready", "finds-no-machine")


@dataclass
class Pod:
    """One pod; its container does what its image does to containers."""

    image: str
    age: int = 0
    ready: bool = False
    #: Something outside of it keeps it from working.
    crashed: bool = False
    deleting: bool = False
    #: Its claim was taken away before it got a machine.
    no_claim: bool = False

    @property
    def unscheduled(self) -> bool:
        return self.no_claim or self.image == "finds-no-machine"

    @property
    def runs(self) -> bool:
        return self.age > 0 and not self.unscheduled and not self.crashed and self.image != "crashes"


@dataclass
class Known:
    """What the authority knows of a node."""

    swarm: str
    life: Life = Life.ANNOUNCED
    holds: bool = False
    drained: bool = False
    silent: int = 0


@dataclass
class World:
    """Everything that lasts. Nothing happens by itself but in ``step``."""

    spec: dict[str, Any] = field(default_factory=lambda: {"replicas": 6, "image": "v1", "storage": {"size": "10Gi"}})
    notes: dict[str, str] = field(default_factory=dict)
    register: Register = field(default_factory=Register)
    secrets: dict[str, str] = field(default_factory=dict)
    resources: dict[str, SeenResource] = field(default_factory=dict)
    sets: dict[str, str] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    claims: dict[str, str] = field(default_factory=dict)
    roster: dict[str, Known] = field(default_factory=dict)
    budgets: dict[str, frozenset[str]] = field(default_factory=dict)
    authority: bool = True
    made: int = 0
    writes: int = 0

    @property
    def body(self) -> dict[str, Any]:
        return {"metadata": {"name": "p", "annotations": dict(self.notes)}, "spec": self.spec}

    # What is seen.

    def observe(self) -> Observed:
        answer = accepted(self.body)
        pool = read_pool(answer.body)
        nodes = {name: self.see(name, pool.image) for name in self.register.entries}
        listed = [known for known in self.roster.values() if known.life not in {Life.ANNOUNCED, Life.GONE}]
        swarms = tuple(
            (
                swarm,
                sum(known.swarm == swarm for known in listed),
                sum(known.swarm == swarm and known.life is Life.ACTIVE for known in listed),
                0,
            )
            for swarm in sorted({known.swarm for known in listed})
        )
        return Observed(
            pool,
            self.register,
            nodes,
            budgets=dict(self.budgets),
            directory=SeenDirectory("n", 1, "single-operator", 0, 0, swarms) if self.authority else None,
            authority=self.authority,
            broken=answer.problems,
        )

    def see(self, name: str, image: str) -> SeenNode:
        pod, known = self.pods.get(name), self.roster.get(self.register.entries[name].key)
        return SeenNode(
            name,
            self.resources.get(name),
            "10.0.0.1:8443",
            placed=name in self.sets,
            current=self.sets.get(name) == image,
            pod=None if pod is None else self.see_pod(pod, self.sets.get(name, pod.image)),
            volume=self.claims.get(name),
            member=None if known is None or not self.authority else self.see_member(known),
        )

    def see_pod(self, pod: Pod, image: str) -> SeenPod:
        stuck = not pod.ready and pod.age >= LONG
        return SeenPod(
            ready=pod.ready,
            started=pod.runs,
            broken=pod.crashed or pod.image == "crashes" or (stuck and not pod.runs),
            stuck=stuck,
            unscheduled=pod.unscheduled,
            current=pod.image == image,
            deleting=pod.deleting,
        )

    def see_member(self, known: Known) -> SeenMember:
        swarm = "" if known.life in {Life.ANNOUNCED, Life.GONE} else known.swarm
        serves = swarm if known.life is not Life.JOINING else ""
        planned = swarm if known.life is not Life.DRAINING else ""
        return SeenMember(known.life, serves, planned, known.holds, drained=known.drained)

    def is_well(self, name: str) -> bool:
        """Tell whether a node serves, whatever the operator thinks of it."""
        pod, known = self.pods.get(name), self.roster.get(self.register.entries[name].key)
        return (
            pod is not None
            and pod.ready
            and not pod.deleting
            and name in self.resources  # otherwise all of it is about to go
            and pod.image == self.sets.get(name)  # otherwise its controller is about to replace it
            and known is not None
            and known.holds
            and known.life in {Life.ACTIVE, Life.DRAINING}
        )

    def swarm_of(self, name: str) -> str:
        known = self.roster.get(self.register.entries[name].key)
        return "" if known is None or known.life in {Life.ANNOUNCED, Life.GONE} else known.swarm

    # What the operator does.

    def carry_out(self, plan: Plan, *, failing: Collection[str] = (), cut: int = 10**6) -> None:
        """Do what a plan says as ``kube.act`` does; some nodes' objects fail, or all ends after some nodes."""
        if plan.paused:
            return
        answer = accepted(self.body)
        if answer.annotation is not None:
            self.note(ACCEPTED, answer.annotation)
        if plan.register != self.register:
            self.register = plan.register
            self.writes += 1
        image = read_pool(answer.body).image
        for name, node in list(plan.nodes.items())[:cut]:
            if name not in failing:
                self.bring(name, image, node.wish, renew=node.renew)
                self.attend(name, pod=node.replace_pod, volume=node.replace_volume)
        if len(plan.nodes) > cut:
            return
        for name in plan.retired:
            self.resources.pop(name, None)
            self.writes += 1
        self.budgets |= plan.budgets
        for swarm in plan.unbudgeted:
            del self.budgets[swarm]
        self.writes += len(plan.budgets) + len(plan.unbudgeted)
        if plan.resized is not None:
            self.spec = {**self.spec, "replicas": plan.resized.replicas}
            self.note(NOT_REPLACED, ",".join(plan.resized.not_replaced))
        self.ask_authority(plan)

    def note(self, name: str, text: str) -> None:
        self.notes[name] = text
        self.writes += 1

    def bring(self, name: str, image: str, wish: Wish, *, renew: bool) -> None:
        key = self.secrets.setdefault(name, sha256(name.encode()).hexdigest())
        if not self.register.entries[name].key:
            self.register = self.register.keyed(name, key)
            self.writes += 1
        there = self.resources.get(name)
        if there is None:
            self.made += 1
            self.resources[name] = SeenResource(f"u-{self.made}", wish)
            self.writes += 1
        elif there.wish is not wish:
            self.change(name, wish=wish)
            self.writes += 1
        if renew and self.sets.get(name) != image:
            self.sets[name] = image
            self.writes += 1

    def attend(self, name: str, *, pod: bool, volume: bool) -> None:
        if volume and name in self.claims:
            del self.claims[name]
            self.writes += 1
        if pod and name in self.pods:
            self.pods[name].deleting = True
            self.writes += 1

    def change(self, name: str, **fields: Any) -> None:
        there = self.resources[name]
        old = {slot: getattr(there, slot) for slot in SeenResource.__slots__}
        self.resources[name] = SeenResource(**{**old, **fields})

    def ask_authority(self, plan: Plan) -> None:
        if not self.authority:
            return
        for name in plan.drains:
            known = self.roster[plan.register.entries[name].key]
            staying = [k for k in self.roster.values() if k.life in {Life.JOINING, Life.ACTIVE, Life.UNREACHABLE}]
            if len(staying) > 3:
                known.life = Life.DRAINING
                self.writes += 1
        for name in plan.dismissals:
            known = self.roster[plan.register.entries[name].key]
            known.life, known.drained, known.holds = Life.GONE, True, False
            self.writes += 1

    # What happens by itself.

    def step(self, *, lazy: Collection[str] = ()) -> None:
        """Let Kubernetes and the network do their next thing; what belongs to lazy nodes is looked at later."""
        for name in list(self.sets):
            if name not in self.resources:
                del self.sets[name]  # its owner is gone
        for name in [name for name in self.pods if name not in self.sets and name not in lazy]:
            self.pods[name].deleting = True
        for name in list(self.pods):
            self.age(name, lazy=name in lazy)
        for name in [name for name in self.sets if name not in lazy]:
            self.control(name, self.sets[name])
        if self.authority:
            self.live()

    def age(self, name: str, *, lazy: bool) -> None:
        pod = self.pods[name]
        if not pod.deleting:
            pod.age += 1
            pod.ready = pod.runs and pod.image in GOOD and pod.age > 1 and self.claims.get(name) != "Lost"
        elif not lazy:
            del self.pods[name]

    def control(self, name: str, image: str) -> None:
        """Do what a StatefulSet's controller does."""
        pod = self.pods.get(name)
        if pod is None:
            self.claims.setdefault(name, "Bound")
            self.pods[name] = Pod(image)
        elif pod.image != image:
            pod.deleting = True

    def live(self) -> None:
        """Let the members live for one step."""
        for name, entry in self.register.entries.items():
            pod = self.pods.get(name)
            if pod is not None and pod.ready and entry.key and entry.key not in self.roster:
                self.roster[entry.key] = Known(SWARMS[entry.ordinal % 2])
        up = {entry.key for name, entry in self.register.entries.items() if name in self.pods and self.pods[name].ready}
        for key, known in self.roster.items():
            known.silent = 0 if key in up else known.silent + 1
            known.holds = key in up and known.life in {Life.JOINING, Life.ACTIVE, Life.UNREACHABLE, Life.DRAINING}
            match known.life:
                case Life.ANNOUNCED if key in up:
                    known.life = Life.JOINING
                case Life.JOINING | Life.UNREACHABLE if known.holds:
                    known.life = Life.ACTIVE
                case Life.ACTIVE if known.silent > LONG:
                    known.life = Life.UNREACHABLE
        for known in self.roster.values():
            others = [k for k in self.roster.values() if k is not known and k.swarm == known.swarm]
            staying = [k for k in others if k.life in {Life.JOINING, Life.ACTIVE, Life.UNREACHABLE}]
            if known.life is Life.DRAINING and all(k.holds for k in staying):
                known.life, known.drained, known.holds = Life.GONE, True, False
