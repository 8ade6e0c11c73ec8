"""What was deleted, taken back or has expired leaves the disks of log and nodes, within the stated bounds.

Bodies lie on disks sealed. So what is looked for is the sealed bytes, as a node's store has them, and the key that
opens them; the text itself must never be there at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from naisho import Client
from naisho.protocol import recovery, storage_texts
from naisho.protocol.account import AccountKeys
from naisho.protocol.message_hash import parse_hash
from tests.chaos.accidents import UNHURRIED, Place, StruckNetwork
from tests.chaos.disks import find_sealed, read_all, seconds_until_gone, share_found, until_found
from tests.chaos.mailboxes import ask, http_client, listing, now_ms, signed
from tests.integration.claims import search

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

PERIOD_S, KEY_GRACE_S, OVERWRITE_WITHIN_S, PER_SECOND = 4.0, 1.0, 1.0, 20.0
#: The bounds that the settings below state. The custodian reads the log twice a second, looks as often for what is due,
#: and once at keys.
LOG_BOUND_S, KEY_BOUND_S = 0.5 + 0.5, KEY_GRACE_S + 1.0
#: How often nodes look at the log and for expired messages; they count on clocks that differ by two seconds.
LOG_CHECK_S, SWEEP_S = 1.0, 0.2
EXPIRY_BOUND_S = 2.0 + LOG_CHECK_S + SWEEP_S + OVERWRITE_WITHIN_S
#: How much later all of it may be on a busy machine.
BUSY_S = 6.0
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StruckNetwork]:
    """Eight nodes in one swarm: clients send through three of them, to another."""
    swarm = {
        "key_period": f"{PERIOD_S}s",
        "retention.shortest": "2s",
        "log_margin": "1s",
        "store.overwrite_within": f"{OVERWRITE_WITHIN_S}s",
        "store.sweep": f"{SWEEP_S}s",
        "log_check": f"{LOG_CHECK_S}s",
    }
    custodian = {"per_second": PER_SECOND, "key_grace": f"{KEY_GRACE_S}s"}
    home = tmp_path_factory.mktemp("erasure") / "network"
    with StruckNetwork(
        home, "--nodes", "8", settings={"swarm": swarm, "custodian": custodian, "onion": UNHURRIED}
    ) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with http_client() as client:
        yield client


def log_folder(network: StruckNetwork) -> list[Path]:
    return [network.home / "nats"]


def node_folders(network: StruckNetwork) -> list[Path]:
    return [place.folder for place in network.places()]


async def store(network: StruckNetwork, http: httpx.AsyncClient, keys: AccountKeys, body: bytes, ttl_ms: int) -> str:
    """Store a message; return its hash once every member has it."""
    data = b64encode(body).decode()
    params = {"pubkey": keys.account_id.hex, "timestamp": now_ms(), "ttl": ttl_ms, "data": data}
    answer = (await ask(http, network.places()[0], "store", params)).raise_for_status().json()
    assert all("signature" in result for result in answer["swarm"].values())
    return str(answer["hash"])


def assert_found_everywhere(network: StruckNetwork, needles: list[bytes]) -> None:
    """Check, as the positive control, that the search finds what is there: in the log, and at every node."""
    assert_found_in((*log_folder(network), *node_folders(network)), needles)


def assert_found_in(folders: Iterable[Path], needles: list[bytes]) -> None:
    for folder in folders:
        assert share_found([folder], needles) > 0.8, f"the search does not find in {folder.name} what is there"


def assert_never_in_the_clear(network: StruckNetwork, text: bytes) -> None:
    """Check that no file of log or nodes has a text, in any form that software writes it in."""
    trace = search.raw(text)
    for content in read_all([network.home]):
        assert not trace.is_in(content), "a file holds the text"


async def test_deleted_messages_leave_the_disks(network: StruckNetwork, http: httpx.AsyncClient) -> None:
    keys = AccountKeys.generate()
    bodies = [secrets.token_bytes(size) for size in [*range(100, 1600, 50), 20_000, 76_800]]
    hashes = [await store(network, http, keys, body, HOUR_MS) for body in bodies]
    sealed = [find_sealed(network.places()[2].store, name) for name in hashes]
    kept, gone = sealed[::4], [s for number, s in enumerate(sealed) if number % 4]
    needles = [window for s in gone for window in s.windows]
    assert_found_everywhere(network, needles)
    for body in (bodies[0], bodies[-1]):
        assert_never_in_the_clear(network, body[:60])

    doomed = [name for number, name in enumerate(hashes) if number % 4]
    request = signed(keys, storage_texts.delete(doomed)) | {"messages": doomed}
    answer = (await ask(http, network.places()[1], "delete", request)).raise_for_status()
    deleted = time.time()
    for result in answer.json()["swarm"].values():
        assert result["deleted"] == sorted(doomed)
    bound = LOG_BOUND_S + len(doomed) / PER_SECOND
    nodes, log = await asyncio.gather(
        seconds_until_gone(node_folders(network), needles, since=deleted, within_s=OVERWRITE_WITHIN_S + BUSY_S),
        seconds_until_gone(log_folder(network), needles, since=deleted, within_s=bound + BUSY_S),
    )
    print(f"\n{len(doomed)} messages deleted: off all nodes' disks after {nodes:.2f} s (stated: {OVERWRITE_WITHIN_S})")
    print(f"  out of the log after {log:.2f} s (stated: {bound:.2f})")
    # What nobody deleted is there all the same, and is read by its owner.
    assert_found_everywhere(network, [window for s in kept for window in s.windows])
    assert [found.hash for found in await listing(http, network.places()[3], keys)] == hashes[::4]


async def test_a_message_taken_back_leaves_the_disks(
    network: StruckNetwork, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    text = "take this back, please: " + secrets.token_hex(16)
    async with (
        Client.open(tmp_path / "alice", network=network.network, create=True) as alice,
        Client.open(tmp_path / "bob", network=network.network, create=True) as bob,
    ):
        await alice.new_account("alice")
        await bob.new_account("bob")
        sent = (await alice.send(bob.account_id, text)).message
        bobs = AccountKeys.from_seed(recovery.from_words(bob.recovery_words()))
        (told,) = await until_listed(http, network.places()[0], bobs)
        assert [event.kind for event in await bob.poll()] == ["text"]
        sealed = find_sealed(network.places()[0].store, told)
        assert_found_everywhere(network, sealed.windows)
        assert_never_in_the_clear(network, text.encode())

        await alice.unsend(sent.sent_ms)
        began = time.time()
        assert [event.kind for event in await bob.poll()] == ["unsent"]
        nodes, log = await asyncio.gather(
            seconds_until_gone(
                node_folders(network), sealed.windows, since=began, within_s=OVERWRITE_WITHIN_S + BUSY_S
            ),
            seconds_until_gone(log_folder(network), sealed.windows, since=began, within_s=LOG_BOUND_S + BUSY_S),
        )
        assert_never_in_the_clear(network, text.encode())
    print(f"\na message taken back: off all nodes' disks after {nodes:.2f} s, out of the log after {log:.2f} s")


async def test_expired_messages_are_noise_and_their_key_is_nowhere(
    network: StruckNetwork, http: httpx.AsyncClient
) -> None:
    keys = AccountKeys.generate()
    body = secrets.token_bytes(3000)
    name = await store(network, http, keys, body, 3_000)
    (told,) = await listing(http, network.places()[4], keys)
    # Every node fetches the key when it looks after new bodies.
    await until_found(node_folders(network), find_sealed(network.places()[0].store, name).key, within_s=BUSY_S)
    sealed = find_sealed(network.places()[0].store, name)
    assert_found_everywhere(network, sealed.windows)
    assert_found_everywhere(network, [sealed.key])
    nonce, ciphertext = sealed.body[:12], sealed.body[12:]
    assert AESGCM(sealed.key).decrypt(nonce, ciphertext, parse_hash(name)) == body

    expired = told.expiry_ms / 1000
    period_ends = (told.expiry_ms // (1000 * PERIOD_S) + 1) * PERIOD_S
    log, every_node, body_and_key = log_folder(network), node_folders(network), [*sealed.windows, sealed.key]
    nodes, in_log, on_nodes = await asyncio.gather(
        seconds_until_gone(every_node, sealed.windows, since=expired, within_s=EXPIRY_BOUND_S + BUSY_S),
        seconds_until_gone(log, [sealed.key], since=period_ends, within_s=KEY_BOUND_S + BUSY_S),
        seconds_until_gone(every_node, [sealed.key], since=period_ends, within_s=OVERWRITE_WITHIN_S + BUSY_S),
    )
    assert await listing(http, network.places()[0], keys) == []
    everything = [path for path in network.home.iterdir() if path.is_dir()]
    assert share_found(everything, [sealed.key]) == 0
    assert share_found(every_node, body_and_key) == 0
    print(f"\nan expired message: off all nodes' disks {nodes:.2f} s after its expiry (stated: {EXPIRY_BOUND_S:.1f})")
    print(f"  its key, after the end of its period of {PERIOD_S} s: out of the log after {in_log:.2f} s", end="")
    print(f" (stated: {KEY_BOUND_S}), off all nodes' disks after {on_nodes:.2f} s (stated: {OVERWRITE_WITHIN_S})")
    noise = share_found(log_folder(network), sealed.windows)
    print(f"  {100 * noise:.0f} % of its sealed bytes lie in the log still, and nothing is left that opens them")


async def test_a_log_put_back_from_an_older_copy_forgets_again(
    network: StruckNetwork, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    keys = AccountKeys.generate()
    doomed = await store(network, http, keys, secrets.token_bytes(2000), HOUR_MS)
    kept = await store(network, http, keys, secrets.token_bytes(2000), HOUR_MS)
    passing = await store(network, http, keys, secrets.token_bytes(2000), 3_000)
    deleted, expired = (find_sealed(network.places()[0].store, name) for name in (doomed, passing))
    await asyncio.to_thread(network.copy_log, tmp_path / "copy")

    request = signed(keys, storage_texts.delete([doomed])) | {"messages": [doomed]}
    (await ask(http, network.places()[1], "delete", request)).raise_for_status()
    needles = [*deleted.windows, expired.key]
    within_s = PERIOD_S + 3 + KEY_BOUND_S + BUSY_S
    await seconds_until_gone(log_folder(network), needles, since=time.time(), within_s=within_s)
    await asyncio.to_thread(network.put_log_back, tmp_path / "copy")
    assert_found_in([tmp_path / "copy"], needles)

    began = time.time()
    log = await seconds_until_gone(log_folder(network), needles, since=began, within_s=3 * BUSY_S)
    nodes = await seconds_until_gone(node_folders(network), needles, since=began, within_s=3 * BUSY_S)
    for place in network.places():
        assert await until_listed(http, place, keys) == [kept]
    print(
        f"\nthe log put back from an older copy: forgotten again by the log after {log:.2f} s, by nodes {nodes:.2f} s"
    )


async def until_listed(http: httpx.AsyncClient, place: Place, keys: AccountKeys) -> list[str]:
    """Return the hashes that a node lists, once there are some: it may lag behind the others, or mend the log."""
    async with asyncio.timeout(3 * BUSY_S):
        while True:
            with contextlib.suppress(httpx.HTTPStatusError):
                if found := await listing(http, place, keys):
                    return [message.hash for message in found]
            await asyncio.sleep(0.1)
