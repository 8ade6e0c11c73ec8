"""Polling our own mailbox: often while there is talk, seldom without, patiently while there is no network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from random import Random

from naisho.conversation.receiving import Receiver
from naisho.conversation.sending import Sender
from naisho.errors import NaishoError
from naisho.events import Event
from naisho.protocol.namespaces import DIRECT_MESSAGES
from naisho.store.mail import Mail
from naisho.swarm.mailbox import Mailboxes

#: Seconds between two polls: while there is talk, and when there was none for long.
QUICKEST, SLOWEST = 1.0, 5.0
#: Seconds of silence after which the pauses grow, each by this factor.
TALK, SLOWING = 300.0, 1.05
#: Requests of one poll; a member that always promises more does not keep us here.
MOST_ROUNDS = 64
#: Seconds before the next poll after the n-th failure in a row.
BACKOFF = (1.0, 2.0, 4.0, 8.0)


class Listener:
    """Polls, hands out events, and tries what waits to be sent on the way."""

    def __init__(
        self,
        *,
        mailboxes: Mailboxes,
        receiver: Receiver,
        sender: Sender,
        mail: Mail,
        random: Random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._mailboxes = mailboxes
        self._receiver = receiver
        self._sender = sender
        self._mail = mail
        self._random = random
        self._sleep = sleep

    async def poll(self) -> list[Event]:
        """Fetch all that is new now.

        Raises:
            NaishoError: the mailbox could not be asked.
        """
        events: list[Event] = []
        for _ in range(MOST_ROUNDS):
            listings = await self._mailboxes.poll({DIRECT_MESSAGES: await self._mail.position(DIRECT_MESSAGES)})
            for listing in listings:
                events += await self._receiver.take(listing)
            if not any(listing.more and listing.messages for listing in listings):
                break
        forget, self._receiver.to_forget[:] = list(self._receiver.to_forget), []
        for own_hash in forget:
            await self._sender.forget(own_hash)
        return events

    async def listen(self) -> AsyncGenerator[Event]:
        """Poll for ever and yield what comes; failures are for the path's status to tell, and tried again."""
        pause, silence, failures = QUICKEST, 0.0, 0
        while True:
            events: list[Event] = []
            try:
                events = await self.poll()
            except NaishoError:
                wait = BACKOFF[min(failures, len(BACKOFF) - 1)]
                failures += 1
            else:
                failures = 0
                silence = 0.0 if events else silence + pause
                pause = QUICKEST if silence < TALK else min(pause * SLOWING, SLOWEST)
                wait = pause * self._random.uniform(0.8, 1.2)
            for event in events:
                yield event
            if failures == 0:
                with suppress(NaishoError):
                    await self._sender.flush()
            await self._sleep(wait)
