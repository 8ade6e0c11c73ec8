"""Nodes that fail, lie, hurry and loiter: the client goes on where it can, and says what is wrong where it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from naisho import Client, Light
from naisho.errors import (
    BadReceipt,
    ClockWrong,
    DirectoryRefused,
    EntryUnreachable,
    NoDirectory,
    Overloaded,
    PathSilent,
    TooFewNodes,
    WrongSwarm,
)
from naisho.network.clock import system_ms
from naisho.paths.choosing import are_independent
from naisho.paths.status import Path as NodePath
from naisho.protocol.account import AccountKeys
from naisho.protocol.directory import Grade
from naisho.store.records import PinnedEntry
from naisho.testing import FakeNetwork, Fault

Join = Callable[[str], Awaitable[Client]]
DAY_MS = 24 * 3_600_000


async def path_of(client: Client) -> NodePath:
    """Return the client's current path, proved."""
    status = await client.prove_path()
    assert status.light is Light.GREEN
    assert status.path is not None
    return status.path


async def test_the_path_shown_is_the_path_used(network: FakeNetwork, join: Join) -> None:
    alice = await join("Alice")
    path = await path_of(alice)
    used = network.carried[-1].hops
    assert [hop.node for hop in path.describe().hops] == [key.hex() for key in used]
    view = path.describe()
    assert [hop.role for hop in view.hops] == ["entry", "middle", "exit"]
    assert view.one_operator
    assert view.simulated
    listed = {node.key.hex(): node for node in network.directory.nodes}
    assert all((hop.family, hop.country) == (listed[hop.node].family, listed[hop.node].country) for hop in view.hops)


async def test_the_light_is_orange_until_a_proof_came_back(join: Join) -> None:
    alice = await join("Alice")
    lights = [alice.path_status.light]
    assert alice.path_status.cause is None
    seen = alice.path_status
    await alice.reach().paths.path()
    lights.append((await alice.reach().paths.changed(seen)).light)
    await alice.prove_path()
    lights.append(alice.path_status.light)
    assert lights == [Light.ORANGE, Light.ORANGE, Light.GREEN]


async def test_the_entry_stays_over_restarts_and_middle_and_exit_change(
    network: FakeNetwork, join: Join, tmp_path: Path
) -> None:
    entry = (await path_of(await join("Alice"))).route.entry.key
    others = set()
    for _ in range(6):
        opening = Client.open(tmp_path / "Alice", network=network.file, transport=network)
        async with opening as restarted:
            route = (await path_of(restarted)).route
            assert route.entry.key == entry
            others.add((route.middle.key, route.exit.key))
    assert len(others) > 1


@pytest.mark.slow
async def test_a_blocked_exit_turns_the_light_orange_within_15_seconds_and_another_path_green(
    network: FakeNetwork, join: Join
) -> None:
    alice = await join("Alice")
    loop = asyncio.get_running_loop()
    blocked_at: float | None = None
    async with aclosing(alice.watch_path()) as statuses, asyncio.timeout(40):
        async for status in statuses:
            if blocked_at is None:
                if status.light is Light.GREEN:
                    assert status.proof_ms is not None
                    assert status.path is not None
                    exit_key = status.path.route.exit.key
                    network.faults[exit_key] = Fault.SILENT
                    blocked_at = loop.time()
            elif status.light is Light.ORANGE and status.cause is not None:
                assert loop.time() - blocked_at < 15
                assert isinstance(status.cause, PathSilent)
                assert status.cause.explain("ja").next
                break
        async for status in statuses:
            if status.light is Light.GREEN:
                assert status.path is not None
                assert status.path.route.exit.key != exit_key
                break


async def test_a_lost_hop_is_replaced_at_once(network: FakeNetwork, join: Join) -> None:
    alice = await join("Alice")
    first = await path_of(alice)
    network.faults[first.route.middle.key] = Fault.DOWN
    second = await path_of(alice)
    assert second.route.entry == first.route.entry
    assert first.route.middle not in second.route


async def test_two_of_three_blocked_entries_are_walked_around(network: FakeNetwork, join: Join) -> None:
    alice = await join("Alice")
    await path_of(alice)
    pinned = alice.reach().paths.pinned()
    assert len(pinned) == 3
    network.faults = {pinned[0]: Fault.DOWN, pinned[1]: Fault.DOWN}
    assert (await path_of(alice)).route.entry.key == pinned[2]
    assert alice.reach().paths.pinned() == pinned


