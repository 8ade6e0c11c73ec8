"""How often our own mailbox is asked."""

from __future__ import annotations

from random import Random
from typing import Any

from naisho.conversation.listening import BACKOFF, MOST_ROUNDS, Listener
from naisho.errors import PathSilent
from naisho.swarm.mailbox import Listing, Stored


class Script:
    """Stands for mailboxes, receiver, sender, mail and clock; every poll takes the next thing from a list."""

    def __init__(self, polls: list[Any]) -> None:
        self.polls = polls
        self.pauses: list[float] = []
        self.to_forget: list[str] = []
        self.flushed = 0

    async def poll(self, _positions: dict[int, str]) -> list[Listing]:
        found = self.polls.pop(0) if self.polls else None
        if isinstance(found, Exception):
            raise found
        return [found] if found else [Listing(0, (), more=False)]

    async def position(self, _namespace: int) -> str:
        return ""

    async def take(self, listing: Listing) -> list[Any]:
        return list(listing.messages)

    async def flush(self) -> list[Any]:
        self.flushed += 1
        return []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def listener(self) -> Listener:
        me: Any = self
        return Listener(mailboxes=me, receiver=me, sender=me, mail=me, random=Random(1), sleep=self.sleep)


MESSAGE = Stored("x" * 43, b"", 0, 0)


async def test_often_while_there_is_talk_and_seldom_after_five_minutes_of_silence() -> None:
    script = Script([None] * 2000 + [Listing(0, (MESSAGE,), more=False)])
    async for _ in script.listener().listen():
        break
    in_talk = script.pauses[:200]
    assert all(0.8 <= pause <= 1.2 for pause in in_talk)
    assert all(4.0 <= pause <= 6.0 for pause in script.pauses[-100:])
    assert sum(script.pauses[:250]) < 300

    script.polls = [None] * 3 + [Listing(0, (MESSAGE,), more=False)]
    script.pauses.clear()
    heard = script.listener().listen()
    await anext(heard)
    script.polls = [Listing(0, (MESSAGE,), more=False)]
    await anext(heard)
    assert all(pause <= 1.2 for pause in script.pauses), "talk makes it quick again"
    await heard.aclose()


async def test_failures_make_it_patient_but_never_end_it() -> None:
    script = Script([PathSilent(seconds=8)] * 10 + [Listing(0, (MESSAGE,), more=False)])
    async for _ in script.listener().listen():
        break
    assert script.pauses == [*BACKOFF, *[BACKOFF[-1]] * (10 - len(BACKOFF))]
    assert script.flushed == 0, "what waits is tried when the mailbox answers again"


async def test_a_member_that_always_promises_more_does_not_keep_us() -> None:
    script = Script([Listing(0, (MESSAGE,), more=True)] * 1000)
    events = await script.listener().poll()
    assert len(events) == MOST_ROUNDS
