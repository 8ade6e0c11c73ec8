"""A member's part of an answer: given when its own store has folded the events, if somebody waits.

Whoever was asked by a client tells all members that it waits, under a token that expires, before or while it appends
the events. The note may come behind the events it is about: what was folded lately is remembered as long as a note may
still come. What nobody waits for is signed by nobody. With few notes a member signs what it will have to say while the
log writes, and keeps it to itself until then.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from naisho.protocol.signing import SigningKey
from services.chassis.clock import Clock
from services.swarm.adapters.store.reader import Reader
from services.swarm.domain.commands import Asked, Command, Store, Stores
from services.swarm.domain.evolve import Changes
from services.swarm.domain.ports import MemberAnswer
from services.swarm.domain.results import foreseen_text, member_result, result_text, stores_results
from services.swarm.projections.arrivals import Arrivals, FirstStores

#: Most notes, and most events without one, that are remembered; beyond it the oldest are forgotten.
_REMEMBERED: Final = 20_000
#: With so few notes that wait there is time to sign ahead.
_FEW: Final = 4

#: A member's part of an answer: one result, or for several stores a list of them.
Part = MemberAnswer | list[MemberAnswer]
#: Takes the answer to a note.
Answer = Callable[[bytes, Part], None]


class Position(Protocol):
    """What knows how far the store is."""

    @property
    def position(self) -> int:
        """Everything up to this sequence is folded."""
        ...


@dataclass(slots=True, repr=False)
class Note:
    """Somebody waits for this member's part of an answer.

    Attributes:
        token: 8 bytes, what the answer is known by; a second note with the same token replaces the first.
        events: ids of the events that carry out the command, in order.
        position: without events: answer when everything up to here is folded.
        mailbox: tag of the mailbox; of no meaning for several stores.
        command: what the result is computed from; several stores have an event each.
        answer: takes the result.
        here: whether this node itself waits, so that its disk must have what it answers for.
        signed: the text that the answer will cover, as far as foreseen, and its signature.
    """

    token: bytes
    events: Sequence[bytes]
    position: int
    mailbox: bytes
    command: Asked
    answer: Answer
    here: bool = False
    expires: float = 0.0
    folded: dict[bytes, Changes] = field(default_factory=dict)
    signed: tuple[bytes, bytes] | None = None


class Witness:
    """Answers notes.

    Args:
        reader: this member's store.
        position: how far that is.
        key: the node's, which signs results.
        clock: the time.
        remember_s: how long a note is waited on, and an event without a note remembered.

    Attributes:
        signed: results signed so far.
    """

    def __init__(self, reader: Reader, position: Position, key: SigningKey, clock: Clock, *, remember_s: float) -> None:
        self.signed = 0
        self._reader = reader
        self._position = position
        self._key = key
        self._clock = clock
        self._remember_s = remember_s
        self._notes: OrderedDict[bytes, Note] = OrderedDict()
        self._awaited: dict[bytes, Note] = {}
        self._awaiting_position: dict[bytes, Note] = {}
        #: Events folded before anybody asked, with the moment they may be forgotten.
        self._early: OrderedDict[bytes, tuple[float, Changes]] = OrderedDict()

    def folded(self, arrivals: Arrivals, changes: Sequence[Changes | None]) -> None:
        """Hear what was committed."""
        if isinstance(arrivals.events, FirstStores):
            return  # nobody waits for these any more
        now = self._clock.monotonic()
        self._forget(now)
        for event, changed in zip(arrivals.events, changes, strict=True):
            if changed is None:
                continue
            note = self._awaited.pop(event.event_id, None)
            if note is None:
                self._early[event.event_id] = (now + self._remember_s, changed)
                continue
            note.folded[event.event_id] = changed
            if len(note.folded) == len(note.events):
                self._answer(note)
        if self._awaiting_position:
            for note in [n for n in self._awaiting_position.values() if n.position <= self._position.position]:
                self._answer(note)

    def take(self, note: Note) -> None:
        """Answer a note, now or when its events are folded."""
        now = self._clock.monotonic()
        self._forget(now)
        note.expires = now + self._remember_s
        before = self._notes.pop(note.token, None)
        if before is not None:
            note.folded.update((e, before.folded[e]) for e in note.events if e in before.folded)
            self._drop(before)
        self._notes[note.token] = note
        if not note.events:
            self._awaiting_position[note.token] = note
            if note.position <= self._position.position:
                self._answer(note)
            return
        for event_id in note.events:
            if event_id in note.folded:
                continue
            early = self._early.pop(event_id, None)
            if early is None:
                self._awaited[event_id] = note
            else:
                note.folded[event_id] = early[1]
        if len(note.folded) == len(note.events):
            self._answer(note)
        elif len(self._notes) <= _FEW:
            asyncio.get_running_loop().call_soon(self._sign_ahead, note)

    def is_asked_here(self, arrivals: Arrivals) -> bool:
        """Tell whether this node itself waits for one of these events."""
        awaited = self._awaited
        if not awaited or isinstance(arrivals.events, FirstStores):
            return False
        for event in arrivals.events:
            note = awaited.get(event.event_id)
            if note is not None and note.here:
                return True
        return False

    def has_folded(self, token: bytes, event_id: bytes) -> bool:
        """Tell whether an event that a note is about is folded."""
        note = self._notes.get(token)
        return note is not None and event_id in note.folded

    def _answer(self, note: Note) -> None:
        if self._notes.get(note.token) is not note:
            return  # expired, or replaced by another note
        del self._notes[note.token]
        self._awaiting_position.pop(note.token, None)
        if note.expires >= self._clock.monotonic():
            note.answer(note.token, self._result(note))

    def _sign_ahead(self, note: Note) -> None:
        """Sign what a note's answer will say if the store takes what it is about; nobody hears of it before."""
        text = None if isinstance(note.command, Stores) else foreseen_text(note.command)
        if text is not None and self._notes.get(note.token) is note:
            note.signed = (text, self._key.sign(text))

    def _result(self, note: Note) -> Part:
        command = note.command
        if isinstance(command, Stores):
            results = stores_results(command, [note.folded[event_id] for event_id in note.events])
            return [self._signed(store, result, None) for store, result in zip(command.stores, results, strict=True)]
        if len(note.events) == 1:
            changes = note.folded[note.events[0]]
        else:
            changes = Changes()
            for event_id in note.events:
                changes.add(note.folded[event_id])
        with self._reader.view(note.mailbox, self._clock.now_ms()) as view:
            return self._signed(command, member_result(command, changes, view), note.signed)

    def _signed(self, command: Command, result: MemberAnswer, ahead: tuple[bytes, bytes] | None) -> MemberAnswer:
        if "failed" not in result:
            account = "" if isinstance(command, Store) else command.account.hex()
            text = result_text(account, command, result)
            signature = ahead[1] if ahead is not None and ahead[0] == text else self._key.sign(text)
            result["signature"] = b64encode(signature).decode()
            self.signed += 1
        return result

    def _forget(self, now: float) -> None:
        notes, early = self._notes, self._early
        while notes and (len(notes) > _REMEMBERED or next(iter(notes.values())).expires < now):
            self._drop(notes.popitem(last=False)[1])
        while early and (len(early) > _REMEMBERED or next(iter(early.values()))[0] < now):
            early.popitem(last=False)

    def _drop(self, note: Note) -> None:
        self._awaiting_position.pop(note.token, None)
        for event_id in note.events:
            if self._awaited.get(event_id) is note:
                del self._awaited[event_id]