async def test_a_further_entry_is_pinned_only_while_the_network_answers_elsewhere(
    network: FakeNetwork, join: Join
) -> None:
    alice = await join("Alice")
    await path_of(alice)
    pinned = alice.reach().paths.pinned()
    network.offline = True
    for _ in range(3):
        status = await alice.prove_path()
        assert isinstance(status.cause, EntryUnreachable)
        assert status.light is Light.ORANGE
    assert alice.reach().paths.pinned() == pinned, "being offline must not teach more nodes our address"
    network.offline = False
    assert (await path_of(alice)).route.entry.key in pinned
    assert alice.reach().paths.pinned() == pinned, "nor must coming back"
    network.faults = dict.fromkeys(pinned, Fault.DOWN)
    path = await path_of(alice)
    assert path.route.entry.key not in pinned
    assert alice.reach().paths.pinned()[:3] == pinned


async def test_a_busy_member_is_passed_over(network: FakeNetwork, join: Join) -> None:
    alice, bob = await join("Alice"), await join("Bob")
    await path_of(alice)
    able = [node.key for node in network.members(bob.account_id) if node.key not in alice.reach().paths.pinned()][:2]
    network.faults = {node.key: Fault.BUSY for node in network.members(bob.account_id) if node.key not in able}
    delivery = await alice.send(bob.account_id, "hello")
    assert delivery.receipt is not None


async def test_a_silent_member_is_missing_from_the_receipt(network: FakeNetwork, join: Join) -> None:
    alice, bob = await join("Alice"), await join("Bob")
    path = await path_of(alice)
    silent = next(node for node in network.members(bob.account_id) if node not in path.route)
    liar = next(node for node in network.members(bob.account_id) if node not in (*path.route, silent))
    network.faults = {silent.key: Fault.DOWN, liar.key: Fault.LIAR}
    delivery = await alice.send(bob.account_id, "hello")
    assert delivery.receipt is not None
    assert delivery.receipt.asked == len(network.members(bob.account_id))
    assert {silent.key, liar.key}.isdisjoint(delivery.receipt.members)
    assert delivery.receipt.count == delivery.receipt.asked - 2
    (message,) = await alice.history(bob.account_id)
    assert (message.members_stored, message.members_asked) == (delivery.receipt.count, delivery.receipt.asked)


async def test_signatures_that_do_not_hold_are_no_receipt(network: FakeNetwork, join: Join) -> None:
    alice, bob = await join("Alice"), await join("Bob")
    network.faults = dict.fromkeys(network.directory.by_key, Fault.LIAR)
    delivery = await alice.send(bob.account_id, "hello")
    assert delivery.receipt is None
    assert isinstance(delivery.error, BadReceipt)


async def test_a_wrong_swarm_answer_is_followed_once(tmp_path: Path) -> None:
    network = FakeNetwork(families=15)  # no member is akin to the entry, so that all are equally welcome
    bob = AccountKeys.generate().account_id
    async with Client.open(tmp_path, network=network.file, transport=network, create=True) as alice:
        await alice.new_account()
        hops = {hop.key for hop in (await path_of(alice)).route}
        strange = alice.reach().directory.acquainted | hops
        asked = [node.key for node in network.members(bob) if node.key not in strange]
        lost = set(asked[::2])
        network.faults = dict.fromkeys(lost, Fault.LOST)
        followed = 0
        for attempt in range(40):
            before = len(network.carried)
            delivery = await alice.send(bob, f"hello {attempt}")
            to_bob = [r.destination for r in network.carried[before:] if r.params.get("pubkey") == bob.hex]
            assert 1 <= len(to_bob) <= 2
            assert set(to_bob) <= set(asked)
            followed += to_bob[0] in lost and delivery.receipt is not None
            assert delivery.error is None or isinstance(delivery.error, WrongSwarm)
        assert followed


