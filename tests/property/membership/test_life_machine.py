"""Networks through every mixture of arrivals, silence, wrong clocks, drains and time, under a made-up clock."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from naisho.protocol import ring
from naisho.protocol.account import ed25519_to_x25519
from naisho.protocol.directory import (
    Directory,
    Endpoint,
    Node,
    NodeState,
    SigningKeys,
    Transport,
    delegate,
    sign_directory,
    verify,
)
from naisho.protocol.directory.statements import Heartbeat, sign_certificate
from naisho.protocol.network_file import NetworkFile
from naisho.protocol.signing import SigningKey
from operators.membership.domain.admission import drain
from operators.membership.domain.assignment import FLOOR, swarm_count
from operators.membership.domain.errors import DrainRefused
from operators.membership.domain.life import Life, Member
from operators.membership.domain.planning import reconcile
from operators.membership.domain.policy import HOUR_MS, Policy
from operators.membership.domain.signs import Sign

NETWORK_ID = "n-machine"
POLICY = Policy(first_nodes=5, smallest_network=3, private_addresses=True)
START_MS = 1_800_000_000_000
ROOT, SIGNER = SigningKey(b"r" * 32), SigningKey(b"s" * 32)
NETWORK = NetworkFile(NETWORK_ID, (ROOT.public,))
KEYS = SigningKeys(NETWORK_ID, (SIGNER.public,), 1, START_MS + 1000 * 24 * HOUR_MS, 1, 10**9)
DELEGATION = delegate(KEYS, [ROOT])


@dataclass
class Simulated:
    """What a node does when it is asked for a heartbeat."""

    node: Node
    speaks: bool = True
    catches_up: bool = True
    clock_off_ms: int = 0
    doubts: frozenset[bytes] = frozenset()
    #: Shards of which it has everything.
    held: frozenset[int] = frozenset()


def make_node(index: int) -> Node:
    signer = SigningKey(sha256(b"%d" % index).digest())
    return Node(
        key=signer.public,
        x25519=ed25519_to_x25519(signer.public),
        endpoints=(Endpoint(Transport.HTTPS, "127.0.0.1", 1000 + index), Endpoint(Transport.HOP, "::1", 1000 + index)),
        family=("aoi", "bergen", "citrus")[index % 3],
        country="JP",
        version=(1, 0, 0),
        state=NodeState.JOINING,
        certificate=b"c",
        certificate_signature=sign_certificate(b"c", signer, network_id=NETWORK_ID),
    )


NODES = [make_node(index) for index in range(40)]


class Lives(RuleBasedStateMachine):
    """One authority's decisions; what it would publish is signed, verified and read by simulated nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = START_MS
        self.roster: dict[bytes, Member] = {}
        self.signs: dict[bytes, Sign] = {}
        self.nodes: dict[bytes, Simulated] = {}
        self.directory: Directory | None = None
        self.next_index = 0

    @initialize(count=st.integers(0, 16))
    def arrive(self, count: int) -> None:
        for _ in range(count):
            self.announce()

    @precondition(lambda self: self.next_index < len(NODES))
    @rule()
    def announce(self) -> None:
        node = NODES[self.next_index]
        self.next_index += 1
        self.nodes[node.key] = Simulated(node)
        self.roster[node.key] = Member(node, Life.ANNOUNCED, self.now_ms)
        self.signs[node.key] = Sign(self.now_ms)

    def pick(self, number: int) -> Simulated | None:
        known = [self.nodes[key] for key in sorted(self.nodes)]
        return known[number % len(known)] if known else None

    @rule(who=st.integers(0, 99))
    def fall_silent(self, who: int) -> None:
        if chosen := self.pick(who):
            chosen.speaks = False
            for other in self.nodes.values():
                other.doubts |= {chosen.node.key}

    @rule(who=st.integers(0, 99))
    def speak_again(self, who: int) -> None:
        if chosen := self.pick(who):
            chosen.speaks, chosen.catches_up, chosen.clock_off_ms = True, True, 0
            for other in self.nodes.values():
                other.doubts -= {chosen.node.key}

    @rule(who=st.integers(0, 99))
    def fall_behind(self, who: int) -> None:
        if chosen := self.pick(who):
            chosen.catches_up = False

    @rule(who=st.integers(0, 99), off_ms=st.sampled_from((-11_000, 9_000, 60_000)))
    def go_wrong(self, who: int, off_ms: int) -> None:
        if chosen := self.pick(who):
            chosen.clock_off_ms = off_ms

    @rule(who=st.integers(0, 99), force=st.booleans())
    def ask_to_drain(self, who: int, force: bool) -> None:  # noqa: FBT001 - hypothesis gives it by name
        chosen = self.pick(who)
        if chosen is None or self.roster.get(chosen.node.key, Member(chosen.node, Life.GONE, 0)).life in {
            Life.GONE,
            Life.ANNOUNCED,
        }:
            return
        try:
            key = chosen.node.key
            self.roster[key] = drain(key, self.roster, policy=POLICY, now_ms=self.now_ms, force=force)
        except DrainRefused:
            return

    @rule(seconds=st.sampled_from((1, 5, 14, 16, 60, 3600, 7201, 86_400)), rounds=st.integers(1, 3))
    def live(self, seconds: int, rounds: int) -> None:
        """Let time pass, then let everybody who speaks be heard, and decide, some times."""
        self.now_ms += seconds * 1000
        for _ in range(rounds):
            self.beat()
            self.decide()

    def beat(self) -> None:
        self.now_ms += 50
        for key, simulated in self.nodes.items():
            sign = self.signs.get(key)
            if not simulated.speaks or sign is None:
                continue
            shown = self.directory.by_key.get(key) if self.directory else None
            wanted = self.directory.followed(key).all if self.directory else frozenset()
            if simulated.catches_up:
                simulated.held = wanted
            beat = Heartbeat(
                key=key,
                time_ms=self.now_ms + simulated.clock_off_ms,
                caught_up=bool(wanted) and wanted <= simulated.held,
                unreachable_peers=simulated.doubts,
                epoch=self.directory.epoch if self.directory else 0,
                swarm_id=shown.planned_swarm_id if shown else ring.INVALID_SWARM,
            )
            self.signs[key] = replace(sign, heartbeat=None).heard(beat, self.now_ms)

    def decide(self) -> None:
        arguments: dict[str, Any] = {"keys": KEYS, "policy": POLICY, "now_ms": self.now_ms}
        plan = reconcile(self.roster, self.directory, self.signs, **arguments)
        before, old_roster = self.directory, self.roster
        self.roster = dict(plan.roster)
        self.signs = {key: sign for key, sign in self.signs.items() if key in self.roster}
        self.check_lives(old_roster)
        if plan.directory is not None:
            signed = sign_directory(plan.directory, DELEGATION, [SIGNER])
            self.directory = verify(signed.signed, network=NETWORK, now_ms=self.now_ms)
            self.check_succession(before, self.directory)
        again = reconcile(self.roster, self.directory, self.signs, **arguments)
        if not any(member.life is Life.DRAINING for member in self.roster.values()):  # who leaves, leaves in two steps
            assert again.directory is None, "deciding twice changes nothing"
            assert again.roster == self.roster

    def check_lives(self, old: dict[bytes, Member]) -> None:
        for key, member in self.roster.items():
            was = old[key]
            if was.life is member.life:
                continue
            sign = self.signs[key]
            if member.life is Life.ACTIVE:
                assert sign.heartbeat is not None
                assert sign.heartbeat.caught_up
                assert self.now_ms - sign.heard_ms < POLICY.missed_ms
            if member.life is Life.GONE:
                assert was.life is not Life.ACTIVE, "nobody vanishes from one moment to the next"
                if was.life is Life.UNREACHABLE:
                    assert self.now_ms - was.since_ms > POLICY.unreachable_ms
            if member.life is Life.UNREACHABLE:
                assert was.life is Life.ACTIVE

    def check_succession(self, before: Directory | None, after: Directory) -> None:
        assert after.epoch == (before.epoch + 1 if before else 1)
        assert after.previous == (before.digest if before else b"")
        if before is None:
            return
        for node in before.nodes:
            if node.state is NodeState.ACTIVE and node.key not in after.by_key:
                raise AssertionError("an active node left the directory at once")
        for node in after.active_nodes:
            old = before.by_key.get(node.key)
            if old is None or old.swarm_id != node.swarm_id:
                assert self.holds(node, after), "who begins to serve a swarm holds all of it"
        if before.swarm_ids != after.swarm_ids:
            for swarm in after.swarm_ids:
                planned = sum(n.planned_swarm_id == swarm and n.key in after.by_key for n in before.nodes)
                assert sum(self.holds(node, after) for node in after.members(swarm)) >= min(FLOOR, planned)

    def holds(self, node: Node, directory: Directory) -> bool:
        shards = frozenset(ring.shards_of(node.swarm_id, directory.swarm_ids))
        return shards <= self.nodes[node.key].held

    @invariant()
    def swarms_are_whole(self) -> None:
        if self.directory is None:
            return
        for node in self.directory.nodes:
            assert node.listed == (node.state is not NodeState.JOINING) or node.state is NodeState.DRAINING
            if node.state is NodeState.JOINING:
                assert node.next_swarm_id != ring.INVALID_SWARM
            if node.state is NodeState.DRAINING:
                assert node.next_swarm_id == ring.INVALID_SWARM
        staying = [node for node in self.directory.nodes if node.state is not NodeState.DRAINING]
        planned = Counter(node.planned_swarm_id for node in staying)
        if len(planned) > 1:
            assert min(planned.values()) >= POLICY.sizes.minimum

    def teardown(self) -> None:
        """Whatever happened: when everybody is well again, the network comes to rest, whole."""
        for simulated in self.nodes.values():
            simulated.speaks, simulated.catches_up, simulated.clock_off_ms = True, True, 0
            simulated.doubts = frozenset()
        self.now_ms += POLICY.first_wait_ms
        for _ in range(60):
            epoch = self.directory.epoch if self.directory else 0
            self.beat()
            self.decide()
            if self.directory and self.directory.epoch == epoch:
                break
        alive = [member for member in self.roster.values() if member.life is not Life.GONE]
        assert all(member.life is Life.ACTIVE for member in alive)
        if self.directory is not None:
            assert set(self.directory.by_key) == {member.node.key for member in alive}
            assert self.directory.swarm_ids == self.directory.planned_swarm_ids
            count = len(self.directory.swarm_ids)
            assert swarm_count(len(alive), count, POLICY.sizes) == count


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
