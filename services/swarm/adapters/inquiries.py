"""Asking all members of the swarm for their part of an answer, and waiting for it no longer than is sensible."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import orjson

from services.swarm.adapters.receipt_post import TOKEN_BYTES
from services.swarm.adapters.witness import Note, Part, Witness
from services.swarm.domain.commands import Asked, Stores
from services.swarm.domain.ports import MemberAnswer, SwarmAnswer

_TIMED_OUT: Final[MemberAnswer] = {"failed": True, "timeout": True}
_UNREADABLE: Final[MemberAnswer] = {"failed": True, "bad_peer_response": True}
#: A member that let so many inquiries in a row pass is not waited for again until it is heard of.
_MISSES: Final = 3
#: With so few inquiries open, members are told at once.
_FEW: Final = 4
#: How exactly waits are bounded, in seconds.
_LOOK_S: Final = 0.05


def _nothing() -> None:
    """Do nothing."""


class Inquiry:
    """The answers to one command, or to several stores at once, as they come in.

    Args:
        command: what is carried out.
        mailbox: tag of its mailbox; of no meaning for several stores.
        others: members other than this node, by the hex of their key.
        awaited: those of them worth waiting for.
    """

    def __init__(self, command: Asked, mailbox: bytes, others: Sequence[str], awaited: Iterable[str]) -> None:
        self.token = os.urandom(TOKEN_BYTES)
        self.command = command
        self.mailbox = mailbox
        self.others = others
        self.awaited = set(awaited)
        #: Ids of the events that were asked about last.
        self.events: tuple[bytes, ...] = ()
        #: What other members sent, whatever it is.
        self.answers: dict[str, Any] = {}
        #: This node's own answer: its store has folded the events.
        self.own: Part | None = None
        self._appended: asyncio.Future[Any] | None = None
        self._wait: _Wait | None = None

    def hear(self, member: str, answer: Any) -> None:
        """Take another member's answer."""
        self.answers[member] = answer
        self.awaited.discard(member)
        self._see()

    def hear_own(self, answer: Part) -> None:
        """Take this node's answer."""
        if self.own is None:
            self.own = answer
            self._see()

    def wait(self, wait: _Wait, appended: asyncio.Future[Any] | None) -> None:
        """Have a wait end when its part of the answers is there, and the log has acknowledged appends, if given."""
        self._wait = wait
        self._appended = appended
        if appended is not None:
            appended.add_done_callback(self._on_appended)
        self._see()

    def overdue(self, now: float) -> bool:
        """End a wait that has lasted too long; true if only other members are missing."""
        wait = self._wait
        if wait is None or wait.future.done():
            return False
        if self.own is None:
            if now >= wait.own_by:
                wait.future.set_exception(TimeoutError("this node's own store has not folded the events in time"))
            return False
        if now < wait.others_by or not self._is_acknowledged():
            return False
        wait.future.set_result(None)
        return True

    def _on_appended(self, appended: asyncio.Future[Any]) -> None:
        if not appended.cancelled() and (error := appended.exception()) is not None:
            if self._wait is not None and not self._wait.future.done():
                self._wait.future.set_exception(error)
        else:
            self._see()

    def _see(self) -> None:
        wait = self._wait
        if wait is None or self.own is None or wait.future.done() or not self._is_acknowledged():
            return
        wait.on_held()
        if wait.own_alone or not self.awaited:
            wait.future.set_result(None)

    def _is_acknowledged(self) -> bool:
        return self._appended is None or self._appended.done()


