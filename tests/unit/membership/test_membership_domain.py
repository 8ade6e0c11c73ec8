"""Decisions of the authority, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from naisho.protocol.directory import Endpoint, Node, SigningKeys, Transport
from naisho.protocol.directory.codec import MAX_NODES
from naisho.protocol.directory.model import HOUR_MS
from naisho.protocol.directory.statements import Announcement, Heartbeat
from naisho.protocol.grade import Grade
from naisho.protocol.signing import SigningKey
from operators.membership.domain.admission import admit
from operators.membership.domain.errors import NotAdmitted
from operators.membership.domain.grades import earned_grade
from operators.membership.domain.life import Life, Member
from operators.membership.domain.planning import Plan, reconcile
from operators.membership.domain.policy import Policy
from operators.membership.domain.signs import Sign, clock_reference, judge
from operators.membership.domain.status import status_of
from operators.membership.record import UnreadableRoster, decode_roster, encode_roster

if TYPE_CHECKING:
    from .conftest import Paper

POLICY = Policy(private_addresses=True, first_nodes=5)
MakeKey = Callable[[str], SigningKey]


def beat(key: bytes, now_ms: int, **changes: Any) -> Heartbeat:
    return replace(Heartbeat(key, now_ms, caught_up=True), **changes)


def signs_of(keys: list[bytes], now_ms: int, **changes: Any) -> dict[bytes, Sign]:
    return {key: Sign(now_ms).heard(beat(key, now_ms, **changes), now_ms) for key in keys}


class Network:
    """A network on paper: five active nodes in one swarm, and what is planned for them."""

    def __init__(self, paper: Paper, now_ms: int, count: int = 5) -> None:
        self.paper, self.now_ms = paper, now_ms
        self.nodes = [paper.node(index) for index in range(count)]
        self.directory = paper.sign(paper.directory(*self.nodes))
        self.roster = {node.key: Member(node, Life.ACTIVE, now_ms) for node in self.nodes}
        self.signs = self.all_well(now_ms)

    def all_well(self, now_ms: int) -> dict[bytes, Sign]:
        swarm = self.nodes[0].swarm_id
        return signs_of([node.key for node in self.nodes], now_ms, epoch=self.directory.epoch, swarm_id=swarm)

    def plan(self, now_ms: int | None = None, *, policy: Policy = POLICY, **keys: Any) -> Plan:
        delegated = SigningKeys(self.paper.network.network_id, (), 1, self.now_ms + 90 * 24 * HOUR_MS, 1, 10**6)
        return reconcile(
            self.roster,
            self.directory,
            self.signs,
            keys=replace(delegated, **keys),
            policy=policy,
            now_ms=self.now_ms if now_ms is None else now_ms,
        )

    def lives(self, plan: Plan) -> list[Life]:
        return [plan.roster[node.key].life for node in self.nodes]


@pytest.fixture
def net(paper: Paper, now_ms: int) -> Network:
    return Network(paper, now_ms)


def test_nothing_new_means_nothing_published(net: Network) -> None:
    assert net.plan().directory is None
    assert net.plan().roster == net.roster


def test_an_unchanged_directory_is_signed_again_daily(net: Network) -> None:
    day_ms = 24 * HOUR_MS
    net.signs = net.all_well(net.now_ms + day_ms - 1)
    assert net.plan(net.now_ms + day_ms - 1).directory is None
    again = net.plan(net.now_ms + day_ms).directory
    assert again is not None
    assert (again.epoch, again.previous) == (2, net.directory.digest)
    assert again.nodes == net.directory.nodes
    assert again.expires_ms - again.issued_ms == 7 * day_ms


def test_new_signing_keys_are_used_at_once_in_their_range(net: Network) -> None:
    again = net.plan(first_epoch=1000).directory
    assert again is not None
    assert again.epoch == 1000


def test_a_directory_lasts_no_longer_than_its_signing_keys(net: Network) -> None:
    net.now_ms += 24 * HOUR_MS
    net.signs = net.all_well(net.now_ms)
    again = net.plan(expires_ms=net.now_ms + HOUR_MS).directory
    assert again is not None
    assert again.expires_ms == net.now_ms + HOUR_MS


def silence(net: Network, who: int, doubters: int, now_ms: int) -> None:
    key = net.nodes[who].key
    net.signs = net.all_well(now_ms)
    net.signs[key] = Sign(net.now_ms)
    for node in [node for node in net.nodes if node.key != key][:doubters]:
        heard = beat(node.key, now_ms, epoch=1, swarm_id=node.swarm_id, unreachable_peers=frozenset({key}))
        net.signs[node.key] = Sign(now_ms).heard(heard, now_ms)


@pytest.mark.parametrize(
    ("quiet_ms", "doubters", "life"),
    [
        (14_999, 2, Life.ACTIVE),
        (15_000, 0, Life.ACTIVE),
        (15_000, 1, Life.ACTIVE),
        (15_000, 2, Life.UNREACHABLE),
    ],
)
def test_missed_and_confirmed_makes_unreachable(net: Network, quiet_ms: int, doubters: int, life: Life) -> None:
    now_ms = net.now_ms + quiet_ms
    silence(net, 0, doubters, now_ms)
    assert net.lives(net.plan(now_ms))[0] is life


def test_if_nobody_is_heard_nobody_is_blamed(net: Network) -> None:
    net.signs = {key: Sign(net.now_ms) for key in net.roster}
    assert net.plan(net.now_ms + HOUR_MS).roster == net.roster


def test_most_peers_outweigh_a_node_s_own_word(net: Network) -> None:
    key = net.nodes[0].key
    for doubters, life in ((2, Life.ACTIVE), (3, Life.UNREACHABLE)):
        silence(net, 0, doubters, net.now_ms)
        net.signs[key] = net.all_well(net.now_ms)[key]
        assert net.lives(net.plan())[0] is life


def test_an_unreachable_node_keeps_its_place_for_two_hours(net: Network) -> None:
    silence(net, 0, 4, net.now_ms + 60_000)
    lost = net.plan(net.now_ms + 60_000)
    assert lost.directory is not None
    assert len(lost.directory.listed_nodes) == 5
    net.roster = dict(lost.roster)
    for after_ms, life in ((2 * HOUR_MS, Life.UNREACHABLE), (2 * HOUR_MS + 1, Life.GONE)):
        silence(net, 0, 4, net.now_ms + 60_000 + after_ms)
        assert net.lives(net.plan(net.now_ms + 60_000 + after_ms))[0] is life


def test_gone_nodes_are_forgotten_unless_they_were_drained(net: Network) -> None:
    first, second = net.nodes[:2]
    net.roster[first.key] = Member(first, Life.GONE, net.now_ms)
    net.roster[second.key] = Member(second, Life.GONE, net.now_ms, drained=True)
    later_ms = net.now_ms + 2 * HOUR_MS + 1
    net.signs = net.all_well(later_ms)
    assert net.plan(later_ms).roster.keys() == net.roster.keys() - {first.key}


def test_if_the_authority_s_clock_is_wrong_the_nodes_are_not_blamed(net: Network) -> None:
    net.signs = {
        key: replace(sign, offset_ms=offset_ms)
        for (key, sign), offset_ms in zip(net.signs.items(), (60_000, 60_100, 59_900, 60_050, 80_000), strict=True)
    }
    assert clock_reference(net.signs.values()) == 60_000
    verdicts = judge(net.roster, net.signs, POLICY, net.now_ms)
    assert [verdict.away for verdict in verdicts.values()].count("its clock is off") == 1


def test_heartbeats_played_back_change_nothing(now_ms: int) -> None:
    sign = Sign(now_ms).heard(beat(b"k", now_ms), now_ms)
    assert sign.heard(beat(b"k", now_ms, caught_up=False), now_ms + 5) is sign
    assert sign.heard(beat(b"k", now_ms - 50, caught_up=False), now_ms + 5) is sign


def test_a_clock_set_right_is_believed(now_ms: int) -> None:
    ahead = Sign(now_ms).heard(beat(b"k", now_ms + HOUR_MS), now_ms)
    assert ahead.offset_ms == HOUR_MS
    right = ahead.heard(beat(b"k", now_ms + 3_000), now_ms + 3_000)
    assert (right.offset_ms, right.heard_ms) == (0, now_ms + 3_000)


def test_the_first_directory_waits_for_company(paper: Paper, now_ms: int) -> None:
    nodes = [paper.node(index) for index in range(4)]
    roster = {node.key: Member(node, Life.ANNOUNCED, now_ms) for node in nodes}
    keys = SigningKeys("n-1", (), 1, now_ms + HOUR_MS, 1, 99)
    signs: Mapping[bytes, Sign] = {key: Sign(now_ms) for key in roster}

    def plan(at_ms: int) -> Plan:
        return reconcile(roster, None, signs, keys=keys, policy=POLICY, now_ms=at_ms)

    waiting = plan(now_ms + POLICY.first_wait_ms - 1)
    assert waiting.directory is None
    assert "waits for 5 nodes; 4 have" in waiting.waits[0]
    begun = plan(now_ms + POLICY.first_wait_ms).directory
    assert begun is not None
    assert (begun.epoch, begun.previous, len(begun.nodes)) == (1, b"", 4)


# Admission.


def admitted(paper: Paper, now_ms: int, node: Node, roster: dict[bytes, Member], **policy: Any) -> Member:
    del paper
    return admit(Announcement(node, now_ms), roster, policy=replace(POLICY, **policy), now_ms=now_ms)


def test_a_known_node_only_changes_what_it_says(net: Network) -> None:
    moved = replace(net.nodes[0], endpoints=(*net.nodes[0].endpoints[:1], Endpoint(Transport.HOP, "10.9.9.9", 9)))
    member = admitted(net.paper, net.now_ms, moved, net.roster)
    assert (member.life, member.since_ms, member.node) == (Life.ACTIVE, net.now_ms, moved)


def test_a_gone_node_comes_back_unless_it_was_drained(net: Network) -> None:
    node = net.nodes[0]
    net.roster[node.key] = Member(node, Life.GONE, 0)
    assert admitted(net.paper, net.now_ms, node, net.roster).life is Life.ANNOUNCED
    net.roster[node.key] = Member(node, Life.GONE, 0, drained=True)
    with pytest.raises(NotAdmitted, match="new key"):
        admitted(net.paper, net.now_ms, node, net.roster)


def test_a_full_network_says_so(paper: Paper, now_ms: int) -> None:
    member = Member(replace(paper.node(1), endpoints=()), Life.ACTIVE, 0)
    roster = {index.to_bytes(32, "big"): member for index in range(MAX_NODES)}
    with pytest.raises(NotAdmitted, match="full"):
        admitted(paper, now_ms, paper.node(2), roster)


def test_clocks_are_compared_with_most_nodes_clocks(net: Network) -> None:
    ahead = Announcement(net.nodes[0], net.now_ms + 30_000)
    assert admit(ahead, net.roster, policy=POLICY, now_ms=net.now_ms, clock_offset_ms=29_000)
    with pytest.raises(NotAdmitted, match="30 s ahead"):
        admit(ahead, net.roster, policy=POLICY, now_ms=net.now_ms)


# Grades.


def at(paper: Paper, index: int, family: str, *hosts: str) -> Node:
    endpoints = tuple(Endpoint(Transport.HTTPS, host, 443 + place) for place, host in enumerate(hosts))
    return paper.node(index, family=family, endpoints=endpoints)


def test_independent_needs_three_families_in_three_networks(paper: Paper) -> None:
    def earned(*nodes: Node) -> Grade:
        return earned_grade(Grade.INDEPENDENT, nodes)

    a, b, c = at(paper, 1, "a", "192.0.2.1"), at(paper, 2, "b", "198.51.100.1"), at(paper, 3, "c", "203.0.113.1")
    assert earned(a, b, c) is Grade.INDEPENDENT
    assert earned(a, b) is Grade.SINGLE_OPERATOR
    assert earned(a, b, at(paper, 3, "b", "203.0.113.1")) is Grade.SINGLE_OPERATOR
    assert earned(a, b, at(paper, 3, "c", "192.0.2.200")) is Grade.SINGLE_OPERATOR
    assert earned(a, b, at(paper, 3, "c", "203.0.113.1", "192.0.2.9")) is Grade.SINGLE_OPERATOR
    assert earned(a, b, at(paper, 3, "c", "node.example")) is Grade.SINGLE_OPERATOR
    assert earned(a, b, at(paper, 3, "c", "2001:db8:1::1")) is Grade.INDEPENDENT
    assert earned_grade(Grade.SINGLE_OPERATOR, (a, b, c)) is Grade.SINGLE_OPERATOR


def test_a_directory_falls_back_to_what_is_true(net: Network) -> None:
    plan = net.plan(policy=replace(POLICY, grade=Grade.INDEPENDENT))
    assert plan.directory is not None, "three families in three networks: a new grade is news"
    assert plan.directory.grade is Grade.INDEPENDENT
    net.directory = net.paper.sign(plan.directory)
    one_family = [replace(node, family="aoi") for node in net.nodes]
    net.roster = {node.key: Member(node, Life.ACTIVE, net.now_ms) for node in one_family}
    after = net.plan(policy=replace(POLICY, grade=Grade.INDEPENDENT)).directory
    assert after is not None
    assert after.grade is Grade.SINGLE_OPERATOR


# Record and status.


def test_a_roster_reads_back_the_same(net: Network) -> None:
    bare = {
        key: replace(member, node=replace(member.node, swarm_id=2**64 - 1, state=net.paper.node(0).state))
        for key, member in net.roster.items()
    }
    found = decode_roster(encode_roster(bare))
    assert found.keys() == bare.keys()
    assert [member.life for member in found.values()] == [Life.ACTIVE] * 5
    shuffled = dict(reversed(list(found.items())))
    assert encode_roster(shuffled) == encode_roster(found)


@pytest.mark.parametrize("data", [b"\xff", b"\x08\x02", b"\x08\x01\x12\x02\x0a\x00"])
def test_an_unreadable_roster_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableRoster):
        decode_roster(data)


def test_status_names_everything_an_operator_asks_for(net: Network) -> None:
    newcomer = net.paper.node(9)
    net.roster[newcomer.key] = Member(newcomer, Life.ANNOUNCED, net.now_ms, "announced itself")
    status = status_of(
        net.directory, now_ms=net.now_ms + 27 * HOUR_MS, roster=net.roster, signs=net.signs, waits=("for Godot",)
    )
    assert (status["epoch"], status["grade"], status["freshness"]) == (1, "single-operator", "stale")
    assert status["states"] == {"active": 5}
    assert status["families"] == {"aoi": 2, "bergen": 2, "citrus": 1}
    assert status["countries"] == {"JP": 2, "NO": 2, "PT": 1}
    assert status["swarms"] == [{"id": "00ffffffffffffff", "members": 5, "active": 5, "planned": 5, "families": 3}]
    assert status["waits"] == ["for Godot"]
    states = {node["key"]: (node["state"], node["swarm"], node["lag"]) for node in status["nodes"]}
    assert states[newcomer.key.hex()] == ("announced", None, None)
    assert states[net.nodes[0].key.hex()] == ("active", "00ffffffffffffff", 0)


def test_status_before_the_first_directory(now_ms: int) -> None:
    status = status_of(None, now_ms=now_ms)
    assert (status["epoch"], status["freshness"], status["nodes"], status["swarms"]) == (0, None, [], [])


def test_only_known_steps_lead_through_a_life(paper: Paper, now_ms: int) -> None:
    member = Member(paper.node(0), Life.ACTIVE, now_ms)
    with pytest.raises(ValueError, match="from ACTIVE to GONE"):
        member.becomes(Life.GONE, now_ms, "")
