"""A request with a few tries: another member, another path, the right swarm. Every request here may be repeated.

A message is its hash, deleting twice is deleting once, and an expiry that is set again is the same; so trying again is
harmless. Tries and time are bounded: all tries of a request share one time limit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from naisho.errors import RequestRefused
from naisho.protocol.directory import Node
from naisho.swarm.answers import Verdict, read_answer
from operators.load import outcomes
from operators.load.population import Simulated
from operators.load.requests import Reply, Request
from operators.load.surroundings import Surroundings
from operators.load.ways import Attempt, Way

#: Given network time in ms, returns a request; called anew for every try, so that signatures are fresh.
Build: TypeAlias = Callable[[int], Request]

#: Seconds before the n-th try.
BACKOFF = (0.0, 0.1, 0.3, 1.0)
#: A try is not begun for less.
SHORTEST_TRY = 0.05


class Asked(NamedTuple):
    """What became of a request.

    Attributes:
        reply: the successful answer; ``None`` without one.
        kind: of the last error; empty with a reply.
        doubtful: some try may have been carried out though nobody said so.
        swarm: hex id of the swarm that was asked last.
        tries: how many times it was tried.

    """

    reply: Reply | None
    kind: str
    doubtful: bool
    swarm: str
    tries: int


class Asking:
    """Asks swarms.

    Args:
        surroundings: the network.
        way: how requests get to members.
        tries: how many for each request.
        seconds: for all tries of a request together.

    """

    def __init__(self, surroundings: Surroundings, way: Way, tries: int, seconds: float) -> None:
        self._surroundings = surroundings
        self._way = way
        self._tries = tries
        self._seconds = seconds

    async def ask(self, sender: Simulated, build: Build) -> Asked:
        """Ask the swarm that keeps an account's mailbox until a member answers or the tries are used up."""
        until = time.monotonic() + self._seconds
        tried: set[bytes] = set()
        kind, doubtful, count = outcomes.NO_MEMBER, False, 0
        swarm = ""
        while count < self._tries:
            pause = BACKOFF[min(count, len(BACKOFF) - 1)]
            left = until - time.monotonic() - pause
            if left < SHORTEST_TRY:
                break
            if pause:
                await asyncio.sleep(pause)
            count += 1
            swarm, members = self._surroundings.place(sender)
            attempt = await self._try(sender, members, tried, build, left)
            if attempt.reply is None:
                kind, doubtful = attempt.kind, doubtful or attempt.sent
                if attempt.member is None:
                    tried.clear()
                else:
                    tried.add(attempt.member.key)
                continue
            assert attempt.member is not None, "somebody replied"
            answer = read_answer(attempt.reply.status, attempt.reply.body)
            if answer.verdict is Verdict.DONE:
                return Asked(Reply(attempt.member, members, answer.body), "", doubtful, swarm, count)
            refused = isinstance(answer.error, RequestRefused)
            kind = f"status_{attempt.reply.status}" if refused else answer.error.code
            # A node that gives up with a status of 500 and more may have begun.
            doubtful = doubtful or attempt.reply.status >= 500  # noqa: PLR2004 - see above
            if answer.verdict in {Verdict.REFUSED, Verdict.SET_CLOCK}:
                break
            if answer.verdict is Verdict.LOOK_AGAIN:
                await self._surroundings.refresh()
            tried.add(attempt.member.key)
        return Asked(None, kind, doubtful, swarm, count)

    async def _try(
        self, sender: Simulated, members: Sequence[Node], tried: set[bytes], build: Build, seconds: float
    ) -> Attempt:
        request = build(self._surroundings.clock.now_ms())
        try:
            async with asyncio.timeout(seconds):
                return await self._way.carry(sender, members, tried, request, seconds)
        except TimeoutError:
            return Attempt(None, None, outcomes.TIMED_OUT, sent=True)
