"""What lies on disks after a session of messages: no client's address anywhere, no account, no text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from naisho import Client
from naisho.protocol import recovery
from naisho.protocol.account import AccountKeys
from tests.integration.claims import search
from tests.integration.claims.tapped_network import TappedNetwork

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]

Join = Callable[[str, str], Awaitable[Client]]


def keys_of(client: Client) -> AccountKeys:
    return AccountKeys.from_seed(recovery.from_words(client.recovery_words()))


async def test_no_file_of_the_network_names_a_client_or_an_account(
    network: TappedNetwork, join: Join, new_address: Callable[[], str]
) -> None:
    addresses = (new_address(), new_address())
    alice, bob = [await join(name, address) for name, address in zip(("anna", "ben"), addresses, strict=True)]
    text = "nobody else's business"
    sent = (await alice.send(bob.account_id, text)).message
    assert [event.kind for event in await bob.poll()] == ["text"]
    await bob.react(alice.account_id, sent.sent_ms, "🎉")
    await bob.typing(alice.account_id)
    await bob.mark_read(alice.account_id, receipt=True)
    await alice.poll()
    await alice.unsend(sent.sent_ms)
    await bob.poll()

    files = network.files()
    assert len(files) > 100
    for address in addresses:
        assert search.address(address).places(files) == set()
    for client in (alice, bob):
        assert search.mailbox(keys_of(client)).places(files) == set()
    assert search.raw(text.encode()).places(files) == set()


async def test_control_a_file_that_names_them_is_found(network: TappedNetwork, new_address: Callable[[], str]) -> None:
    address, keys = new_address(), AccountKeys.generate()
    note = network.home / "nodes" / "careless.txt"
    note.write_text(f"{address} wrote to {keys.account_id.hex}\n")
    try:
        files = network.files()
        assert search.address(address).places(files) == {"nodes/careless.txt"}
        assert search.mailbox(keys).places(files) == {"nodes/careless.txt"}
    finally:
        note.unlink()
