"""Two accounts of session-python on our network: everything that it can say, said and heard."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.interop.foreign_client import UNVERIFIED, ForeignAccount

pytestmark = pytest.mark.filterwarnings(UNVERIFIED)

MakeForeign = Callable[[str], ForeignAccount]


async def test_text_goes_both_ways_with_its_author_and_time(make_foreign: MakeForeign) -> None:
    anna, ben = make_foreign("Anna"), make_foreign("Ben")
    sent = await anna.say(ben.id, "Guten Morgen, Ben ✓")
    heard = await ben.hear("data", author=anna.id)
    assert (heard["body"], heard["timestamp"], heard["hash"]) == (
        "Guten Morgen, Ben ✓",
        sent["timestamp"],
        sent["messageHash"],
    )
    answer = await ben.say(anna.id, "おはよう")
    heard = await anna.hear("data", author=ben.id)
    assert (heard["body"], heard["timestamp"], heard["namespace"]) == ("おはよう", answer["timestamp"], 0)


async def test_a_copy_of_a_text_reaches_the_own_mailbox(make_foreign: MakeForeign) -> None:
    anna, ben = make_foreign("Anna"), make_foreign("Ben")
    sent = await anna.say(ben.id, "a note")
    copy = await anna.hear("data", author=anna.id)
    assert (copy["body"], copy["syncTarget"], copy["hash"]) == ("a note", ben.id, sent["syncMessageHash"])


async def test_several_texts_keep_their_order_and_come_once(make_foreign: MakeForeign) -> None:
    anna, ben = make_foreign("Anna"), make_foreign("Ben")
    texts = [f"part {number}" for number in range(12)]
    for text in texts:
        await anna.say(ben.id, text)
    assert [heard.content.dataMessage.body for heard in await ben.mailbox()] == texts
    await ben.do(ben._poller.poll)
    assert await ben.do(ben._poller.poll) == []


async def test_typing_begins_and_ends(make_foreign: MakeForeign) -> None:
    anna, ben = make_foreign("Anna"), make_foreign("Ben")
    await anna.do(anna.session.show_typing_indicator, ben.id)
    assert (await ben.hear("typing", author=anna.id))["isTyping"] is True
    await anna.do(anna.session.hide_typing_indicator, ben.id)
    assert (await ben.hear("typing", author=anna.id))["isTyping"] is False


async def test_a_receipt_names_the_messages_that_were_read(make_foreign: MakeForeign) -> None:
    anna, ben = make_foreign("Anna"), make_foreign("Ben")
    sent = await anna.say(ben.id, "read me")
    await ben.hear("data", author=anna.id)
    await ben.do(ben.session.mark_messages_as_read, anna.id, [sent["timestamp"]])
    assert (await anna.hear("receipt", author=ben.id))["targetTimestamps"] == [sent["timestamp"]]


async def test_a_reaction_is_put_on_and_taken_off(make_foreign: MakeForeign) -> None:
    anna, ben = make_foreign("Anna"), make_foreign("Ben")
    sent = await anna.say(ben.id, "we did it")
    await ben.do(ben.session.add_reaction, sent["timestamp"], anna.id, "🎉")
    await ben.do(ben.session.remove_reaction, sent["timestamp"], anna.id, "🎉")
    # The poller shows a reaction as a text without one; the mailbox has it whole.
    assert not (await anna.do(anna._poller.poll))[-1]["body"]
    reactions = [heard.content.dataMessage.reaction for heard in await anna.mailbox() if heard.author == ben.id]
    assert [(one.id, one.author, one.emoji, one.action) for one in reactions] == [
        (sent["timestamp"], anna.id, "🎉", 0),
        (sent["timestamp"], anna.id, "🎉", 1),
    ]


async def test_unsend_tells_the_peer_and_deletes_the_own_copy(make_foreign: MakeForeign) -> None:
    anna, ben = make_foreign("Anna"), make_foreign("Ben")
    sent = await anna.say(ben.id, "a slip")
    copy = sent["syncMessageHash"]
    assert copy in {heard.hash for heard in await anna.mailbox()}
    await anna.do(anna.session.delete_message, ben.id, sent["timestamp"], copy)
    unsent = await ben.hear("unsend", author=anna.id)
    assert (unsent["targetTimestamp"], unsent["author"]) == (sent["timestamp"], anna.id)
    assert copy not in {heard.hash for heard in await anna.mailbox()}


async def test_an_accepted_request_is_told(make_foreign: MakeForeign) -> None:
    anna, ben = make_foreign("Anna"), make_foreign("Ben")
    await ben.do(ben.session.accept_conversation_request, anna.id)
    assert (await anna.hear("request_response", author=ben.id))["isApproved"] is True
