"""After the log was mended: wait until the members that are present hold what it holds, too."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Final

from services.swarm.adapters.receipt_post import TOKEN_BYTES
from services.swarm.adapters.witness import Answer

_LEVEL: Final = {"level": True}
#: A question is asked again so often, for those who were away when it was asked.
_AGAIN_S: Final = 1.0
#: Most questions of other members kept until this node can answer.
_MOST_QUESTIONS: Final = 256


class Agreement:
    """Asks the other members whether they are level with the log, and answers them.

    Args:
        own_key: the hex of this node's key.
        members: names all members, by the hex of their key.
        ask: puts a question (token, position) to the others.
        doubt: has this node look at the log again, soon.
    """

    def __init__(
        self,
        own_key: str,
        members: Callable[[], Sequence[str]],
        ask: Callable[[bytes, int], None],
        doubt: Callable[[], None],
    ) -> None:
        self._own_key = own_key
        self._members = members
        self._ask = ask
        self._doubt = doubt
        self._token = b""
        self._heard: set[str] = set()
        self._all = asyncio.Event()
        self._questions: dict[bytes, tuple[int, Answer]] = {}

    async def reach(self, position: int, within_s: float) -> bool:
        """Wait until all other members say that they hold the log up to a position; false if some did not in time."""
        self._token, self._heard = os.urandom(TOKEN_BYTES), set()
        self._all.clear()
        try:
            async with asyncio.timeout(within_s):
                while not {*self._members()} - {self._own_key} <= self._heard:
                    self._ask(self._token, position)
                    try:
                        async with asyncio.timeout(_AGAIN_S):
                            await self._all.wait()
                    except TimeoutError:
                        continue
        except TimeoutError:
            return False
        finally:
            self._token = b""
        return True

    def hear(self, member: str, token: bytes) -> bool:
        """Take another member's answer; false if it is none to the question that is asked now."""
        if not self._token or token != self._token:
            return False
        self._heard.add(member)
        if {*self._members()} - {self._own_key} <= self._heard:
            self._all.set()
        return True

    def take_question(self, token: bytes, position: int, answer: Answer) -> None:
        """Answer another member once this node has looked at the log and holds what it has up to a position."""
        if len(self._questions) < _MOST_QUESTIONS:
            self._questions[token] = (position, answer)
            self._doubt()

    def level(self, position: int) -> None:
        """Hear that the log is the known one, misses nothing that this node has, and is folded up to a position."""
        for token, (wanted, answer) in list(self._questions.items()):
            if wanted <= position:
                del self._questions[token]
                answer(token, _LEVEL)
