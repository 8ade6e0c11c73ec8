"""Two accounts talk through the network in memory: real layers, real envelopes, real receipts."""

from __future__ import annotations

from pathlib import Path

from naisho import Client, TextReceived
from naisho.testing import FakeNetwork


async def test_a_text_crosses_three_hops_and_is_read_on_the_other_side(tmp_path: Path) -> None:
    network = FakeNetwork()
    alice_at = Client.open(tmp_path / "a", network=network.file, transport=network, create=True)
    bob_at = Client.open(tmp_path / "b", network=network.file, transport=network, create=True)
    async with alice_at as alice, bob_at as bob:
        await alice.new_account("Alice")
        to = await bob.new_account("Bob")
        delivery = await alice.send(to, "内緒だよ")
        assert delivery.error is None
        assert delivery.receipt is not None
        assert delivery.receipt.count == delivery.receipt.asked == len(network.members(to))
        (event,) = await bob.poll()
        assert isinstance(event, TextReceived)
        assert (event.message.text, event.sender_name, event.is_request) == ("内緒だよ", "Alice", True)
        assert event.message.author == alice.account_id
        assert {len(request.hops) for request in network.carried} == {3}
