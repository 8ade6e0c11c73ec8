"""``delete`` and its kin, ``expire`` and its kin (wire 4.8)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from naisho.protocol.signing import verify

if TYPE_CHECKING:
    from .conftest import Outcome, Owner, World

DAY = 86_400_000
UNKNOWN = "A" * 43
ONE_OR_EACH = "integer or array of integers, one for each message"


def results(world: World, outcome: Outcome, text: str) -> dict[str, Any]:
    """Return the result that all members agree on, having verified every signature over ``text``."""
    assert outcome.status == 200, outcome.body
    assert (outcome.body["t"], outcome.body["hf"]) == (world.now, [19, 6])
    found = list(outcome.body["swarm"].items())
    assert [key for key, _ in found] == [member.public.hex() for member in world.members]
    for key, result in found:
        assert verify(bytes.fromhex(key), text.encode(), base64.b64decode(result.pop("signature")))
    assert all(result == found[0][1] for _, result in found)
    return dict(found[0][1])


async def test_delete(world: World, owner: Owner) -> None:
    one, two = await owner.store(b"one"), await owner.store(b"two", namespace=2)
    asked = [two, UNKNOWN, one]
    outcome = await world.call("delete", owner.signed("delete" + "".join(asked), messages=asked))
    gone = sorted([one, two])
    assert results(world, outcome, owner.hex + "".join(asked) + "".join(gone)) == {"deleted": gone}
    assert await owner.listed(0) == await owner.listed(2) == []


async def test_a_single_hash_stands_for_a_list(world: World, owner: Owner) -> None:
    one = await owner.store(b"one")
    outcome = await world.call("delete", owner.signed("delete" + one, messages=one))
    assert results(world, outcome, owner.hex + one + one) == {"deleted": [one]}


async def test_a_required_deletion_of_nothing_is_404_with_the_usual_body(world: World, owner: Owner) -> None:
    params = owner.signed("delete" + UNKNOWN, messages=[UNKNOWN])
    assert (await world.call("delete", params | {"required": False})).status == 200
    status, body = await world.call("delete", params | {"required": True})
    assert status == 404
    assert all(result["deleted"] == [] for result in body["swarm"].values())
    assert {"t", "hf"} <= body.keys()
    assert (await world.call("delete", params | {"required": "yes"})) == (
        400,
        "invalid request: Invalid value given for 'required': expected boolean",
    )


@pytest.mark.parametrize(
    "names", [("delete_all", "timestamp"), ("delete_before", "before"), ("expire_all", "expiry")], ids=lambda n: n[0]
)
@pytest.mark.parametrize(
    ("namespace", "text"), [(None, ""), (0, ""), (5, "5"), (-10, "-10"), ("all", "all"), (32_767, "32767")]
)
async def test_whole_namespaces(
    world: World, owner: Owner, names: tuple[str, str], namespace: int | str | None, text: str
) -> None:
    method, field = names
    stored = {n: await owner.store(b"one", namespace=n) for n in (0, 5, -10)}
    world.now += 1000
    params = owner.signed(f"{method}{text}{world.now}", **{field: world.now})
    if namespace is not None:
        params["namespace"] = namespace
    outcome = await world.call(method, params)
    key = "updated" if method == "expire_all" else "deleted"
    if namespace == "all":
        expected: Any = {str(n): [message] for n, message in stored.items()}
        hashes = sorted(stored.values())
    else:
        hashes = [stored[namespace or 0]] if (namespace or 0) in stored else []  # type: ignore[index]  # no "all" here
        expected = hashes
    assert results(world, outcome, f"{owner.hex}{world.now}{''.join(hashes)}") == {key: expected}
    left = [n for n in stored if await owner.listed(n)]
    assert left == [n for n in stored if stored[n] not in hashes]


@pytest.mark.parametrize(("offset", "status"), [(60_000, 200), (60_001, 406), (-60_000, 200), (-60_001, 406)])
async def test_times_of_delete_all(world: World, owner: Owner, offset: int, status: int) -> None:
    at = world.now + offset
    outcome = await world.call("delete_all", owner.signed(f"delete_all{at}", timestamp=at))
    assert outcome.status == status
    assert status == 200 or outcome == (406, "delete_all timestamp too far from current time")


@pytest.mark.parametrize(("offset", "status"), [(60_000, 200), (60_001, 401), (-400 * DAY, 200)])
async def test_times_of_delete_before(world: World, owner: Owner, offset: int, status: int) -> None:
    at = world.now + offset
    outcome = await world.call("delete_before", owner.signed(f"delete_before{at}", before=at))
    assert outcome.status == status
    assert status == 200 or outcome == (401, "delete_before timestamp too far in the future")


@pytest.mark.parametrize(("offset", "status"), [(-60_000, 200), (-60_001, 401), (400 * DAY, 200)])
async def test_times_of_expire(world: World, owner: Owner, offset: int, status: int) -> None:
    at = world.now + offset
    outcome = await world.call("expire", owner.signed(f"expire{at}{UNKNOWN}", messages=[UNKNOWN], expiry=at))
    assert outcome.status == status
    assert status == 200 or outcome == (401, "expire: timestamp should be >= current time")


@pytest.mark.parametrize(("offset", "status"), [(-60_000, 200), (-60_001, 406), (400 * DAY, 200)])
async def test_times_of_expire_all(world: World, owner: Owner, offset: int, status: int) -> None:
    at = world.now + offset
    outcome = await world.call("expire_all", owner.signed(f"expire_all{at}", expiry=at))
    assert outcome.status == status
    assert status == 200 or outcome == (406, "expire_all timestamp should be >= current time")


@pytest.mark.parametrize(("offset", "status"), [(60_000, 200), (60_001, 406), (-60_000, 200), (-60_001, 406)])
async def test_times_of_get_expiries(world: World, owner: Owner, offset: int, status: int) -> None:
    at = world.now + offset
    params = owner.signed(f"get_expiries{at}{UNKNOWN}", messages=[UNKNOWN], timestamp=at)
    outcome = await world.call("get_expiries", params)
    assert outcome.status == status
    assert status == 200 or outcome == (406, "get_expiries timestamp too far from current time")


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("delete", {"messages": [UNKNOWN]}),
        ("delete_all", {"timestamp": 1_700_000_000_000}),
        ("delete_before", {"before": 1_700_000_000_000}),
        ("expire", {"messages": [UNKNOWN], "expiry": 1_700_000_000_000}),
        ("expire_all", {"expiry": 1_700_000_000_000}),
        ("get_expiries", {"messages": [UNKNOWN], "timestamp": 1_700_000_000_000}),
    ],
)
async def test_wrong_signatures_and_wrong_swarms(
    world: World, owner: Owner, method: str, params: dict[str, Any]
) -> None:
    refused = (401, f"{method} signature verification failed")
    await owner.store(b"one")
    assert await world.call(method, owner.signed("something else", **params)) == refused
    assert await world.call(method, {"pubkey": owner.hex, "signature": "A" * 86, **params}) == refused
    assert await owner.listed() == [b"one"]
    world.add_other_swarm(owner.keys.account_id.raw)
    assert (await world.call(method, owner.signed("something else", **params))).status == 421


async def test_expire_sets(world: World, owner: Owner) -> None:
    one, two = await owner.store(b"one", ttl=DAY), await owner.store(b"two", ttl=3 * DAY)
    at = world.now + 2 * DAY
    params = owner.signed(f"expire{at}{one}{two}{UNKNOWN}", messages=[one, two, UNKNOWN], expiry=at)
    updated = sorted([one, two])
    text = f"{owner.hex}{at}{one}{two}{UNKNOWN}{''.join(updated)}"
    assert results(world, await world.call("expire", params), text) == {"expiry": at, "updated": updated}


@pytest.mark.parametrize(("field", "mode"), [("extend", "extend"), ("extends", "extend"), ("shorten", "shorten")])
async def test_expire_one_way(world: World, owner: Owner, field: str, mode: str) -> None:
    one, two = await owner.store(b"one", ttl=DAY), await owner.store(b"two", ttl=3 * DAY)
    at = world.now + 2 * DAY
    params = owner.signed(f"expire{mode}{at}{one}{two}", messages=[one, two], expiry=at, **{field: True})
    updated, kept, expiry = (one, two, world.now + 3 * DAY) if mode == "extend" else (two, one, world.now + DAY)
    text = f"{owner.hex}{at}{one}{two}{updated}{kept}{expiry}"
    assert results(world, await world.call("expire", params), text) == {
        "expiry": at,
        "updated": [updated],
        "unchanged": {kept: expiry},
    }


async def test_expire_with_an_expiry_for_each(world: World, owner: Owner) -> None:
    one, two = await owner.store(b"one"), await owner.store(b"two")
    times = [world.now + 2 * DAY, world.now + 3 * DAY]
    params = owner.signed(f"expire{times[0]}{times[1]}{one}{two}", messages=[one, two], expiry=times)
    text = f"{owner.hex}{times[0]}{times[1]}{one}{two}{''.join(sorted([one, two]))}"
    assert results(world, await world.call("expire", params), text) == {
        "expiry": times,
        "updated": sorted([one, two]),
    }
    for messages, expiry in (([one, two], times[:1]), ([one], times), ([one], [])):
        assert await world.call("expire", params | {"messages": messages, "expiry": expiry}) == (
            400,
            f"invalid request: Invalid value given for 'expiry': expected {ONE_OR_EACH}",
        )


async def test_get_expiries(world: World, owner: Owner) -> None:
    one = await owner.store(b"one", ttl=DAY)
    params = owner.signed(f"get_expiries{world.now}{one}{UNKNOWN}", messages=[one, UNKNOWN], timestamp=world.now)
    status, body = await world.call("get_expiries", params)
    assert status == 200
    assert body["expiries"] == {one: world.now + DAY}


async def test_expired_to_the_millisecond(world: World, owner: Owner) -> None:
    await owner.store(b"one", ttl=10_000)
    world.now += 9_999
    assert await owner.listed() == [b"one"]
    world.now += 1
    assert await owner.listed() == []
