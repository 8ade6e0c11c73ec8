"""Holding what members list against what they promised. Pure.

Reading takes time and the load may go on meanwhile, so a promise counts only if it held from before the reading until
after it: what was stored meanwhile is not expected yet, what somebody asked to delete meanwhile is expected no more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from operators.load.ledger import Entry, Ledger, State

#: Messages that are named; more are only counted.
MOST_NAMED = 20


class Promise(NamedTuple):
    """What one mailbox owes, as of one moment."""

    due: tuple[Entry, ...]
    gone: tuple[Entry, ...]

    @classmethod
    def of(cls, ledger: Ledger, mailbox: int, now_ms: int) -> Self:
        """Return what is owed now."""
        entries = ledger.of(mailbox)
        return cls(tuple(e for e in entries if e.due(now_ms)), tuple(e for e in entries if e.gone(now_ms)))

    def __bool__(self) -> bool:
        """Whether anything is owed."""
        return bool(self.due or self.gone)


class Breach(NamedTuple):
    """How one member breaks a promise."""

    missing: tuple[Entry, ...]
    risen: tuple[Entry, ...]

    def __bool__(self) -> bool:
        """Whether it breaks any."""
        return bool(self.missing or self.risen)


def breach(promise: Promise, listed: Collection[str], now_ms: int) -> Breach:
    """Return what a member owes and does not do.

    Args:
        promise: as of before the member was asked.
        listed: hashes of the messages that it listed, whole.
        now_ms: when the last answer came.
    """
    return Breach(
        tuple(entry for entry in promise.due if entry.due(now_ms) and entry.message_hash not in listed),
        tuple(entry for entry in promise.gone if entry.gone(now_ms) and entry.message_hash in listed),
    )


@dataclass(slots=True)
class Findings:
    """What a check found.

    Attributes:
        messages: how many messages had to be there and were looked for.
        copies: at how many members they were looked for, together.
        deletions: how many acknowledged deletions were looked at.
        lost: messages that at least one member does not list: hash, swarm and how many members lack it.
        undone: deleted messages that at least one member lists; as above.
        unread_members: pairs of a mailbox and a member that gave no answer.
        unread_messages: messages of which no member at all could be asked: of these nothing is known.
        seconds: how long it took.

    """

    messages: int = 0
    copies: int = 0
    deletions: int = 0
    lost: int = 0
    undone: int = 0
    unread_members: int = 0
    unread_messages: int = 0
    seconds: float = 0.0
    lost_named: list[dict[str, Any]] = field(default_factory=list)
    undone_named: list[dict[str, Any]] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing is lost, nothing came back, and everything could be looked at."""
        return not (self.lost or self.undone or self.unread_messages)

    def note(self, promise: Promise, swarm: str, breaches: Iterable[Breach | None]) -> None:
        """Write down what the members of one mailbox' swarm did.

        Args:
            promise: what the mailbox owed.
            swarm: hex id.
            breaches: one for each member; ``None`` for one that gave no answer.
        """
        found = list(breaches)
        asked = [each for each in found if each is not None]
        # What was taken back while members were asked is owed no more.
        due = [entry for entry in promise.due if entry.state is State.KEPT]
        self.unread_members += len(found) - len(asked)
        if not asked:
            self.unread_messages += len(due) + len(promise.gone)
            return
        self.messages += len(due)
        self.copies += len(due) * len(asked)
        self.deletions += len(promise.gone)
        self.lost += _name(self.lost_named, [each.missing for each in asked], swarm)
        self.undone += _name(self.undone_named, [each.risen for each in asked], swarm)

    def add(self, other: Self) -> None:
        """Add what another generating process found."""
        for name in ("messages", "copies", "deletions", "lost", "undone", "unread_members", "unread_messages"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.seconds = max(self.seconds, other.seconds)
        self.lost_named = [*self.lost_named, *other.lost_named][:MOST_NAMED]
        self.undone_named = [*self.undone_named, *other.undone_named][:MOST_NAMED]

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "messages": self.messages,
            "copies": self.copies,
            "deletions": self.deletions,
            "lost": self.lost,
            "lost_named": self.lost_named,
            "undone_deletions": self.undone,
            "undone_named": self.undone_named,
            "unread_members": self.unread_members,
            "unread_messages": self.unread_messages,
            "seconds": round(self.seconds, 3),
        }

    @classmethod
    def read(cls, document: dict[str, Any]) -> Self:
        """Return what `document` wrote."""
        values = dict(document)
        return cls(undone=values.pop("undone_deletions"), **values)


def _name(named: list[dict[str, Any]], by_member: list[tuple[Entry, ...]], swarm: str) -> int:
    members: dict[str, int] = {}
    entries: dict[str, Entry] = {}
    for missing in by_member:
        for entry in missing:
            members[entry.message_hash] = members.get(entry.message_hash, 0) + 1
            entries[entry.message_hash] = entry
    for message_hash, count in members.items():
        if len(named) < MOST_NAMED:
            entry = entries[message_hash]
            named.append(
                {
                    "hash": message_hash,
                    "swarm": swarm,
                    "members": count,
                    "of": len(by_member),
                    "acknowledged_ms": entry.acknowledged_ms,
                    "deleted_ms": entry.deleted_ms,
                }
            )
    return len(members)
