"""What each user of a network may do, and above all what not, on a real server.

The same for users that a server's configuration lists and for users that are JWTs.
"""

from __future__ import annotations

import asyncio
import json

import pytest

from services.chassis.eventlog.jetstream import JetStreamLog
from services.chassis.eventlog.port import NotPermitted
from services.chassis.eventlog.provision import StreamPlan, ensure_follower, ensure_stream, followers, remove_follower
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.errors import PermissionDenied
from tests.integration.nats.conftest import GuardedNetwork

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])


async def refused(connection: NatsConnection, subject: str, body: object = None) -> bool:
    """Tell whether a request is refused for want of permission, before any time-out."""
    try:
        await connection.request(subject, b"" if body is None else json.dumps(body).encode())
    except PermissionDenied as denied:
        return denied.subject == subject
    return False


async def test_a_node_appends_reads_and_follows(guarded: GuardedNetwork) -> None:
    names = guarded.names
    authority, node = await guarded.connect("authority"), await guarded.connect("node-a")
    await ensure_follower(authority, names.mail_stream, "node-a", [names.shard(1)])
    log = await JetStreamLog.open(node, names.mail_stream)
    follower = log.follow("node-a", [names.shard(1)], after=0)
    count = 2000  # many enough that a missing permission on some flow-control subject would show
    subject = names.mailbox(1, "cd" * 16)
    for _ in range(count // 100):
        await asyncio.gather(*(log.append(subject, b"x", ttl_s=60) for _ in range(100)))
    seen = 0
    async for batch in follower:
        seen += len(batch.events)
        if seen == count:
            break
    assert await log.read(1) is not None
    last = await log.last(subject)
    assert last is not None
    assert last.sequence == count
    assert await log.first_since(0) is not None
    assert (await log.identity()).last_sequence == count
    await log.close()
    assert guarded.faults["node-a"] == []


async def test_a_node_makes_body_keys_and_reads_the_directory(guarded: GuardedNetwork) -> None:
    names = guarded.names
    node = await guarded.connect("node-a")
    keys = await JetStreamLog.open(node, names.keys_stream)
    assert await keys.append(names.key(7), b"k" * 32, expected=0) == 1
    authority = await guarded.connect("authority")
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    node.subscribe(names.directory, lambda _subject, _reply, _headers, payload: heard.put_nowait(payload))
    await node.flush()
    membership = await JetStreamLog.open(authority, names.membership_stream)
    await membership.append(names.directory, b"signed")
    assert await asyncio.wait_for(heard.get(), 5) == b"signed"
    last = await (await JetStreamLog.open(node, names.membership_stream)).last(names.directory)
    assert last is not None
    assert last.payload == b"signed"


async def test_a_node_is_announced_and_answered(guarded: GuardedNetwork) -> None:
    authority, node = await guarded.connect("authority"), await guarded.connect("node-a")

    def answer(_subject: bytes, reply: bytes | None, _headers: bytes | None, payload: bytes) -> None:
        assert reply is not None
        authority.publish(reply.decode(), b"welcome " + payload)

    authority.subscribe(guarded.names.announce, answer)
    await authority.flush()
    assert (await node.request(guarded.names.announce, b"a")).payload == b"welcome a"


async def test_receipts_go_from_node_to_node_and_heartbeats_to_the_authority(guarded: GuardedNetwork) -> None:
    names = guarded.names
    one, other, authority = [await guarded.connect(user) for user in ("node-a", "node-b", "authority")]
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    other.subscribe(names.receipts_for("node-b"), lambda *message: heard.put_nowait(message[3]))
    authority.subscribe(names.heartbeats, lambda *message: heard.put_nowait(message[0]))
    await other.flush()
    await authority.flush()
    one.publish(names.receipts_for("node-b"), b"receipt")
    assert await asyncio.wait_for(heard.get(), 5) == b"receipt"
    one.publish(names.heartbeat("node-a"), b"alive")
    assert await asyncio.wait_for(heard.get(), 5) == names.heartbeat("node-a").encode()


@pytest.mark.parametrize("user", ["node-a", "custodian"])
async def test_neither_node_nor_custodian_makes_streams_or_consumers(guarded: GuardedNetwork, user: str) -> None:
    names, connection = guarded.names, await guarded.connect(user)
    stream = names.mail_stream
    hijack = {
        "stream_name": stream,
        "config": {"durable_name": "h", "deliver_subject": names.directory, "ack_policy": "none"},
    }
    for call in (
        f"CONSUMER.CREATE.{stream}",
        f"CONSUMER.CREATE.{stream}.h",
        f"CONSUMER.CREATE.{stream}.h.{names.shard(1)}",
        f"CONSUMER.DURABLE.CREATE.{stream}.h",
    ):
        assert await refused(connection, f"$JS.API.{call}", hijack), call
    for call in (
        f"CONSUMER.DELETE.{stream}.node-a",
        f"CONSUMER.NAMES.{stream}",
        f"STREAM.CREATE.{stream}",
        f"STREAM.UPDATE.{stream}",
        f"STREAM.DELETE.{stream}",
        f"STREAM.PURGE.{stream}",
        f"STREAM.SNAPSHOT.{stream}",
        "STREAM.MSG.GET.OTHER",
        "DIRECT.GET.OTHER",
        "STREAM.NAMES",
        "INFO",
    ):
        assert await refused(connection, f"$JS.API.{call}", {}), call
    assert len(guarded.faults[user]) == 0, "each refusal reached the call that caused it"


async def test_the_newest_directory_is_read_as_nodes_do(guarded: GuardedNetwork) -> None:
    names = guarded.names
    await (await JetStreamLog.open(await guarded.connect("authority"), names.membership_stream)).append(
        names.directory, b"signed"
    )
    node = await guarded.connect("node-a")
    reply = await node.request(f"$JS.API.DIRECT.GET.{names.membership_stream}.{names.directory}", b"")
    assert reply.payload == b"signed"
    roster = f"{names.network}.membership.event.roster"
    assert await refused(node, f"$JS.API.DIRECT.GET.{names.membership_stream}.{roster}")


async def test_a_node_does_not_erase(guarded: GuardedNetwork) -> None:
    log = await JetStreamLog.open(await guarded.connect("node-a"), guarded.names.mail_stream)
    sequence = await log.append(guarded.names.mailbox(1, "ab" * 16), b"x")
    with pytest.raises(NotPermitted):
        await log.erase(sequence)
    assert await log.read(sequence) is not None


async def test_the_custodian_erases_and_does_not_write(guarded: GuardedNetwork) -> None:
    names = guarded.names
    node = await JetStreamLog.open(await guarded.connect("node-a"), names.mail_stream)
    sequence = await node.append(names.mailbox(1, "ab" * 16), b"x")
    custodian = await JetStreamLog.open(await guarded.connect("custodian"), names.mail_stream)
    with pytest.raises(NotPermitted):
        await custodian.append(names.mailbox(1, "ab" * 16), b"forged")
    assert await custodian.erase(sequence)
    assert await node.read(sequence) is None


async def test_a_node_speaks_for_no_other(guarded: GuardedNetwork) -> None:
    names, node = guarded.names, await guarded.connect("node-a")
    authority = await guarded.connect("authority")
    await ensure_follower(authority, names.mail_stream, "node-b", [names.shard(1)])
    for subject in (
        names.heartbeat("node-b"),
        names.directory,
        f"{names.network}.membership.event.joined",
        "other-network.swarm.01.x",
        f"$JS.API.CONSUMER.MSG.NEXT.{names.mail_stream}.node-b",
        f"$JS.API.CONSUMER.RESET.{names.mail_stream}.node-b",
        f"$JS.ACK.{names.mail_stream}.node-b.1.1.1.1.0",
        "_INBOX.node-b.x",
    ):
        assert await refused(node, subject), subject


async def test_a_refused_publish_is_heard_of_though_nobody_waits(guarded: GuardedNetwork) -> None:
    node = await guarded.connect("node-a")
    node.publish(guarded.names.heartbeat("node-b"), b"forged")
    await node.flush()
    [fault] = guarded.faults["node-a"]
    assert isinstance(fault, PermissionDenied)
    assert "node-b" not in str(fault), "no subject in a text that may be logged"


async def test_a_node_reads_no_other_nodes_answers(guarded: GuardedNetwork) -> None:
    with pytest.raises(PermissionDenied):
        await guarded.connect("node-a", inbox="_INBOX.node-b")
    node = await guarded.connect("node-a")
    names = guarded.names
    others = ("_INBOX.node-b.>", "_INBOX.>", names.receipts_for("node-b"), names.receipts)
    never = (">", names.swarm, names.announce, names.heartbeats, "$JS.EVENT.>")
    for subject in (*others, *never):
        node.subscribe(subject, lambda *_: None)
    await node.flush()
    assert len(guarded.faults["node-a"]) == len(others) + len(never)
    for subject in (names.receipts_for("node-a"), *names.swarm_talk, names.directory):
        node.subscribe(subject, lambda *_: None)
    await node.flush()
    assert len(guarded.faults["node-a"]) == len(others) + len(never), "its own are allowed"


async def test_an_append_outside_the_streams_subjects_is_refused_loudly(guarded: GuardedNetwork) -> None:
    log = await JetStreamLog.open(await guarded.connect("node-a"), guarded.names.mail_stream)
    with pytest.raises(NotPermitted):
        await log.append(f"{guarded.names.network}.elsewhere", b"x")


async def test_the_authority_does_not_append_mail_and_does_not_erase(guarded: GuardedNetwork) -> None:
    log = await JetStreamLog.open(await guarded.connect("authority"), guarded.names.mail_stream)
    with pytest.raises(NotPermitted):
        await log.append(guarded.names.mailbox(1, "ab" * 16), b"x")
    with pytest.raises(NotPermitted):
        await log.erase(1)


async def test_provisioning_is_idempotent_and_replaces_what_differs(guarded: GuardedNetwork) -> None:
    names, authority = guarded.names, await guarded.connect("authority")
    log = await JetStreamLog.open(authority, names.mail_stream)
    before = await log.identity()
    plan = StreamPlan(name=names.mail_stream, subjects=(names.swarm,), max_bytes=20_000_000, max_event_bytes=50_000)
    for _ in range(2):
        await ensure_stream(authority, plan)
    assert (await log.identity()).incarnation == before.incarnation
    info = json.loads((await authority.request(f"$JS.API.STREAM.INFO.{names.mail_stream}", b"")).payload)
    assert info["config"]["max_bytes"] == 20_000_000
    for shards in ([1], [1], [1, 2], [3]):
        await ensure_follower(authority, names.mail_stream, "node-a", [names.shard(shard) for shard in shards])
    assert await followers(authority, names.mail_stream) == ["node-a"]
    assert await remove_follower(authority, names.mail_stream, "node-a")
    assert not await remove_follower(authority, names.mail_stream, "node-a")
    assert await followers(authority, names.mail_stream) == []
