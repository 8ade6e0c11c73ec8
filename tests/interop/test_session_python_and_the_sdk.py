"""session-python and our SDK talk: each kind that the foreign client knows, in both directions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from naisho import (
    Client,
    Event,
    MessagesRead,
    MessageState,
    Reacted,
    RequestAccepted,
    TextReceived,
    TextSentElsewhere,
    Typing,
    Unsent,
)
from tests.interop.foreign_client import PATIENCE, PAUSE, UNVERIFIED, ForeignAccount

pytestmark = pytest.mark.filterwarnings(UNVERIFIED)

MakeForeign = Callable[[str], ForeignAccount]
MakeOurs = Callable[..., Awaitable[Client]]
Kind = TypeVar("Kind", bound=Event)


async def expect(client: Client, kind: type[Kind]) -> Kind:
    """Poll until exactly one event of a kind comes; the own device's copies make none."""
    async with asyncio.timeout(PATIENCE):
        while not (events := await client.poll()):  # noqa: ASYNC110 - a mailbox can only be polled
            await asyncio.sleep(PAUSE)
    (event,) = events
    assert isinstance(event, kind)
    return event


async def acquainted(make_foreign: MakeForeign, make_ours: MakeOurs) -> tuple[ForeignAccount, Client]:
    """Return two accounts that have written to each other, as typing and receipts ask for."""
    anna, bea = make_foreign("Anna"), await make_ours("Bea")
    await anna.say(bea.account_id.hex, "hello")
    await expect(bea, TextReceived)
    await bea.send(anna.id, "hello yourself")
    await anna.hear("data", author=bea.account_id.hex)
    return anna, bea


async def test_its_text_is_read_by_ours(make_foreign: MakeForeign, make_ours: MakeOurs) -> None:
    anna, bea = make_foreign("Anna"), await make_ours("Bea")
    text = "Servus Bea, 元気? " + "x" * 1900
    sent = await anna.say(bea.account_id.hex, text)
    event = await expect(bea, TextReceived)
    assert (event.message.author, event.message.sent_ms, event.message.text) == (anna.account, sent["timestamp"], text)
    assert event.message.own_hash == sent["messageHash"]
    assert (event.sender_name, event.is_request) == ("Anna", True)


async def test_our_text_is_read_by_it(make_foreign: MakeForeign, make_ours: MakeOurs) -> None:
    anna, bea = make_foreign("Anna"), await make_ours("Bea")
    delivery = await bea.send(anna.id, "こんにちは, Anna")
    assert delivery.receipt is not None
    assert delivery.receipt.count == delivery.receipt.asked
    heard = await anna.hear("data", author=bea.account_id.hex)
    assert (heard["body"], heard["timestamp"]) == ("こんにちは, Anna", delivery.message.sent_ms)
    assert heard["hash"] == delivery.receipt.message_hash
    profile = (await anna.mailbox())[-1].content.dataMessage.profile
    assert profile.displayName == "Bea"


async def test_its_typing_is_read_by_ours(make_foreign: MakeForeign, make_ours: MakeOurs) -> None:
    anna, bea = await acquainted(make_foreign, make_ours)
    await anna.do(anna.session.show_typing_indicator, bea.account_id.hex)
    event = await expect(bea, Typing)
    assert (event.account, event.started) == (anna.account, True)
    await anna.do(anna.session.hide_typing_indicator, bea.account_id.hex)
    assert (await expect(bea, Typing)).started is False


async def test_our_typing_is_read_by_it(make_foreign: MakeForeign, make_ours: MakeOurs) -> None:
    anna, bea = await acquainted(make_foreign, make_ours)
    await bea.typing(anna.id)
    assert (await anna.hear("typing", author=bea.account_id.hex))["isTyping"] is True
    await bea.typing(anna.id, started=False)
    assert (await anna.hear("typing", author=bea.account_id.hex))["isTyping"] is False


async def test_its_receipt_is_read_by_ours(make_foreign: MakeForeign, make_ours: MakeOurs) -> None:
    anna, bea = await acquainted(make_foreign, make_ours)
    sent = (await bea.send(anna.id, "read me")).message
    await anna.do(anna.session.mark_messages_as_read, bea.account_id.hex, [sent.sent_ms])
    event = await expect(bea, MessagesRead)
    assert (event.account, event.times_ms) == (anna.account, (sent.sent_ms,))
    assert (await bea.history(anna.id))[-1].state is MessageState.READ


async def test_our_receipt_is_read_by_it(make_foreign: MakeForeign, make_ours: MakeOurs) -> None:
    anna, bea = await acquainted(make_foreign, make_ours)
    await bea.mark_read(anna.id)
    sent = await anna.say(bea.account_id.hex, "read me")
    await expect(bea, TextReceived)
    await bea.mark_read(anna.id, receipt=True)
    assert (await anna.hear("receipt", author=bea.account_id.hex))["targetTimestamps"] == [sent["timestamp"]]