async def test_a_swarm_that_sends_us_away_is_told_and_cannot_make_us_fetch_for_ever(
    network: FakeNetwork, join: Join
) -> None:
    alice, bob = await join("Alice"), await join("Bob")
    await path_of(alice)
    network.faults = {node.key: Fault.LOST for node in network.directory.nodes}
    asked = network.directory_requests
    for attempt in range(3):
        delivery = await alice.send(bob.account_id, f"nobody's {attempt}")
        assert isinstance(delivery.error, WrongSwarm)
    assert network.directory_requests == asked
    alice.reach().directory._fetched_ms -= 60_000
    await alice.send(bob.account_id, "a minute later")
    assert network.directory_requests > asked


async def test_a_wrong_clock_is_learnt_from_three_nodes(network: FakeNetwork, tmp_path: Path) -> None:
    slow = Client.open(
        tmp_path, network=network.file, transport=network, create=True, device_ms=lambda: system_ms() - 3_600_000
    )
    async with slow as alice:
        await alice.new_account()
        assert (await alice.send(alice.account_id, "an hour ago?")).receipt is not None
        assert await alice.poll() == []
        assert abs(alice.reach().clock.offset_ms - 3_600_000) < 1000
        infos = [request for request in network.carried if request.method == "info"]
        assert len(infos) == 3
        assert len({request.destination for request in infos}) == 3


