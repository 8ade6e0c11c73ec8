"""Everything that two accounts say to each other, through real layers, envelopes and receipts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from naisho import (
    Client,
    MessagesRead,
    MessageState,
    Reacted,
    RequestAccepted,
    TextReceived,
    TextSentElsewhere,
    Typing,
    Unsent,
)
from naisho.errors import BadAccountId, LookalikeAccount, TextTooLong, UnknownMessage
from naisho.protocol.account import AccountKeys
from naisho.protocol.envelope import wrap
from naisho.testing import FakeNetwork
from naisho.wire.session.v1.session_pb2 import Content, DataMessage, Profile

Join = Callable[[str], Awaitable[Client]]


async def befriend(one: Client, other: Client) -> None:
    """Let two accounts accept each other."""
    await one.send(other.account_id, "hello")
    await other.poll()
    await other.send(one.account_id, "hello to you")
    await one.poll()


async def test_a_text_crosses_three_hops_and_is_read_on_the_other_side(network: FakeNetwork, join: Join) -> None:
    alice, bob = await join("Alice"), await join("Bob")
    delivery = await alice.send(bob.account_id, "内緒だよ")
    assert delivery.error is None
    assert delivery.receipt is not None
    assert delivery.receipt.count == delivery.receipt.asked == len(network.members(bob.account_id))
    assert delivery.message.state is MessageState.STORED
    (event,) = await bob.poll()
    assert isinstance(event, TextReceived)
    assert (event.message.text, event.sender_name, event.is_request) == ("内緒だよ", "Alice", True)
    assert event.message.author == alice.account_id
    assert await bob.poll() == []
    assert {len(request.hops) for request in network.carried} == {3}
    assert all(request.destination not in request.hops for request in network.carried)
    assert await alice.poll() == [], "the copy for other devices is known here already"


async def test_typing_receipts_reactions_and_unsend_between_contacts(join: Join) -> None:
    alice, bob = await join("Alice"), await join("Bob")
    await befriend(alice, bob)
    sent = (await alice.send(bob.account_id, "Tea at five?")).message
    await alice.typing(bob.account_id)
    assert [event.kind for event in await bob.poll()] == ["text", "typing"]

    read = await bob.mark_read(alice.account_id, receipt=True)
    assert [message.text for message in read] == ["hello", "Tea at five?"]
    await bob.react(alice.account_id, sent.sent_ms, "🍵")
    await bob.typing(alice.account_id, started=False)
    receipt, reaction, stopped = await alice.poll()
    assert isinstance(receipt, MessagesRead)
    assert receipt.times_ms[-1] == sent.sent_ms
    assert isinstance(reaction, Reacted)
    assert (reaction.emoji, reaction.message.sent_ms, reaction.removed) == ("🍵", sent.sent_ms, False)
    assert isinstance(stopped, Typing)
    assert not stopped.started
    (*_, last) = await alice.history(bob.account_id)
    assert last.state is MessageState.READ
    assert [each.emoji for each in last.reactions] == ["🍵"]

    await bob.react(alice.account_id, sent.sent_ms, "🍵", remove=True)
    (removed,) = await alice.poll()
    assert isinstance(removed, Reacted)
    assert removed.removed

    await alice.unsend(sent.sent_ms)
    (unsent,) = await bob.poll()
    assert unsent == Unsent(alice.account_id, sent.sent_ms)
    for client, peer in ((alice, bob), (bob, alice)):
        (*_, gone) = await client.history(peer.account_id)
        assert (gone.text, gone.state, gone.reactions) == ("", MessageState.UNSENT, ())
    with pytest.raises(UnknownMessage):
        await alice.unsend(sent.sent_ms)


async def test_an_unsend_deletes_the_copies_in_both_mailboxes(network: FakeNetwork, join: Join) -> None:
    alice, bob = await join("Alice"), await join("Bob")
    await befriend(alice, bob)
    before = set(network.mailbox(alice.account_id)), set(network.mailbox(bob.account_id))
    sent = (await alice.send(bob.account_id, "burn after reading")).message
    copies = set(network.mailbox(alice.account_id)) - before[0], set(network.mailbox(bob.account_id)) - before[1]
    assert [len(each) for each in copies] == [1, 1]
    await bob.poll()
    await alice.unsend(sent.sent_ms)
    await bob.poll()
    assert copies[0].isdisjoint(network.mailbox(alice.account_id))
    assert copies[1].isdisjoint(network.mailbox(bob.account_id))


async def test_nothing_goes_to_a_stranger_before_it_is_accepted(network: FakeNetwork, join: Join) -> None:
    alice, bob = await join("Alice"), await join("Bob")
    await alice.send(bob.account_id, "do you know me?")
    (event,) = await bob.poll()
    assert isinstance(event, TextReceived)
    assert event.is_request
    before = len(network.mailbox(alice.account_id))
    await bob.typing(alice.account_id)
    await bob.mark_read(alice.account_id, receipt=True)
    assert len(network.mailbox(alice.account_id)) == before
    (contact,) = await bob.contacts()
    assert contact.is_request

    await bob.accept(alice.account_id)
    assert await alice.poll() == [RequestAccepted(bob.account_id)]
    await bob.typing(alice.account_id)
    (typing,) = await alice.poll()
    assert isinstance(typing, Typing)


async def test_what_a_stranger_says_besides_text_is_not_heard(join: Join) -> None:
    alice, bob = await join("Alice"), await join("Bob")
    await alice.send(bob.account_id, "text")
    # As if Bob had accepted her and written back, which he has not.
    await alice.store.contacts.mark(bob.account_id, 1, approved=True, approved_me=True)
    await alice.typing(bob.account_id)
    events = await bob.poll()
    assert [event.kind for event in events] == ["text"]


async def test_nothing_is_heard_of_a_blocked_account(join: Join) -> None:
    alice, bob = await join("Alice"), await join("Bob")
    await bob.block(alice.account_id)
    await alice.send(bob.account_id, "hello?")
    assert await bob.poll() == []
    assert await bob.history(alice.account_id) == []
    await bob.block(alice.account_id, blocked=False)
    await alice.send(bob.account_id, "hello again")
    assert [event.kind for event in await bob.poll()] == ["text"]


async def test_another_device_of_the_account_sees_what_this_one_says(
    network: FakeNetwork, join: Join, tmp_path: Path
) -> None:
    alice, bob = await join("Alice"), await join("Bob")
    opening = Client.open(tmp_path / "tablet", network=network.file, transport=network, create=True)
    async with opening as tablet:
        await tablet.recover(alice.recovery_words(), "Alice")
        assert tablet.account_id == alice.account_id
        sent = (await alice.send(bob.account_id, "from my laptop")).message
        await alice.react(alice.account_id, sent.sent_ms, "👍")
        text, reaction = await tablet.poll()
        assert isinstance(text, TextSentElsewhere)
        assert (text.message.text, text.message.peer) == ("from my laptop", bob.account_id)
        assert isinstance(reaction, Reacted)
        await alice.unsend(sent.sent_ms)
        (unsent,) = await tablet.poll()
        assert isinstance(unsent, Unsent)


async def test_a_note_to_oneself_is_stored_once(network: FakeNetwork, join: Join) -> None:
    alice = await join("Alice")
    delivery = await alice.send(alice.account_id, "milk, bread")
    assert delivery.receipt is not None
    assert len(network.mailbox(alice.account_id)) == 1
    assert await alice.poll() == []
    assert [message.text for message in await alice.history(alice.account_id)] == ["milk, bread"]


async def test_listen_yields_what_comes_and_sends_what_waits(join: Join) -> None:
    alice, bob = await join("Alice"), await join("Bob")
    await bob.poll()

    async def hear() -> str:
        async with aclosing(bob.listen()) as events:
            async for event in events:
                assert isinstance(event, TextReceived)
                return event.message.text
        raise AssertionError("the mailbox fell silent")

    hearing = asyncio.create_task(hear())
    await alice.send(bob.account_id, "are you there?")
    assert await hearing == "are you there?"


async def test_what_cannot_be_sent_waits_and_goes_later(network: FakeNetwork, join: Join) -> None:
    alice, bob = await join("Alice"), await join("Bob")
    await alice.directory()
    network.offline = True
    delivery = await alice.send(bob.account_id, "later, then")
    assert delivery.receipt is None
    assert delivery.error is not None
    assert delivery.message.state is MessageState.QUEUED
    network.offline = False
    assert await bob.poll() == []
    assert await alice.flush() == []
    (event,) = await bob.poll()
    assert isinstance(event, TextReceived)
    assert event.message.text == "later, then"
    (message,) = await alice.history(bob.account_id)
    assert message.state is MessageState.STORED


async def test_rubbish_in_the_mailbox_is_skipped_once_and_for_all(join: Join) -> None:
    alice, bob = await join("Alice"), await join("Bob")
    await alice.poll()
    mallory = AccountKeys.generate()
    for data in (b"rubbish", b"", wrap(mallory, bob.account_id, Content(), 2**63 + 5)):
        await alice._speak().mailboxes.store(bob.account_id, data, alice._clock.now_ms(), 60_000)
    evil = Content(dataMessage=DataMessage(body="\x1b[2J \x00 text", profile=Profile(displayName="M\x07allory")))
    await alice._speak().mailboxes.store(
        bob.account_id, wrap(mallory, bob.account_id, evil, 1_700_000_000_000), alice._clock.now_ms(), 60_000
    )
    (event,) = await bob.poll()
    assert isinstance(event, TextReceived)
    assert event.sender_name == "Mallory"
    assert bob._speak().receiver.discarded == 3
    assert await bob.poll() == []


async def test_nobody_can_take_back_or_mark_what_others_wrote(join: Join) -> None:
    alice, bob, mallory = await join("Alice"), await join("Bob"), await join("Mallory")
    await befriend(alice, bob)
    sent = (await alice.send(bob.account_id, "signed by me")).message
    await bob.poll()
    await befriend(mallory, bob)
    sender = mallory._speak().sender
    from naisho.conversation.content import PutEmoji, TookBack  # noqa: PLC0415

    await sender._say(bob.account_id, TookBack(alice.account_id, sent.sent_ms))
    await sender._say(bob.account_id, PutEmoji(alice.account_id, sent.sent_ms, "💩", removed=False))
    assert await bob.poll() == []
    (*_, message) = await bob.history(alice.account_id)
    assert (message.text, message.reactions) == ("signed by me", ())


async def test_bad_recipients_and_texts_are_refused_before_anything_is_kept(join: Join) -> None:
    alice, bob = await join("Alice"), await join("Bob")
    for nobody in ("", "05abc", "03" + bob.account_id.hex[2:], "05" + "00" * 32, "zz" * 33):
        with pytest.raises(BadAccountId):
            await alice.send(nobody, "hello")
    for text in ("", "x" * 2001):
        with pytest.raises(TextTooLong):
            await alice.send(bob.account_id, text)
    assert await alice.contacts() == []


async def test_a_new_account_one_digit_from_a_known_one_is_refused_unless_one_is_sure(join: Join) -> None:
    alice, bob = await join("Alice"), await join("Bob")
    await alice.send(bob.account_id, "hello")
    known = bob.account_id.hex
    refused = set()
    for digit in "0123456789abcdef":
        slip = known[:40] + digit + known[41:]
        if slip != known:
            with pytest.raises((LookalikeAccount, BadAccountId)) as refusal:
                await alice.send(slip, "hello")
            refused.add(type(refusal.value))
    assert refused == {LookalikeAccount, BadAccountId}, "half are nobody's, half could be"
    assert len(await alice.contacts()) == 1
