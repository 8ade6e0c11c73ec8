"""``retrieve`` (wire 4.7)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from services.swarm.domain.retrieve_request import RetrieveRequest, message_cost

if TYPE_CHECKING:
    from .conftest import Owner, World

DAY = 86_400_000
CAP = 7_800_000


async def test_messages_come_in_order_with_all_they_have(world: World, owner: Owner) -> None:
    hashes = [await owner.store(data, timestamp=world.now - 1, ttl=DAY) for data in (b"b", b"a", b"c")]
    status, body = await owner.retrieve()
    assert status == 200
    assert body == {
        "messages": [
            {
                "hash": message_hash,
                "timestamp": world.now - 1,
                "expiration": world.now - 1 + DAY,
                "data": base64.b64encode(data).decode(),
            }
            for message_hash, data in zip(hashes, (b"b", b"a", b"c"), strict=True)
        ],
        "more": False,
        "t": world.now,
        "hf": [19, 6],
    }


@pytest.mark.parametrize("name", ["last_hash", "lastHash"])
async def test_listing_goes_on_behind_the_last_hash(owner: Owner, name: str) -> None:
    hashes = [await owner.store(b"%d" % number) for number in range(4)]
    for at, last in enumerate(hashes, 1):
        body = (await owner.retrieve(0, **{name: last})).body
        assert [message["hash"] for message in body["messages"]] == hashes[at:]


@pytest.mark.parametrize("last", ["", None, "A" * 43, "B" * 42 + "B"])
async def test_an_unknown_or_empty_last_hash_is_the_beginning(owner: Owner, last: Any) -> None:
    await owner.store(b"hello")
    assert len((await owner.retrieve(last_hash=last)).body["messages"]) == 1


async def test_an_expired_last_hash_is_the_beginning(world: World, owner: Owner) -> None:
    expired = await owner.store(b"brief", ttl=10_000)
    await owner.store(b"hello")
    world.now += 10_000
    assert len((await owner.retrieve(last_hash=expired)).body["messages"]) == 1


@pytest.mark.parametrize("last", ["A" * 42, "A" * 44, 7, [], "a" * 100_000])
async def test_a_last_hash_of_the_wrong_form_is_refused(owner: Owner, last: Any) -> None:
    assert await owner.retrieve(last_hash=last) == (
        400,
        "invalid request: Invalid value given for 'last_hash': expected message hash of 43 base64 characters",
    )


async def test_a_count_stops_the_listing(owner: Owner) -> None:
    for number in range(3):
        await owner.store(b"%d" % number)
    for count, listed, more in ((1, 1, True), (2, 2, True), (3, 3, False), (4, 3, False), (0, 3, False)):
        body = (await owner.retrieve(max_count=count)).body
        assert (len(body["messages"]), body["more"]) == (listed, more)
    assert (await owner.retrieve(max_count=-1)).status == 400


async def test_a_size_stops_the_listing_but_one_message_always_comes(owner: Owner) -> None:
    for number in range(3):
        await owner.store(b"%d" % number * 300)
    cost = message_cost(300)
    assert cost == 100 + 43 + 400
    for size, listed in ((1, 1), (2 * cost - 1, 1), (2 * cost, 2), (3 * cost - 1, 2), (3 * cost, 3), (10**15, 3)):
        body = (await owner.retrieve(max_size=size)).body
        assert (len(body["messages"]), body["more"]) == (listed, listed < 3)


@pytest.mark.parametrize(
    ("given", "budget"),
    [
        ({}, CAP // 5),
        ({"max_size": 0}, CAP // 5),
        ({"max_size": None, "max_count": None}, CAP // 5),
        ({"max_count": 0}, CAP // 5),
        ({"max_count": 5}, CAP),
        ({"max_count": 5, "max_size": -2}, CAP // 2),
        ({"max_size": -1}, CAP),
        ({"max_size": -2}, CAP // 2),
        ({"max_size": -8}, CAP // 8),
        ({"maxSize": -8}, CAP // 8),
        ({"max_size": -(10**12)}, 0),
        ({"max_size": 1}, 1),
        ({"max_size": CAP}, CAP),
        ({"max_size": CAP + 1}, CAP),
        ({"max_size": 2**62}, CAP),
    ],
)
def test_size_budgets(given: dict[str, Any], budget: int) -> None:
    assert RetrieveRequest.parse({"pubkey": "05" + "00" * 32, **given}).max_bytes == budget


async def test_a_listing_must_be_signed(world: World, owner: Owner) -> None:
    for namespace in (0, 2, 10, -11, 32_767):
        assert await world.call("retrieve", {"pubkey": owner.hex, "namespace": namespace, "timestamp": world.now}) == (
            401,
            "retrieve: request signature required",
        )


@pytest.mark.parametrize("namespace", [-10, -1, -21, -41])
async def test_some_namespaces_anybody_may_read(world: World, owner: Owner, namespace: int) -> None:
    await owner.store(b"hello", namespace=namespace)
    status, body = await world.call("retrieve", {"pubkey": owner.hex, "namespace": namespace})
    assert status == 200
    assert len(body["messages"]) == 1


@pytest.mark.parametrize("namespace", [0, 2, -10, -21])
async def test_a_signature_that_is_given_must_be_right(owner: Owner, namespace: int) -> None:
    failed = (401, "retrieve signature verification failed")
    assert await owner.retrieve(namespace, signature=owner.sign("something else")) == failed
    assert await owner.retrieve(namespace, pubkey_ed25519="11" * 32) == failed
    assert await owner.retrieve(namespace, pubkey_ed25519=None) == failed
    assert (await owner.retrieve(namespace, timestamp=None)) == (
        400,
        "invalid request: Required field 'timestamp' missing",
    )


@pytest.mark.parametrize(("offset", "status"), [(60_000, 200), (60_001, 406), (-60_000, 200), (-60_001, 406)])
async def test_times(world: World, owner: Owner, offset: int, status: int) -> None:
    at = world.now + offset
    outcome = await world.call("retrieve", owner.signed(f"retrieve{at}", timestamp=at))
    assert outcome.status == status
    assert status == 200 or outcome == (406, "retrieve timestamp too far from current time")


async def test_time_is_checked_before_the_signature(world: World, owner: Owner) -> None:
    params = owner.signed("wrong", timestamp=world.now - 61_000)
    assert (await world.call("retrieve", params)).status == 406


async def test_the_swarm_is_checked_before_everything_else(world: World, owner: Owner) -> None:
    world.add_other_swarm(owner.keys.account_id.raw)
    assert (await world.call("retrieve", {"pubkey": owner.hex})).status == 421


async def test_namespaces_are_apart(owner: Owner) -> None:
    await owner.store(b"hello")
    await owner.store(b"hello", namespace=2)
    assert await owner.listed(0) == [b"hello"]
    assert await owner.listed(2) == [b"hello"]
    assert await owner.listed(3) == []


async def test_a_whole_batch_of_listings_stays_below_the_onion_limit(world: World, owner: Owner) -> None:
    for number in range(120):
        await owner.store((b"%d" % number).ljust(76_800), namespace=-10)
    requests = [{"method": "retrieve", "params": {"pubkey": owner.hex, "namespace": -10, "max_size": -1}}] * 20
    reply = await world.rpc.handle(2, orjson.dumps({"method": "batch", "params": {"requests": requests}}))
    assert reply.status == 200
    assert len(orjson.dumps({"status": 200, "body": reply.body.decode()})) * 4 // 3 < 10 * 1024 * 1024
    first, *others = orjson.loads(reply.body)["results"]
    assert len(first["body"]["messages"]) == CAP // message_cost(76_800)
    assert [other["body"]["messages"] for other in others] == [[]] * 19
    assert all(result["body"]["more"] for result in (first, *others))


async def test_a_batch_that_divides_the_cap_gets_all_that_it_asked_for(world: World, owner: Owner) -> None:
    for number in range(120):
        await owner.store((b"%d" % number).ljust(76_800), namespace=-10)
    shares = [{"pubkey": owner.hex, "namespace": -10, "max_size": size} for size in (-2, -8, -8, -8, -8)]
    requests = [{"method": "retrieve", "params": params} for params in shares]
    _, body = await world.call("batch", {"requests": requests})
    counts = [len(result["body"]["messages"]) for result in body["results"]]
    assert counts == [CAP // 2 // message_cost(76_800)] + [CAP // 8 // message_cost(76_800)] * 4