async def test_a_clock_that_cannot_be_set_is_told(
    network: FakeNetwork, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await join("Alice")
    await path_of(alice)
    network.clock_ms = 3_600_000
    monkeypatch.setattr(alice._clock, "learn", lambda _offsets: None)
    with pytest.raises(ClockWrong):
        await alice.poll()
    assert alice.path_status.light is Light.ORANGE
    assert isinstance(alice.path_status.cause, ClockWrong)


async def test_the_directory_is_fetched_once_kept_and_verified_again(
    network: FakeNetwork, join: Join, tmp_path: Path
) -> None:
    alice = await join("Alice")
    await path_of(alice)
    asked = network.directory_requests
    async with Client.open(tmp_path / "Alice", network=network.file, transport=network) as restarted:
        await path_of(restarted)
    assert network.directory_requests == asked
    cache = alice.store.network(network.file.network_id)
    await cache.keep_directory(b"damaged", system_ms())
    async with Client.open(tmp_path / "Alice", network=network.file, transport=network) as restarted:
        await path_of(restarted)
    assert network.directory_requests > asked
    kept = await cache.directory()
    assert kept is not None
    assert kept[0] == network.directory.signed


async def test_an_expired_or_older_directory_is_refused_and_the_cache_never_keeps_one_out(
    network: FakeNetwork, join: Join
) -> None:
    alice = await join("Alice")
    await alice.directory()
    newest = network.directory.epoch + 5
    network.publish(epoch=newest)
    assert (await alice.reach().directory.refresh()).epoch == newest
    network.publish(epoch=newest - 1)
    assert (await alice.reach().directory.refresh()).epoch == newest, "an older one changes nothing"

    now = alice._clock.now_ms()
    alice._clock.offset_ms = 2 * DAY_MS
    with pytest.raises(DirectoryRefused):
        await alice.directory()
    network.publish(epoch=newest - 1, issued_ms=now + 2 * DAY_MS, expires_ms=now + 3 * DAY_MS)
    assert (await alice.directory()).epoch == newest - 1, "what is kept has expired, so it cannot outlaw what comes"


async def test_nobody_answering_leaves_a_valid_directory_in_use(network: FakeNetwork, join: Join) -> None:
    alice, bob = await join("Alice"), await join("Bob")
    await alice.directory()
    network.offline = True
    alice._clock.offset_ms = 3 * 3_600_000  # past the time of refreshing
    assert (await alice.directory()).epoch == network.directory.epoch
    with pytest.raises(NoDirectory):
        await bob.directory()


async def test_a_network_of_a_lower_grade_than_its_file_says_is_refused(tmp_path: Path) -> None:
    network = FakeNetwork(grade=Grade.INDEPENDENT)
    network.publish(grade=Grade.SINGLE_OPERATOR)
    async with Client.open(tmp_path, network=network.file, transport=network, create=True) as alice:
        with pytest.raises(DirectoryRefused) as refusal:
            await alice.directory()
        assert "promises less" in str(refusal.value)


async def test_paths_of_an_independent_network_span_three_operators(tmp_path: Path) -> None:
    network = FakeNetwork(21, families=7, grade=Grade.INDEPENDENT)
    async with Client.open(tmp_path, network=network.file, transport=network, create=True) as alice:
        await alice.new_account()
        for _ in range(20):
            path = await path_of(alice)
            entry, middle, exit_node = path.route
            assert are_independent(entry, middle)
            assert are_independent(middle, exit_node)
            assert are_independent(entry, exit_node)
            assert network.carried[-1].destination not in {hop.key for hop in path.route}
            assert not path.describe().one_operator
            await alice.reach().paths.renew()


async def test_two_operators_are_too_few_for_an_independent_network(tmp_path: Path) -> None:
    network = FakeNetwork(families=2, grade=Grade.INDEPENDENT)
    async with Client.open(tmp_path, network=network.file, transport=network, create=True) as alice:
        await alice.new_account()
        status = await alice.prove_path()
        assert isinstance(status.cause, TooFewNodes)


async def test_a_swarm_that_the_path_covers_is_reached_by_another_path(tmp_path: Path) -> None:
    network = FakeNetwork(4, swarms=1)
    async with Client.open(tmp_path, network=network.file, transport=network, create=True) as alice:
        await alice.new_account()
        for _ in range(8):
            await path_of(alice)
            await alice.reach().paths.renew()


async def test_the_next_path_does_not_lead_over_what_is_to_be_kept_free(tmp_path: Path) -> None:
    network = FakeNetwork(4, swarms=1)
    async with Client.open(tmp_path, network=network.file, transport=network, create=True) as alice:
        paths = alice.reach().paths
        for _ in range(20):
            covered = (await paths.path()).route.exit
            await paths.renew(keep_free=[covered.key])
            assert covered not in (await paths.path()).route[1:]


async def test_an_entry_whose_time_is_over_is_replaced(network: FakeNetwork, join: Join, tmp_path: Path) -> None:
    alice = await join("Alice")
    old = (await path_of(alice)).route.entry.key
    cache = alice.store.network(network.file.network_id)
    now = system_ms()
    await cache.keep_entries([PinnedEntry(old, now - 40 * DAY_MS, now - 1)])
    async with Client.open(tmp_path / "Alice", network=network.file, transport=network) as later:
        pins = (await path_of(later), await cache.entries())[1]
        assert len(pins) == 3
        assert all(pin.pinned_ms >= now for pin in pins)
        assert all(28 * DAY_MS <= pin.until_ms - pin.pinned_ms <= 42 * DAY_MS for pin in pins)


async def test_green_does_not_outlive_its_proof(join: Join, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = await join("Alice")
    await path_of(alice)
    paths = alice.reach().paths
    now = paths._monotonic()
    monkeypatch.setattr(paths, "_monotonic", lambda: now + 14)
    lights = [alice.path_status.light]
    monkeypatch.setattr(paths, "_monotonic", lambda: now + 16)
    lights.append(alice.path_status.light)
    assert lights == [Light.GREEN, Light.ORANGE]


async def test_a_client_with_nobody_to_ask_gives_up_in_time(network: FakeNetwork, join: Join) -> None:
    alice, bob = await join("Alice"), await join("Bob")
    await path_of(alice)
    network.faults = {node.key: Fault.BUSY for node in network.directory.nodes}
    loop = asyncio.get_running_loop()
    began, asked = loop.time(), len(network.carried)
    delivery = await alice.send(bob.account_id, "anybody?")
    assert isinstance(delivery.error, Overloaded)
    assert loop.time() - began < 15
    assert len(network.carried) - asked <= 2 * 6, "six tries for the message, six for the copy"


async def test_nothing_that_prints_tells_what_was_said_or_by_whom(join: Join) -> None:
    alice, bob = await join("Alice"), await join("Bob")
    delivery = await alice.send(bob.account_id, "the canary sings")
    events = await bob.poll()
    printed = " ".join(map(repr, [delivery, *events, *await bob.contacts(), *await alice.history(bob.account_id)]))
    assert "TextReceived" in printed
    for secret in ("canary", "Alice", alice.account_id.hex, str(alice.account_id.raw)):
        assert secret not in printed
    assert delivery.receipt is not None
    assert delivery.receipt.message_hash not in printed
