"""What the network has promised: every acknowledged message, and every acknowledged deletion. Pure.

A message is written down when its store is acknowledged and binds the network from then on until it expires or somebody
asks for its deletion. From that moment it may be gone; once the deletion is acknowledged it must be gone and stay gone.
If it is not known what became of a request (no answer, or one that proves nothing), nothing is written down: such a
message may be there or not, and such a deletion leaves its message in doubt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random
from typing import NamedTuple

#: A message that expires within that many ms is left alone: clocks differ, and a request takes time.
MARGIN_MS = 2_000


class State(Enum):
    """What the network owes about a message."""

    #: It must be there.
    KEPT = auto()
    #: Its deletion is under way, or nobody knows whether it was done.
    DOUBTFUL = auto()
    #: It must be gone.
    DELETED = auto()


@dataclass(slots=True, eq=False)
class Entry:
    """One acknowledged message.

    Attributes:
        mailbox: number of the simulated account.
        message_hash: 43 characters.
        expiry_ms: until when it must be there, as acknowledged last.
        acknowledged_ms: when the store was acknowledged.
        deleted_ms: when the deletion was; 0 before.
        place: where it stands among the messages that may be drawn; -1 if it may not.

    """

    mailbox: int
    message_hash: str
    expiry_ms: int
    acknowledged_ms: int
    state: State = State.KEPT
    deleted_ms: int = 0
    place: int = -1

    def due(self, now_ms: int) -> bool:
        """Tell whether it must be there now."""
        return self.state is State.KEPT and self.expiry_ms > now_ms + MARGIN_MS

    def gone(self, now_ms: int) -> bool:
        """Tell whether it must be gone because it was deleted; when it would have expired, nothing is owed any more."""
        return self.state is State.DELETED and self.expiry_ms > now_ms + MARGIN_MS


class Counts(NamedTuple):
    """What a ledger holds: messages that must be there, that must be gone, and that are in doubt."""

    kept: int
    deleted: int
    doubtful: int


@dataclass(slots=True)
class Ledger:
    """Everything that was acknowledged in one run.

    Attributes:
        acknowledged: how many stores were.
        deleted: how many deletions were.

    """

    acknowledged: int = 0
    deleted: int = 0
    _mailboxes: dict[int, dict[str, Entry]] = field(default_factory=dict)
    _drawable: list[Entry] = field(default_factory=list)

    def __iter__(self) -> Iterator[Entry]:
        """Yield all entries, mailbox by mailbox."""
        for entries in self._mailboxes.values():
            yield from entries.values()

    def mailboxes(self) -> list[int]:
        """Return the accounts of whom anything is written down."""
        return list(self._mailboxes)

    def of(self, mailbox: int) -> list[Entry]:
        """Return one account's entries, oldest first."""
        return list(self._mailboxes.get(mailbox, {}).values())

    def stored(self, mailbox: int, message_hash: str, expiry_ms: int, now_ms: int) -> Entry:
        """A store was acknowledged; of the same message stored again the later expiry counts."""
        entries = self._mailboxes.setdefault(mailbox, {})
        if (known := entries.get(message_hash)) is not None:
            self._withdraw(known)
            expiry_ms = max(expiry_ms, known.expiry_ms if known.state is State.KEPT else 0)
        entry = entries[message_hash] = Entry(mailbox, message_hash, expiry_ms, now_ms)
        self.acknowledged += 1
        self._offer(entry)
        return entry

    def draw(self, random: Random, now_ms: int) -> Entry | None:
        """Return any message that must be there now, so that something can be done to it; ``None`` without one."""
        while self._drawable:
            entry = random.choice(self._drawable)
            if entry.due(now_ms):
                return entry
            self._withdraw(entry)
        return None

    def deleting(self, entry: Entry) -> None:
        """Somebody is about to ask for its deletion."""
        entry.state = State.DOUBTFUL
        self._withdraw(entry)

    def spared(self, entry: Entry) -> None:
        """Its deletion was certainly not carried out."""
        entry.state = State.KEPT
        self._offer(entry)

    def gone(self, entry: Entry, now_ms: int) -> None:
        """Its deletion was acknowledged."""
        entry.state, entry.deleted_ms = State.DELETED, now_ms
        self.deleted += 1
        self._withdraw(entry)

    def extended(self, entry: Entry, expiry_ms: int) -> None:
        """A later expiry was acknowledged; what is in doubt about an extension never shortens a promise."""
        entry.expiry_ms = max(entry.expiry_ms, expiry_ms)

    def forget_expired(self, now_ms: int) -> int:
        """Drop what expired, of which nothing is owed any more, and return how many entries that was."""
        dropped = 0
        for mailbox, entries in list(self._mailboxes.items()):
            for entry in [entry for entry in entries.values() if entry.expiry_ms <= now_ms]:
                self._withdraw(entry)
                del entries[entry.message_hash]
                dropped += 1
            if not entries:
                del self._mailboxes[mailbox]
        return dropped

    def counts(self, now_ms: int) -> Counts:
        """Return how many messages must be there, must be gone, and are in doubt now."""
        kept = deleted = doubtful = 0
        for entry in self:
            kept += entry.due(now_ms)
            deleted += entry.gone(now_ms)
            doubtful += entry.state is State.DOUBTFUL
        return Counts(kept, deleted, doubtful)

    def _offer(self, entry: Entry) -> None:
        if entry.place >= 0:
            return
        entry.place = len(self._drawable)
        self._drawable.append(entry)

    def _withdraw(self, entry: Entry) -> None:
        if entry.place < 0:
            return
        last = self._drawable.pop()
        if last is not entry:
            self._drawable[entry.place] = last
            last.place = entry.place
        entry.place = -1
