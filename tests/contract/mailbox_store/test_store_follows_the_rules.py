"""The local store and the pure fold come to the same, whatever the events, however they are cut into batches."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import groupby
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.swarm.adapters.event_codec import SEAL_BYTES
from services.swarm.domain.commands import ALL
from services.swarm.domain.events import (
    ChangedMessage,
    Deleted,
    DeletedMessage,
    Event,
    ExpiryChanged,
    Revoked,
    Stored,
    Unrevoked,
)
from services.swarm.domain.evolve import Changes, Mailbox, StateView, evolve
from services.swarm.domain.policies import Retention
from services.swarm.projections.arrivals import Arrived, FirstStores

START_MS = 1_700_000_000_000
TAGS = (b"a" * 16, b"b" * 16)
NAMESPACES = (0, 2, -10)
RETENTION = Retention()

numbers = st.integers(0, 3)
ttls = st.sampled_from((5, 10, 20, 40))
hashes = st.tuples(numbers, st.sampled_from(NAMESPACES)).map(lambda pair: bytes([pair[0], pair[1] % 256]) * 16)


@st.composite
def stores(draw: st.DrawFn) -> tuple[str, Any]:
    number, namespace = draw(numbers), draw(st.sampled_from(NAMESPACES))
    named = draw(st.integers(0, 4)) == 0
    return "stored", (number, namespace, draw(ttls), draw(st.integers(0, 9)), named, draw(st.booleans()))


steps = st.one_of(
    stores(),
    stores(),
    stores(),
    st.tuples(st.just("deleted"), st.lists(hashes, min_size=1, max_size=3, unique=True)),
    st.tuples(st.just("shortened"), st.lists(st.tuples(hashes, ttls), min_size=1, max_size=3)),
    st.tuples(st.just("revoked"), st.lists(numbers, min_size=1, max_size=3)),
    st.tuples(st.just("unrevoked"), st.lists(numbers, min_size=1, max_size=3)),
    st.tuples(st.just("time"), st.sampled_from((5, 10, 15))),
)


class Pair:
    """The same mailboxes twice."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.model = {tag: Mailbox() for tag in TAGS}
        self.now = START_MS
        self.sequence = 0
        self.batch: list[Arrived] = []
        self.expected: list[Changes] = []

    def take(self, tag: bytes, kind: str, value: Any) -> None:
        if kind == "time":
            self.now += value
            return
        event = self.event(tag, kind, value)
        self.sequence += 3
        sealed = bytes(event.size + SEAL_BYTES) if isinstance(event, Stored) else b""
        self.batch.append(
            Arrived(
                self.sequence,
                self.now * 1_000_000,
                1,
                tag,
                self.sequence.to_bytes(16, "big"),
                event,
                0,
                sealed,
                b"payload",
                young=True,
            )
        )
        evolved = evolve(self.model[tag], event, sequence=self.sequence, time_ms=self.now)
        self.model[tag] = evolved.mailbox
        self.expected.append(evolved.changes)

    def event(self, tag: bytes, kind: str, value: Any) -> Event:
        known = self.model[tag].messages
        if kind == "stored":
            number, namespace, ttl, age, named, replacing = value
            message_hash = bytes([number, namespace % 256]) * 16
            before = known.get(message_hash)
            rank: int | None = None
            gone: tuple[int, ...] = ()
            if named and before is not None and before.expiry_ms > self.now:
                rank, gone = before.rank, before.sequences if replacing else ()
            times = (self.now - age, self.now + ttl)
            return Stored(message_hash, namespace, *times, None, 10 + number, rank, gone)
        if kind == "deleted":
            return Deleted(tuple(DeletedMessage(h, 0, ()) for h in value))
        if kind == "shortened":
            return ExpiryChanged(tuple(ChangedMessage(h, self.now + ttl, ()) for h, ttl in dict(value).items()))
        tokens = tuple(dict.fromkeys(bytes([n]) * 36 for n in value))
        return Revoked(tokens, self.now) if kind == "revoked" else Unrevoked(tokens)

    def commit(self) -> None:
        if self.batch:
            assert self.store.fold(self.batch) == self.expected
        self.batch, self.expected = [], []

    def replay(self) -> None:
        """Fold what waits as a replay does: runs of first stores in columns, everything else one by one."""
        for plain, run in groupby(self.batch, key=is_first_store):
            events = list(run)
            self.store.fold(in_columns(events) if plain else events)
        self.batch, self.expected = [], []

    def compare(self) -> None:
        self.commit()
        for tag, mailbox in self.model.items():
            model = StateView(mailbox, self.now)
            with self.store.view(tag, self.now) as view:
                assert view.last_sequence == model.last_sequence
                assert list(view.revoked()) == list(model.revoked())
                assert view.find(mailbox.messages) == model.find(mailbox.messages)
                assert list(view.list(ALL)) == list(model.list(ALL))
                for namespace in NAMESPACES:
                    assert list(view.list(namespace)) == list(model.list(namespace))
            for namespace in NAMESPACES:
                page = self.store.reader.page(
                    tag, namespace, after=None, max_count=None, max_bytes=1 << 30, now_ms=self.now
                )
                assert [m.hash for m in page.messages] == [m.message_hash for m in model.list(namespace)]

    def compare_counters(self) -> None:
        """Counters are right once what has expired is swept."""
        self.commit()
        self.store.sweep(self.now)
        for tag, mailbox in self.model.items():
            model = StateView(mailbox, self.now)
            with self.store.view(tag, self.now) as view:
                for namespace in NAMESPACES:
                    assert view.usage(namespace) == model.usage(namespace)
                for open_to_all in (True, False):
                    assert view.account_usage(open_to_all=open_to_all) == model.account_usage(open_to_all=open_to_all)


def is_first_store(arrived: Arrived) -> bool:
    return isinstance(arrived.event, Stored) and arrived.event.rank is None


def in_columns(events: list[Arrived]) -> FirstStores:
    sequences, times, shards, tags, ids, stored, periods, sealed, _, _ = map(list, zip(*events, strict=True))
    hashes, namespaces, timestamps, expiries, _, sizes, _, _ = map(list, zip(*stored, strict=True))
    columns = (sequences, times, shards, tags, ids, hashes, namespaces, timestamps, expiries, sizes, periods, sealed)
    made = FirstStores(*columns)
    assert made.one_by_one() == [event._replace(payload=b"", young=False) for event in events]
    return made


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(TAGS),
            steps,
            st.sampled_from(("go on", "go on", "go on", "commit", "replay", "replay", "restart", "compare")),
        ),
        max_size=60,
    )
)
def test_any_events_in_any_batches(
    open_plain_store: Callable[[Retention], AbstractContextManager[Any]], events: list[Any]
) -> None:
    with open_plain_store(RETENTION) as store:
        pair = Pair(store)
        for tag, (kind, value), then in events:
            pair.take(tag, kind, value)
            if then == "commit":
                pair.commit()
            elif then == "replay":
                pair.replay()
            elif then == "restart":
                pair.commit()
                store.forget()
            elif then == "compare":
                pair.compare()
        pair.compare()
        pair.compare_counters()
        store.check()