class _Wait(NamedTuple):
    """Somebody waits for an inquiry's answers."""

    future: asyncio.Future[None]
    #: Called when this node has its own part done, before others' answers are waited for; maybe several times.
    on_held: Callable[[], None]
    #: Nobody else's answer is waited for.
    own_alone: bool
    #: By the loop's time.
    own_by: float
    others_by: float


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
        self._timer: asyncio.TimerHandle | None = None

    def excuse(self, members: Iterable[str]) -> None:
        """Wait no more for these members, by the hex of their key: they are known to be away.

        They are asked all the same, and what they answer counts if it comes before the last of the others' answers.
        """
        self._excused = frozenset(members)

    @property
    def silent(self) -> int:
        """How many members let inquiries pass lately."""
        return len(self._misses)

    def open(self, command: Asked, mailbox: bytes, members: Sequence[str]) -> Inquiry:
        """Begin an inquiry; nothing is asked yet.

        Args:
            command: what is carried out.
            mailbox: tag of its mailbox; of no meaning for several stores.
            members: all members of the swarm, by the hex of their key.
        """
        others = [member for member in members if member != self._own_key]
        awaited = [m for m in others if m not in self._excused and self._misses.get(m, 0) < _MISSES]
        inquiry = Inquiry(command, mailbox, others, awaited)
        self._open[inquiry.token] = inquiry
        return inquiry

    def ask(
        self, inquiry: Inquiry, events: Sequence[bytes], position: int, *, after: asyncio.Future[Any] | None = None
    ) -> None:
        """Ask all members, or ask anew because other events carry out the command after all.

        Args:
            inquiry: whose answers.
            events: ids of the events that carry it out, those of earlier attempts that were appended included.
            position: without events: what must be folded before the answer.
            after: appends whose acknowledgement the other members are told behind, since they need not know before:
                until then everybody's time belongs to the log. With few commands under way there is time enough while
                the log writes, and none is lost when they have to answer.
        """
        inquiry.events = tuple(events)
        note = Note(
            inquiry.token, inquiry.events, position, inquiry.mailbox, inquiry.command, self._take_own, here=True
        )
        self._witness.take(note)
        if not inquiry.others:
            return
        if after is None or len(self._open) <= _FEW:
            self._send_note(note)
        else:
            after.add_done_callback(partial(self._tell, note))

    def _tell(self, note: Note, appended: asyncio.Future[Any]) -> None:
        if not appended.cancelled() and appended.exception() is None:
            self._send_note(note)

    async def answers(
        self,
        inquiry: Inquiry,
        *,
        own_s: float,
        others_s: float,
        appended: asyncio.Future[Any] | None = None,
        on_held: Callable[[], None] = _nothing,
    ) -> list[SwarmAnswer]:
        """Wait for the answers: those to one command, or to each of several stores.

        Args:
            inquiry: whose.
            own_s: seconds to wait for this node's own.
            others_s: seconds to wait for the others' from now on.
            appended: appends whose acknowledgement is waited for as well.
            on_held: called when only other members' answers are missing, if not before; maybe several times.

        Raises:
            TimeoutError: this node's own store has not folded the events in time.
            EventLogError: the append failed.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        await self._wait(inquiry, _Wait(loop.create_future(), on_held, False, now + own_s, now + others_s), appended)
        own = _results(inquiry.own, inquiry)
        heard = {member: _results(answer, inquiry) for member, answer in inquiry.answers.items()}
        silent = [member for member in inquiry.others if member not in heard]
        answers = []
        for number, result in enumerate(own):
            members = {self._own_key: result}
            for member, results in heard.items():
                members[member] = results[number]
            for member in silent:
                members[member] = dict(_TIMED_OUT)
            answers.append(SwarmAnswer(members, result))
        return answers

    async def folded(self, inquiry: Inquiry, *, own_s: float) -> None:
        """Wait for this node's own answer.

        Raises:
            TimeoutError: this node's own store has not folded the events in time.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + own_s
        await self._wait(inquiry, _Wait(loop.create_future(), _nothing, True, until, until), None)

    async def _wait(self, inquiry: Inquiry, wait: _Wait, appended: asyncio.Future[Any] | None) -> None:
        inquiry.wait(wait, appended)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LOOK_S, self._look)
        await wait.future

    def _look(self) -> None:
        """End what has lasted too long: one timer for all, since hardly any wait ever gets there."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for inquiry in self._open.values():
            if inquiry.overdue(now):
                for member in inquiry.awaited:
                    self._misses[member] = self._misses.get(member, 0) + 1
        self._timer = loop.call_later(_LOOK_S, self._look) if self._open else None

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

    def _take_own(self, token: bytes, answer: Part) -> None:
        inquiry = self._open.get(token)
        if inquiry is not None:
            inquiry.hear_own(answer)


def _read(answer: bytes) -> Any:
    try:
        return orjson.loads(answer)
    except orjson.JSONDecodeError:
        return None


def _results(answer: Any, inquiry: Inquiry) -> list[MemberAnswer]:
    """Return a member's result of each command; what is none is said to be unreadable."""
    command = inquiry.command
    count = len(command.stores) if isinstance(command, Stores) else 1
    results = answer if isinstance(command, Stores) else [answer]
    if not isinstance(results, list) or len(results) != count:
        return [dict(_UNREADABLE) for _ in range(count)]
    return [result if isinstance(result, dict) else dict(_UNREADABLE) for result in results]
