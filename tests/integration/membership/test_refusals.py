"""What the authority refuses, and what nodes refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from naisho.protocol.directory import Endpoint, NodeState, SigningKeys, Transport, delegate, sign_directory
from naisho.protocol.directory.model import VALIDITY_MS, Directory
from naisho.protocol.directory.statements import Heartbeat, announce, sign_certificate, sign_heartbeat
from naisho.protocol.grade import Grade
from naisho.protocol.signing import SigningKey
from naisho.wire.directory.v1 import directory_pb2 as wire
from operators.membership.domain.errors import DrainRefused, TakenOver, UnknownNode
from services.chassis.certificates import Identity
from services.chassis.clock import Clock, SystemClock
from services.chassis.eventlog.jetstream import JetStreamLog
from services.chassis.nats.names import NetworkNames

if TYPE_CHECKING:
    from .conftest import Lab, PaperNode


async def ask(lab: Lab, statement: bytes, *, subject: str = "announce") -> str:
    connection = await lab.connect(lab.server)
    names = NetworkNames(lab.network.network_id)
    reply = await connection.request(getattr(names, subject), statement)
    return wire.AnnouncementReply.FromString(reply.payload).refusal


async def statement(lab: Lab, node: PaperNode, *, off_ms: int = 0, signer: SigningKey | None = None) -> bytes:
    return announce(
        node.node,
        signer or node.signer,
        network_id=lab.network.network_id,
        time_ms=SystemClock().now_ms() + off_ms,
    )


@pytest.fixture
async def node(lab: Lab) -> PaperNode:
    await lab.start_authority()
    return await lab.add_node(0, start=False)


async def test_a_good_announcement_is_accepted_and_may_be_repeated(lab: Lab, node: PaperNode) -> None:
    assert await ask(lab, await statement(lab, node)) == ""
    assert await ask(lab, await statement(lab, node)) == ""


@pytest.mark.parametrize(("off_ms", "way"), [(12_000, "ahead"), (-12_000, "behind")])
async def test_a_wrong_clock_is_refused_by_name(lab: Lab, node: PaperNode, off_ms: int, way: str) -> None:
    refusal = await ask(lab, await statement(lab, node, off_ms=off_ms))
    assert f"12 s {way}" in refusal
    assert "NTP" in refusal


async def test_signatures_must_hold(lab: Lab, node: PaperNode) -> None:
    stranger = SigningKey(b"x" * 32)
    assert "not signed by the node's key" in await ask(lab, await statement(lab, node, signer=stranger))
    node.node = replace(node.node, certificate_signature=b"\0" * 64)
    assert "certificate is not signed" in await ask(lab, await statement(lab, node))
    assert "cannot be parsed" in await ask(lab, b"\xff\xff")


async def test_the_certificate_must_be_the_node_s_own(lab: Lab, node: PaperNode) -> None:
    for certificate, complaint in (
        (b"no certificate", "DER"),
        (Identity.make("somebody else").certificate, "another node"),
    ):
        signature = sign_certificate(certificate, node.signer, network_id=lab.network.network_id)
        node.node = replace(node.node, certificate=certificate, certificate_signature=signature)
        assert complaint in await ask(lab, await statement(lab, node))


async def test_contacts_must_be_plausible(lab: Lab, node: PaperNode) -> None:
    assert await ask(lab, await statement(lab, node)) == ""
    other = await lab.add_node(1, start=False)
    other.node = replace(other.node, endpoints=node.node.endpoints)
    assert "each needs its own" in await ask(lab, await statement(lab, other))
    other.node = replace(other.node, endpoints=(Endpoint(Transport.HTTPS, "192.0.2.1", 443),))
    assert "no HOP endpoint" in await ask(lab, await statement(lab, other))
    await lab.stop_authority()
    lab.policy = replace(lab.policy, private_addresses=False)
    await lab.start_authority()
    assert "not public" in await ask(lab, await statement(lab, node))


async def test_only_listed_keys_may_join_where_there_is_a_list(lab: Lab, node: PaperNode) -> None:
    await lab.stop_authority()
    lab.policy = replace(lab.policy, allowed=frozenset({node.key}))
    await lab.start_authority()
    other = await lab.add_node(1, start=False)
    assert await ask(lab, await statement(lab, node)) == ""
    assert "not on the list" in await ask(lab, await statement(lab, other))


async def test_a_node_that_is_refused_says_why_and_tries_again(
    lab: Lab, skewed: Callable[[int], Clock], caplog: pytest.LogCaptureFixture
) -> None:
    lab.policy = replace(lab.policy, first_nodes=1)
    await lab.start_authority()
    clock = skewed(20_000)
    node = await lab.add_node(0, clock=clock)
    while not node.membership.refusal:  # noqa: ASYNC110 - nothing else tells of it
        await asyncio.sleep(0.01)
    assert "20 s ahead" in node.membership.refusal
    assert "20 s ahead" in caplog.text
    clock.off_ms = 0  # type: ignore[attr-defined]  # the skewed clock of this folder
    await lab.until(lambda d: bool(d.active_nodes))
    assert node.membership.refusal == ""


async def test_a_clock_that_goes_wrong_makes_a_node_unreachable(lab: Lab, skewed: Callable[[int], Clock]) -> None:
    lab.policy = replace(lab.policy, first_nodes=5)
    await lab.start_authority()
    clock = skewed(0)
    for index in range(4):
        await lab.add_node(index)
    wrong = await lab.add_node(4, clock=clock)
    await lab.until(lambda d: len(d.active_nodes) == 5)
    clock.off_ms = 11_000  # type: ignore[attr-defined]  # the skewed clock of this folder
    await lab.until(lambda d: d.by_key[wrong.key].state is NodeState.UNREACHABLE)
    shown = next(n for n in lab.authority.status()["nodes"] if n["key"] == wrong.key.hex())
    assert shown["reason"] == "its clock is off"
    assert abs(shown["clock_offset_ms"] - 11_000) < 2_000


async def test_heartbeats_of_others_and_forged_ones_change_nothing(lab: Lab) -> None:
    lab.policy = replace(lab.policy, first_nodes=3)
    await lab.start_authority()
    nodes = [await lab.add_node(index) for index in range(3)]
    before = await lab.until(lambda d: len(d.active_nodes) == 3)
    connection = await lab.connect(lab.server)
    now_ms = SystemClock().now_ms() + 1
    victim, names = nodes[1], NetworkNames(lab.network.network_id)
    forged = Heartbeat(victim.key, now_ms + 60_000, unreachable_peers=frozenset({nodes[2].key}))
    for beat, signer in ((forged, nodes[0].signer), (Heartbeat(b"s" * 32, now_ms), SigningKey(b"s" * 32))):
        signed = sign_heartbeat(beat, signer, network_id=lab.network.network_id)
        connection.publish(names.heartbeat(victim.key.hex()), signed)
    connection.publish(names.heartbeat(victim.key.hex()), b"rubbish")
    await connection.flush()
    newcomer = await lab.add_node(7)  # something that makes the authority decide
    after = await lab.until(lambda d: newcomer.key in {n.key for n in d.active_nodes})
    assert all(after.by_key[n.key].state is NodeState.ACTIVE for n in before.nodes)


async def test_a_drain_that_would_harm_is_refused(lab: Lab) -> None:
    await lab.fill(6)
    key = lab.nodes[0].key
    with pytest.raises(UnknownNode):
        await lab.authority.drain(b"?" * 32)
    with pytest.raises(DrainRefused, match="fewer than 12"):
        await lab.authority.drain(key)
    assert "fewer than 12" in await ask(lab, key, subject="drain")
    assert await ask(lab, b"!" + key, subject="drain") == ""
    await lab.until(lambda d: key not in d.by_key, node=lab.nodes[1])
    with pytest.raises(DrainRefused, match="a swarm needs 5"):
        await lab.authority.drain(lab.nodes[1].key, force=True)
    assert "only with a new key" in await ask(lab, await statement(lab, lab.nodes[0]))


async def test_nodes_believe_no_older_lower_foreign_or_split_directory(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    lab.network = replace(lab.network, lowest_grade=Grade.SINGLE_OPERATOR)
    await lab.fill(5)
    membership = lab.nodes[0].membership
    good = membership.directory
    assert good is not None
    await lab.stop_authority()
    root = SigningKey(bytes.fromhex((lab.keys / "root.key").read_text()))
    stranger = SigningKey(b"x" * 32)

    def forge(directory: Directory, signer: SigningKey = root) -> bytes:
        keys = SigningKeys(directory.network_id, (signer.public,), 1, good.expires_ms, 1, 10**6)
        return sign_directory(directory, delegate(keys, [signer]), [signer]).signed

    connection = await lab.connect(lab.server)
    names = NetworkNames(lab.network.network_id)
    newer = good.epoch + 1
    for bad in (
        forge(replace(good, epoch=newer, nodes=()), stranger),
        forge(replace(good, epoch=newer, nodes=(), network_id="n-other")),
        forge(replace(good, epoch=good.epoch - 1, nodes=())),
        forge(replace(good, nodes=())),  # another one of the same epoch
        forge(replace(good, epoch=newer, nodes=(), issued_ms=good.issued_ms - 2 * VALIDITY_MS,
                      expires_ms=good.issued_ms - VALIDITY_MS)),
        b"rubbish",
    ):  # fmt: skip
        connection.publish(names.directory, bad)
    best = forge(replace(good, epoch=newer + 1))
    connection.publish(names.directory, best)
    seen = await lab.until(lambda d: d.epoch == newer + 1)
    assert seen.nodes == good.nodes
    assert "is refused" in caplog.text


async def test_two_authorities_do_not_write_in_turn(lab: Lab) -> None:
    await lab.fill(5)
    await lab.start_authority()
    tasks = [task for _, task in lab.running]
    for index in range(9, 19):  # should both write the same in the same millisecond, nothing is wrong
        newcomer = await lab.add_node(index)
        await lab.until(lambda d, key=newcomer.key: key in {n.key for n in d.active_nodes})  # type: ignore[misc]  # bound early
        if any(task.done() for task in tasks):
            break
    (ended,) = [task for task in tasks if task.done()]
    with pytest.raises(TakenOver):
        ended.result()
    await lab.stop_authority(tasks.index(ended))
    newcomer = await lab.add_node(20)
    await lab.until(lambda d: newcomer.key in {n.key for n in d.active_nodes})


async def test_an_older_copy_of_the_log_does_not_bring_back_old_directories(lab: Lab) -> None:
    await lab.fill(5)
    before = lab.nodes[0].membership.directory
    assert before is not None
    await lab.stop_authority()
    connection = await lab.connect(lab.server)
    names = NetworkNames(lab.network.network_id)
    log = await JetStreamLog.open(connection, names.membership_stream)
    for subject in (names.directory, names.roster):  # the log has lost everything
        while (event := await log.last(subject)) is not None:
            await log.erase(event.sequence)
    lab.policy = replace(lab.policy, first_nodes=6)
    await lab.start_authority()
    late = await lab.add_node(5)  # has no directory to hand back
    lab.nodes[0].membership._on_reconnect()
    after = await lab.until(lambda d: len(d.active_nodes) == 6)
    assert after.epoch > before.epoch
    assert after.by_key[late.key].state is NodeState.ACTIVE
    assert {n.key for n in before.nodes} < set(after.by_key)
