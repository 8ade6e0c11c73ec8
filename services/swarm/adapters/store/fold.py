"""Folding events into the tables by the rules of ``domain.evolve``, many at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

from services.swarm.adapters.store.expiries import Expiries
from services.swarm.adapters.store.messages import Key, Known, Messages, Row, RowValues
from services.swarm.adapters.store.progress import Progress, load_progress, merged, save_progress
from services.swarm.adapters.store.recent import RecentMessages, last_number
from services.swarm.adapters.store.revocations import revoke
from services.swarm.adapters.store.usage import Usage
from services.swarm.domain.events import Deleted, Event, ExpiryChanged, Revoked, Stored, Unrevoked
from services.swarm.domain.evolve import Changes
from services.swarm.domain.policies import Retention, needed_until_ms
from services.swarm.projections.arrivals import Anchor, Arrivals, Arrived, FirstStores
from services.swarm.projections.bulk import bulk_work

_NS_PER_MS: Final = 1_000_000
#: So many bytes are folded in a few milliseconds; those of an event that is no store count for many, since it changes
#: as many messages as it names.
_SMALL: Final = 512 * 1024
_CHANGES_COUNT: Final = 32


class OutOfOrder(Exception):
    """Events cannot be folded because others before them were not: their transaction failed."""


class Fold:
    """Applies arrivals to the tables within the caller's transaction.

    Args:
        retention: says how long the events that are no stores must be kept for a log that lost them.
        recent: of this store.

    Attributes:
        recent: messages that are not indexed yet.
        expiries: notes when messages expire.
        overwritten: whether bytes of messages were overwritten since the caller last set this to false.
    """

    def __init__(self, retention: Retention, recent: RecentMessages | None = None) -> None:
        self.recent = recent or RecentMessages()
        self.expiries = Expiries()
        self.overwritten = False
        self._retention = retention
        self._groups: list[Progress] | None = None
        #: Grows for as long as the store is open, also when the newest messages go, or a transaction fails.
        self._last_id = 0

    def commit(self) -> None:
        """Take what is remembered of the transaction for true: it was committed."""
        self.recent.commit()
        self.expiries.commit()

    def roll_back(self) -> None:
        """Drop what is remembered of the transaction: it was rolled back."""
        self.recent.rollback()
        self.expiries.rollback()
        self._groups = None

    def step_aside(self, connection: sqlite3.Connection) -> None:
        """Leave nothing out of the tables, and drop what is remembered of them: somebody else will change them."""
        self.recent.index_all(connection)
        self._groups = None

    def small_size(self, arrivals: Arrivals) -> int | None:
        """Return how many bytes folding some arrivals will write; ``None`` if it may last."""
        events = arrivals.events
        if isinstance(events, FirstStores) or not self.recent.has_room(len(events)):
            return None
        size = 0
        for arrived in events:
            size += len(arrived.sealed) + _CHANGES_COUNT * len(arrived.payload)
        return size if size <= _SMALL else None

    def apply(self, connection: sqlite3.Connection, arrivals: Arrivals) -> list[Changes | None]:
        """Fold what is new in ``arrivals`` and move the position.

        Returns:
            What each event changed, in the order of the events; ``None`` for one that is not young, or folded before;
            nothing that counts for ``FirstStores``.

        Raises:
            LookupError: an event of a shard that this follower does not follow.
            OutOfOrder: events before these are missing.
        """
        if self._groups is None:
            self._groups = load_progress(connection)
            self._last_id = max(self._last_id, last_number(connection))
        groups = [group for group in self._groups if group.follower == arrivals.follower]
        if len(groups) == 1:
            return self._apply(connection, groups[0], arrivals)
        if isinstance(arrivals.events, FirstStores):
            arrivals = arrivals._replace(events=arrivals.events.one_by_one())
        changes: dict[int, Changes | None] = {}
        for group in groups:
            events = [a for a in _listed(arrivals) if a.shard in group.shards]
            folded = self._apply(connection, group, arrivals._replace(events=events))
            changes.update((a.sequence, c) for a, c in zip(events, folded, strict=True))
        if len({group.position for group in groups}) == 1:
            self._groups = [g for g in self._groups if g not in groups] + [merged(groups)]
            save_progress(connection, self._groups)
        return [changes[a.sequence] for a in _listed(arrivals)]

    def _apply(self, connection: sqlite3.Connection, group: Progress, arrivals: Arrivals) -> list[Changes | None]:
        if group.position < arrivals.after:
            raise OutOfOrder("what came before these events was not folded")
        if isinstance(arrivals.events, FirstStores) and self._insert_all(connection, group, arrivals.events):
            stores = arrivals.events
            newest = Anchor(stores.sequences[-1], stores.event_ids[-1], stores.times_ns[-1])
            group.advance(connection, arrivals.position, newest)
            return []
        events = _listed(arrivals)
        new = events if events and events[0].sequence > group.position else _behind(events, group.position)
        usage = Usage()
        messages = Messages(connection, usage, self.recent, self.expiries, last_id=self._last_id)
        batch = _Batch(connection, self._retention, group, messages, usage)
        with bulk_work(len(new)):
            batch.take(new)
        self._end(connection, messages)
        anchor = Anchor(new[-1].sequence, new[-1].event_id, new[-1].time_ns) if new else arrivals.anchor
        group.advance(connection, arrivals.position, anchor)
        return [None] * (len(events) - len(new)) + batch.changes

    def _insert_all(self, connection: sqlite3.Connection, group: Progress, stores: FirstStores) -> bool:
        """Insert messages that are all new and come in order; false, and nothing done, if they do not."""
        if stores.sequences[0] <= max(group.position, group.highest_rank):
            return False
        with bulk_work(len(stores)):
            usage = Usage()
            messages = Messages(connection, usage, self.recent, self.expiries, last_id=self._last_id)
            if not messages.insert_first_stores(stores):
                return False
            usage.write(connection)
        self._end(connection, messages)
        group.highest_rank = stores.sequences[-1]
        return True

    def _end(self, connection: sqlite3.Connection, messages: Messages) -> None:
        self._last_id = messages.last_id
        self.overwritten |= messages.overwritten
        self.recent.settle(connection, self._last_id)


class _Batch:
    """Events on their way into the tables: stores of different messages are gathered and written together."""

    def __init__(
        self, connection: sqlite3.Connection, retention: Retention, progress: Progress, messages: Messages, usage: Usage
    ) -> None:
        self.changes: list[Changes | None] = []
        self.messages = messages
        self._usage = usage
        self._connection = connection
        self._retention = retention
        self._progress = progress
        self._stores: dict[Key, tuple[Stored, Arrived, Changes | None]] = {}

    def take(self, events: Iterable[Arrived]) -> None:
        """Fold events."""
        stores = self._stores
        for arrived in events:
            event = arrived.event
            changes = Changes() if arrived.young else None
            self.changes.append(changes)
            if not isinstance(event, Stored):
                self._write_stores()
                self._keep(arrived)
                self._usage.add((arrived.tag, 0, arrived.shard), 0, 0, arrived.sequence)
                self._change(arrived.tag, event, changes or Changes())
                continue
            key = (arrived.tag, event.message_hash)
            if key in stores:
                self._write_stores()
            stores[key] = (event, arrived, changes)
            if arrived.sequence <= self._progress.highest_rank:
                self._write_stores()  # its order key depends on what is there before it
        self._write_stores()
        self._usage.write(self._connection)

    def _change(self, tag: bytes, event: Event, changes: Changes) -> None:
        match event:
            case Deleted():
                for found in self.messages.find((tag, m.message_hash) for m in event.messages).values():
                    changes.deleted[found.hash] = found.namespace
                    self.messages.remove(found)
            case ExpiryChanged():
                expiries = {(tag, m.message_hash): m.expiry_ms for m in event.messages}
                for key, found in self.messages.find(expiries).items():
                    if expiries[key] < found.expiry_ms:
                        changes.moved[found.hash] = found.namespace
                        self.messages.shorten(found, expiries[key])
            case Revoked() | Unrevoked():
                changes.unrevoked = revoke(self._connection, tag, event)

    def _write_stores(self) -> None:
        """Write the stores that were gathered; here is where a replay spends its time."""
        stores = self._stores
        if not stores:
            return
        known = self.messages.find(stores)
        progress = self._progress
        rows: list[RowValues] = []
        for key, (event, arrived, changes) in stores.items():
            tag, message_hash = key
            _, namespace, timestamp_ms, expiry_ms, _, _, rank, _ = event
            sequence = arrived.sequence
            named = rank is not None
            if rank is None:
                rank = sequence
                if sequence <= progress.highest_rank:
                    # A log put back from an older copy numbers anew: what comes now still lies behind what was there.
                    rank = max(rank, 1 + self.messages.highest_rank(tag, namespace))
            progress.highest_rank = max(progress.highest_rank, rank)
            shard, period, sealed = arrived.shard, arrived.period, arrived.sealed
            row = (tag, shard, namespace, rank, message_hash, timestamp_ms, expiry_ms, sequence, period, sealed)
            if key in known:
                self._store_again(known[key], event, Row._make(row), arrived.time_ns // _NS_PER_MS, changes)
                continue
            if changes is not None:
                changes.created[message_hash] = expiry_ms
            if rank == sequence and not named:
                rows.append(row)
            else:
                self.messages.insert_one(Row._make(row), (), settled=named)
        if rows:
            self.messages.insert(rows)
        stores.clear()

    def _store_again(self, before: Known, event: Stored, row: Row, time_ms: int, changes: Changes | None) -> None:
        self._usage.add(row.scope, 0, 0, row.sequence)
        messages = self.messages
        changes = changes or Changes()
        if before.expiry_ms <= time_ms:
            changes.created[row.hash] = row.expiry_ms
            copies = {*messages.copies(before)} - {*event.replaces}
            messages.remove(before)
            messages.insert_one(row, copies, settled=_settled(event, row))
            return
        changes.present[row.hash] = max(before.expiry_ms, row.expiry_ms)
        raised = row.expiry_ms > before.expiry_ms
        if raised:
            changes.moved[row.hash] = before.namespace
        if event.rank is None:
            row = row._replace(rank=before.rank)
        else:
            messages.name(before, row)
        settled = _settled(event, row)
        if raised or (settled and before.sequence == 0 and row.expiry_ms == before.expiry_ms):
            messages.replace(before, row, event.replaces, settled=settled)
        else:
            messages.add_copy(before, row.sequence, event.replaces)

    def _keep(self, arrived: Arrived) -> None:
        """Keep the event for a log that loses it; one that is appended again has its sequence moved."""
        needed_until = needed_until_ms(arrived.event, arrived.time_ns // _NS_PER_MS, self._retention)
        self._connection.execute(
            "INSERT INTO change (event, tag, shard, sequence, needed_until_ms, payload) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (event) DO UPDATE "
            "SET sequence = excluded.sequence, needed_until_ms = excluded.needed_until_ms",
            (arrived.event_id, arrived.tag, arrived.shard, arrived.sequence, needed_until, arrived.payload),
        )


def _listed(arrivals: Arrivals) -> Sequence[Arrived]:
    events = arrivals.events
    return events.one_by_one() if isinstance(events, FirstStores) else events


def _behind(events: Sequence[Arrived], position: int) -> Sequence[Arrived]:
    return [arrived for arrived in events if arrived.sequence > position]


def _settled(event: Stored, row: Row) -> bool:
    """Tell whether a replay that meets this copy first gives the message the same order key."""
    return event.rank is not None or row.rank == row.sequence
