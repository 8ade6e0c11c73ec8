"""``store`` (wire 4.6), in the order of its checks."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from naisho.protocol.message_hash import message_hash
from naisho.protocol.signing import verify
from services.swarm.domain.policies import Quotas

if TYPE_CHECKING:
    from .conftest import Owner, World

DAY = 86_400_000
TOO_LONG = (400, "Message body exceeds maximum allowed length of 76800 bytes")
BAD_EXPIRY = (403, "Provided expiry/TTL is not valid.")
BAD_CLOCK = (406, "Timestamp error: check your clock")


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


async def test_the_answer_holds_every_members_signed_result(world: World, owner: Owner) -> None:
    status, body = await world.call("store", owner.store_params(b"hello"))
    assert status == 200
    digest = message_hash(owner.keys.account_id.raw, 0, b"hello")
    assert body.keys() == {"swarm", "hash", "t", "hf"}
    assert (body["hash"], body["t"], body["hf"]) == (digest, world.now, [19, 6])
    assert body["swarm"].keys() == {member.public.hex() for member in world.members}
    for number, (key, result) in enumerate(body["swarm"].items()):
        assert result.pop("t", None) == (world.now if number == 0 else None)
        assert verify(bytes.fromhex(key), digest.encode(), base64.b64decode(result.pop("signature")))
        assert result == {"hash": digest, "expiry": world.now + DAY}


async def test_a_repeated_store_is_marked_and_keeps_the_later_expiry(world: World, owner: Owner) -> None:
    first = await owner.store(b"hello", ttl=2 * DAY)
    _, body = await world.call("store", owner.store_params(b"hello", ttl=DAY))
    assert body["hash"] == first
    assert all(r["already"] is True and r["expiry"] == world.now + 2 * DAY for r in body["swarm"].values())
    _, body = await world.call("store", owner.store_params(b"hello", ttl=3 * DAY))
    assert all(r["already"] is True and r["expiry"] == world.now + 3 * DAY for r in body["swarm"].values())
    assert await owner.listed() == [b"hello"]


@pytest.mark.parametrize("padded", [True, False])
async def test_data_may_come_with_or_without_padding(world: World, owner: Owner, padded: bool) -> None:  # noqa: FBT001
    text = b64(b"hello") if padded else b64(b"hello").rstrip("=")
    assert (await world.call("store", owner.store_params(b"") | {"data": text})).status == 200
    assert await owner.listed() == [b"hello"]


async def test_old_names_and_decimal_strings(world: World, owner: Owner) -> None:
    params = {"pubKey": owner.hex, "timestamp": str(world.now), "ttl": str(DAY), "data": b64(b"hello")}
    status, body = await world.call("store", params)
    assert status == 200
    assert body["swarm"][world.members[0].public.hex()]["expiry"] == world.now + DAY
    params = {"pubkey": owner.hex, "timestamp": str(world.now), "expiry": str(world.now + DAY), "data": b64(b"again")}
    assert (await world.call("store", params)).status == 200


async def test_the_longest_message_fits_and_a_longer_one_does_not(world: World, owner: Owner) -> None:
    assert (await world.call("store", owner.store_params(bytes(76_800)))).status == 200
    assert await world.call("store", owner.store_params(bytes(76_801))) == TOO_LONG
    assert await world.call("store", owner.store_params(bytes(1_000_000))) == TOO_LONG
    assert await world.call("store", owner.store_params(b"") | {"data": "*" * 102_401}) == TOO_LONG


async def test_length_comes_before_swarm_and_swarm_before_the_rest(world: World, owner: Owner) -> None:
    world.add_other_swarm(owner.keys.account_id.raw)
    wrong: dict[str, Any] = {"ttl": 1, "timestamp": world.now + DAY, "namespace": 2}
    assert await world.call("store", owner.store_params(bytes(76_801), **wrong)) == TOO_LONG
    assert (await world.call("store", owner.store_params(b"hello", **wrong))).status == 421


async def test_lifetime_comes_before_time_and_time_before_signature(world: World, owner: Owner) -> None:
    wrong = {"timestamp": world.now + DAY, "namespace": 2}
    assert await world.call("store", owner.store_params(b"hello", ttl=1, **wrong)) == BAD_EXPIRY
    assert await world.call("store", owner.store_params(b"hello", **wrong)) == BAD_CLOCK
    wrong["timestamp"] = world.now
    assert (await world.call("store", owner.store_params(b"hello", **wrong))).status == 401


@pytest.mark.parametrize(("namespace", "longest"), [(0, 14 * DAY), (20, 14 * DAY), (-20, 14 * DAY), (-10, 30 * DAY)])
async def test_lifetimes(world: World, owner: Owner, namespace: int, longest: int) -> None:
    for ttl, allowed in (
        (9_999, False),
        (10_000, True),
        (longest, True),
        (longest + 1, False),
        (0, False),
        (-DAY, False),
    ):
        outcome = await world.call("store", owner.store_params(b"%d" % ttl, namespace=namespace, ttl=ttl))
        assert (outcome.status == 200) == allowed
        assert allowed or outcome == BAD_EXPIRY


async def test_private_mail_may_live_longer(world: World, owner: Owner) -> None:
    for ttl, status in ((30 * DAY, 200), (30 * DAY + 1, 403)):
        signed = owner.signed(f"store2{world.now}")
        params = owner.store_params(b"hello", ttl=ttl, namespace=2) | signed
        assert (await world.call("store", params)).status == status


@pytest.mark.parametrize(
    ("offset", "ttl", "status"),
    [
        (10_000, DAY, 200),
        (10_001, DAY, 406),
        (-DAY, DAY - 10_000, 200),
        (-DAY, DAY - 10_001, 406),
        (-13 * DAY, 14 * DAY, 200),
        (60_000, DAY, 406),
        (-3_600_000, DAY, 200),
    ],
)
async def test_a_messages_own_time(world: World, owner: Owner, offset: int, ttl: int, status: int) -> None:
    outcome = await world.call("store", owner.store_params(b"hello", timestamp=world.now + offset, ttl=ttl))
    assert outcome.status == status
    assert status == 200 or outcome == BAD_CLOCK


@pytest.mark.parametrize("namespace", [0, 10, -20, -10, 32_760])
async def test_anybody_may_store_into_open_namespaces_whatever_the_signature(
    world: World, owner: Owner, namespace: int
) -> None:
    for signed in ({}, {"signature": "A" * 86, "pubkey_ed25519": "00" * 32, "sig_timestamp": world.now - DAY}):
        assert (await world.call("store", owner.store_params(b"hello", namespace=namespace, **signed))).status == 200


@pytest.mark.parametrize("namespace", [2, 3, 11, -11, -21, -1, 21, 32_767, -32_768])
async def test_other_namespaces_want_the_owners_signature(world: World, owner: Owner, namespace: int) -> None:
    params = owner.store_params(b"hello", namespace=namespace)
    required = f"store: signature required to store to namespace {namespace}"
    assert await world.call("store", params) == (401, required)
    signed = owner.signed(f"store{namespace}{world.now}")
    assert (await world.call("store", params | signed)).status == 200
    forged = owner.signed(f"store{namespace + 1}{world.now}")
    assert await world.call("store", params | forged) == (401, "store signature verification failed")


@pytest.mark.parametrize(("offset", "status"), [(60_000, 200), (60_001, 406), (-60_000, 200), (-60_001, 406)])
async def test_the_signatures_own_time(world: World, owner: Owner, offset: int, status: int) -> None:
    at = world.now + offset
    params = owner.store_params(b"hello", namespace=2, sig_timestamp=at) | owner.signed(f"store2{at}")
    outcome = await world.call("store", params)
    assert outcome.status == status
    assert status == 200 or outcome == (406, "store signature timestamp too far from current time")


async def test_without_a_time_of_its_own_the_signature_has_the_messages(world: World, owner: Owner) -> None:
    at = world.now - 61_000
    params = owner.store_params(b"hello", namespace=2, timestamp=at) | owner.signed(f"store2{at}")
    assert (await world.call("store", params)).status == 406


async def test_the_test_namespace_takes_nothing_and_is_empty(world: World, owner: Owner) -> None:
    params = owner.store_params(b"hello", namespace=-3741) | owner.signed(f"store-3741{world.now}")
    assert await world.call("store", params) == (403, "store: namespace -3741 is for tests and takes no messages")
    status, body = await world.call("retrieve", {"pubkey": owner.hex, "namespace": -3741})
    assert (status, body["messages"], body["more"]) == (200, [], False)


async def test_a_public_outbox_keeps_the_last_message(owner: Owner) -> None:
    for data in (b"first", b"second"):
        await owner.store(data, namespace=-21)
    assert await owner.listed(-21) == [b"second"]


async def test_the_wrong_swarm_answers_with_the_right_one(world: World, owner: Owner) -> None:
    world.add_other_swarm(owner.keys.account_id.raw)
    outcome = await world.call("store", owner.store_params(b"hello"))
    assert outcome.status == 421
    assert outcome.body == (await world.call("get_swarm", {"pubkey": owner.hex})).body
    assert [node["ip"] for node in outcome.body["snodes"]] == ["10.0.0.11", "10.0.0.12", "10.0.0.13"]


async def test_a_full_mailbox_refuses(make_world: type[World], make_owner: type[Owner]) -> None:
    world = make_world(quotas=Quotas(namespace_messages=2))
    owner = make_owner(world)
    await owner.store(b"one")
    await owner.store(b"two")
    status, text = await world.call("store", owner.store_params(b"three"))
    assert (status, text) == (403, "Mailbox full: at most 2 messages in one namespace; delete some or let them expire")
    assert await owner.listed() == [b"one", b"two"]


async def test_if_no_member_succeeded_the_status_says_so(world: World, owner: Owner) -> None:
    execute = world.mailboxes.execute

    async def failing(*command: Any) -> Any:
        answer = await execute(*command)
        for key in answer.members:
            answer.members[key] = {"failed": True, "timeout": True}
        return answer

    world.mailboxes.execute = failing  # type: ignore[method-assign,assignment]  # a swarm in trouble
    status, body = await world.call("store", owner.store_params(b"hello"))
    assert status == 500
    assert all(result == {"failed": True, "timeout": True} for result in body["swarm"].values())
    assert "hash" in body


async def test_one_member_is_enough(world: World, owner: Owner) -> None:
    execute = world.mailboxes.execute

    async def failing(*command: Any) -> Any:
        answer = await execute(*command)
        for key in list(answer.members)[1:]:
            answer.members[key] = {"failed": True, "timeout": True}
        return answer

    world.mailboxes.execute = failing  # type: ignore[method-assign,assignment]  # a swarm in trouble
    status, body = await world.call("store", owner.store_params(b"hello"))
    assert status == 200
    assert sum("failed" in result for result in body["swarm"].values()) == 2
