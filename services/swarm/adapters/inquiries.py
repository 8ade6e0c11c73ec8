"""Asking all members of the swarm for their part of an answer, and waiting for it no longer than is sensible."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import orjson

from services.swarm.adapters.receipt_post import TOKEN_BYTES
from services.swarm.adapters.witness import Note, Witness
from services.swarm.domain.commands import Command
from services.swarm.domain.ports import MemberAnswer, SwarmAnswer

_TIMED_OUT: Final[MemberAnswer] = {"failed": True, "timeout": True}
_UNREADABLE: Final[MemberAnswer] = {"failed": True, "bad_peer_response": True}
#: A member that let so many inquiries in a row pass is not waited for again until it is heard of.
_MISSES: Final = 3


class Inquiry:
    """One command's answers, as they come in.

    Args:
        command: what is carried out.
        mailbox: tag of its mailbox.
        others: members other than this node, by the hex of their key.
        awaited: those of them worth waiting for.
    """

    def __init__(self, command: Command, mailbox: bytes, others: Sequence[str], awaited: Sequence[str]) -> None:
        self.token = os.urandom(TOKEN_BYTES)
        self.command = command
        self.mailbox = mailbox
        self.others = others
        self.awaited = set(awaited)
        #: Ids of the events that were asked about last.
        self.events: tuple[bytes, ...] = ()
        self.answers: dict[str, MemberAnswer] = {}
        #: When nobody is waited for any more, by the loop's clock.
        self.until = 0.0
        loop = asyncio.get_running_loop()
        self.own: asyncio.Future[MemberAnswer] = loop.create_future()
        self.complete: asyncio.Future[None] = loop.create_future()
        self._see()

    def hear(self, member: str, answer: MemberAnswer) -> None:
        """Take another member's answer."""
        self.answers[member] = answer
        self.awaited.discard(member)
        self._see()

    def _see(self) -> None:
        if not self.awaited and not self.complete.done():
            self.complete.set_result(None)


class Inquiries:
    """This node's open inquiries.

    Args:
        own_key: the hex of this node's key.
        witness: answers for this node.
        send_note: tells the other members.
    """

    def __init__(self, own_key: str, witness: Witness, send_note: Callable[[Note], None]) -> None:
        self._own_key = own_key
        self._witness = witness
        self._send_note = send_note
        self._open: dict[bytes, Inquiry] = {}
        self._misses: dict[str, int] = {}
        self._excused: frozenset[str] = frozenset()

    def excuse(self, members: Iterable[str]) -> None:
        """Wait no more for these members, by the hex of their key: they are known to be away.

        They are asked all the same, and what they answer counts if it comes before the last of the others' answers.
        """
        self._excused = frozenset(members)

    @property
    def silent(self) -> int:
        """How many members let inquiries pass lately."""
        return len(self._misses)

    def open(self, command: Command, mailbox: bytes, members: Sequence[str]) -> Inquiry:
        """Begin an inquiry; nothing is asked yet.

        Args:
            command: what is carried out.
            mailbox: tag of its mailbox.
            members: all members of the swarm, by the hex of their key.
        """
        others = [member for member in members if member != self._own_key]
        awaited = [m for m in others if m not in self._excused and self._misses.get(m, 0) < _MISSES]
        inquiry = Inquiry(command, mailbox, others, awaited)
        self._open[inquiry.token] = inquiry
        return inquiry

    def ask(self, inquiry: Inquiry, events: Sequence[bytes], position: int) -> None:
        """Ask all members, or ask anew because other events carry out the command after all.

        Args:
            inquiry: whose answers.
            events: ids of the events that carry it out, those of earlier attempts that were appended included.
            position: without events: what must be folded before the answer.
        """
        inquiry.events = tuple(events)
        note = Note(inquiry.token, inquiry.events, position, inquiry.mailbox, inquiry.command, self._take_own)
        self._witness.take(note)
        if inquiry.others:
            self._send_note(note)

    async def own(self, inquiry: Inquiry, *, own_s: float, others_s: float) -> None:
        """Wait for this node's own answer.

        Args:
            inquiry: whose.
            own_s: seconds to wait for this node's own.
            others_s: seconds to wait for the others' from now on.

        Raises:
            TimeoutError: this node's own store has not folded the events in time.
        """
        inquiry.until = asyncio.get_running_loop().time() + others_s
        async with asyncio.timeout(own_s):
            await inquiry.own

    async def answers(self, inquiry: Inquiry) -> SwarmAnswer:
        """Wait for the other members' answers, once this node's own is there."""
        if not inquiry.complete.done():
            try:
                async with asyncio.timeout_at(inquiry.until):
                    await inquiry.complete
            except TimeoutError:
                for member in inquiry.awaited:
                    self._misses[member] = self._misses.get(member, 0) + 1
        own = inquiry.own.result()
        silent = {member: dict(_TIMED_OUT) for member in inquiry.others}
        return SwarmAnswer({self._own_key: own, **silent, **inquiry.answers}, own)

    def has_folded(self, inquiry: Inquiry, event_id: bytes) -> bool:
        """Tell whether this node's store has folded an event that was asked about."""
        return self._witness.has_folded(inquiry.token, event_id)

    def close(self, inquiry: Inquiry) -> None:
        """End an inquiry, whatever came of it."""
        self._open.pop(inquiry.token, None)

    def hear(self, member: str, token: bytes, answer: bytes) -> None:
        """Take a member's receipt; one that came too late still shows that the member lives."""
        self._misses.pop(member, None)
        inquiry = self._open.get(token)
        if inquiry is not None and member in inquiry.others:
            inquiry.hear(member, _read(answer))

    def _take_own(self, token: bytes, answer: MemberAnswer) -> None:
        inquiry = self._open.get(token)
        if inquiry is not None and not inquiry.own.done():
            inquiry.own.set_result(answer)


def _read(answer: bytes) -> MemberAnswer:
    try:
        found: Any = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return dict(_UNREADABLE)
    return found if isinstance(found, dict) else dict(_UNREADABLE)
