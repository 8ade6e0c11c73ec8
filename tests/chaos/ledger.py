"""What was acknowledged, and whether a network still has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from naisho.protocol.account import AccountKeys
from tests.chaos.mailboxes import Listed


@dataclass(slots=True)
class Entry:
    """One message that somebody tried to store.

    Attributes:
        sent: when it was handed to the network first, in seconds of a clock that only grows.
        acknowledged: when the network acknowledged it; ``None`` if it never did: then it may be there or not.
        expiry_ms: as acknowledged last; ``None`` while a change of it is in doubt.
        deleting: somebody asked for its deletion; it may be gone.
        deleted: its deletion was acknowledged; it must be gone.
    """

    data: str
    sent: float
    acknowledged: float | None = None
    expiry_ms: int | None = None
    deleting: bool = False
    deleted: bool = False

    @property
    def due(self) -> bool:
        """Whether every member must list it."""
        return self.acknowledged is not None and not self.deleting


@dataclass(slots=True, eq=False)
class Ledger:
    """The messages of one account's public inbox.

    Attributes:
        before: what every member listed when the network was whole last.
    """

    keys: AccountKeys
    entries: dict[str, Entry] = field(default_factory=dict)
    before: list[str] = field(default_factory=list)

    def due(self) -> list[str]:
        """Return the hashes that every member must list now."""
        return [name for name, entry in self.entries.items() if entry.due]

    def check(self, listings: Mapping[str, Sequence[Listed]], now: float) -> int:
        """Hold the listings of all members, taken while nobody stored anything, against what was acknowledged.

        What they agree on binds them from now on: a message that was listed may not vanish, one that was deleted by
        a request without an answer may not come back.

        Returns:
            How many messages are there.
        """
        (first, found), *others = listings.items()
        names = [listed.hash for listed in found]
        for name, other in others:
            assert [listed.hash for listed in other] == names, f"{name} and {first} list different things"
            assert list(other) == list(found), f"{name} and {first} know different things of their messages"
        there = set(names)
        assert len(there) == len(names), "a message is listed more than once"
        assert there <= self.entries.keys(), "a message that nobody stored"
        missing = [name for name in self.due() if name not in there]
        assert not missing, f"{len(missing)} acknowledged messages of {len(self.due())} are gone"
        risen = [name for name in names if self.entries[name].deleted]
        assert not risen, f"{len(risen)} deleted messages are back"
        for listed in found:
            entry = self.entries[listed.hash]
            assert listed.data == entry.data
            assert entry.expiry_ms in {None, listed.expiry_ms}, "an acknowledged expiry is forgotten"
        self._check_order(names)
        self._take_as_settled(found, now)
        return len(names)

    def _check_order(self, names: Sequence[str]) -> None:
        there = set(names)
        known = set(self.before)
        assert [n for n in names if n in known] == [n for n in self.before if n in there], "the order has changed"
        latest = 0.0
        for name in names:
            entry = self.entries[name]
            if entry.acknowledged is not None:
                assert entry.acknowledged >= latest, "listed behind what was sent after its acknowledgement"
                latest = max(latest, entry.sent)

    def _take_as_settled(self, found: Sequence[Listed], now: float) -> None:
        there = {listed.hash: listed for listed in found}
        for name, entry in self.entries.items():
            if name in there:
                entry.acknowledged = entry.acknowledged or now
                entry.expiry_ms = there[name].expiry_ms
            elif entry.deleting:
                entry.deleted = True
        self.before = list(there)