async def test_its_reaction_is_read_by_ours(make_foreign: MakeForeign, make_ours: MakeOurs) -> None:
    anna, bea = await acquainted(make_foreign, make_ours)
    sent = (await bea.send(anna.id, "we did it")).message
    for removed, react in ((False, anna.session.add_reaction), (True, anna.session.remove_reaction)):
        await anna.do(react, sent.sent_ms, bea.account_id.hex, "🎉")
        event = await expect(bea, Reacted)
        assert (event.account, event.message.sent_ms, event.emoji) == (anna.account, sent.sent_ms, "🎉")
        assert event.removed is removed


async def test_our_reaction_is_read_by_it(make_foreign: MakeForeign, make_ours: MakeOurs) -> None:
    anna, bea = await acquainted(make_foreign, make_ours)
    sent = await anna.say(bea.account_id.hex, "we did it")
    await expect(bea, TextReceived)
    await bea.react(anna.id, sent["timestamp"], "🎉")
    await bea.react(anna.id, sent["timestamp"], "🎉", remove=True)
    # Its poller shows a reaction as a text without one; its own protobuf types have it whole.
    polled = await anna.do(anna._poller.poll)
    assert [one["body"] for one in polled if one["from"] == bea.account_id.hex] == ["", ""]
    reactions = [
        heard.content.dataMessage.reaction
        for heard in await anna.mailbox()
        if heard.author == bea.account_id.hex and heard.content.dataMessage.HasField("reaction")
    ]
    assert [(one.id, one.author, one.emoji, one.action) for one in reactions] == [
        (sent["timestamp"], anna.id, "🎉", 0),
        (sent["timestamp"], anna.id, "🎉", 1),
    ]


async def test_its_unsend_is_obeyed_by_ours(make_foreign: MakeForeign, make_ours: MakeOurs) -> None:
    anna, bea = await acquainted(make_foreign, make_ours)
    sent = await anna.say(bea.account_id.hex, "a slip")
    await expect(bea, TextReceived)
    await anna.do(anna.session.delete_message, bea.account_id.hex, sent["timestamp"], sent["syncMessageHash"])
    event = await expect(bea, Unsent)
    assert (event.author, event.sent_ms) == (anna.account, sent["timestamp"])
    message = next(one for one in await bea.history(anna.id) if one.sent_ms == sent["timestamp"])
    assert (message.state, message.text) == (MessageState.UNSENT, "")


async def test_our_unsend_is_read_by_it(make_foreign: MakeForeign, make_ours: MakeOurs) -> None:
    anna, bea = await acquainted(make_foreign, make_ours)
    sent = (await bea.send(anna.id, "a slip")).message
    await bea.unsend(sent.sent_ms)
    unsent = await anna.hear("unsend", author=bea.account_id.hex)
    assert (unsent["targetTimestamp"], unsent["author"]) == (sent.sent_ms, bea.account_id.hex)


async def test_its_acceptance_is_read_by_ours(make_foreign: MakeForeign, make_ours: MakeOurs) -> None:
    anna, bea = make_foreign("Anna"), await make_ours("Bea")
    await bea.send(anna.id, "may I?")
    await anna.do(anna.session.accept_conversation_request, bea.account_id.hex)
    assert (await expect(bea, RequestAccepted)).account == anna.account


async def test_our_acceptance_is_read_by_it(make_foreign: MakeForeign, make_ours: MakeOurs) -> None:
    anna, bea = make_foreign("Anna"), await make_ours("Bea")
    await anna.say(bea.account_id.hex, "may I?")
    await expect(bea, TextReceived)
    await bea.accept(anna.id)
    assert (await anna.hear("request_response", author=bea.account_id.hex))["isApproved"] is True


async def test_one_account_on_both_clients_by_its_words(make_foreign: MakeForeign, make_ours: MakeOurs) -> None:
    anna, ben = make_foreign("Anna"), make_foreign("Ben")
    at_home = await make_ours("Anna at home", anna.words)
    assert at_home.account_id == anna.account
    assert at_home.recovery_words() == anna.words
    sent = await anna.say(ben.id, "from my phone")
    event = await expect(at_home, TextSentElsewhere)
    assert (event.message.peer, event.message.sent_ms, event.message.text) == (
        ben.account,
        sent["timestamp"],
        "from my phone",
    )
    delivery = await at_home.send(ben.id, "from my desk")
    copies = [heard for heard in await anna.mailbox() if heard.author == anna.id]
    assert [heard.content.dataMessage.body for heard in copies] == ["from my phone", "from my desk"]
    assert (copies[1].content.dataMessage.syncTarget, copies[1].timestamp) == (ben.id, delivery.message.sent_ms)
