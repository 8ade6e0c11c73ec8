"""A node's store against a plain model: whatever is folded, given up, taken again, closed or left behind by a crash."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from services.swarm.adapters.event_codec import SEAL_BYTES
from services.swarm.adapters.store.local import LocalStore
from services.swarm.domain.events import Deleted, DeletedMessage, Stored
from services.swarm.domain.policies import Retention
from services.swarm.projections.arrivals import Arrivals, Arrived

NOW_MS = 1_800_000_000_000
SHARDS = (frozenset({0}), frozenset({1}), frozenset({0, 1}))
TAGS = tuple(bytes([number, number % 2]) * 8 for number in range(4))

#: A batch of events: mailbox, and which message is stored (or deleted, if negative).
Batch: TypeAlias = list[tuple[int, int]]
_batches = st.lists(st.tuples(st.integers(0, 3), st.integers(-6, 12).filter(bool)), min_size=1, max_size=4)
_steps: st.SearchStrategy[tuple[str, Batch | int]] = st.one_of(
    st.tuples(st.just("fold"), _batches),
    st.tuples(st.just("fold"), _batches),
    st.tuples(st.just("fold"), _batches),
    st.tuples(st.sampled_from(("close", "crash")), st.just([])),
    st.tuples(st.just("follow"), st.sampled_from((0, 1, 2, 2, 2))),
)


class Node:
    """A store, the log that it follows, and which of its shards it holds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "0"
        self.lives = 0
        self.log: list[Arrived] = []
        self.shards = SHARDS[2]
        self.store: LocalStore

    async def open(self) -> None:
        self.store = await LocalStore.open(self.folder, Retention())
        await self.follow(self.shards)

    async def follow(self, shards: frozenset[int]) -> None:
        self.shards = shards
        after = (await self.store.follow({"main": shards}, "log"))["main"]
        missed = [one for one in self.log if one.sequence > after and one.shard in shards]
        if self.log:
            await self.store.fold(Arrivals("main", missed, len(self.log), after))

    async def fold(self, batch: Batch) -> None:
        before = len(self.log)
        for mailbox, message in batch:
            sequence, message_hash = len(self.log) + 1, abs(message).to_bytes(4, "big") * 8
            event: Stored | Deleted = Stored(message_hash, 0, NOW_MS, NOW_MS + 10**7, None, 10, None)
            if message < 0:
                event = Deleted((DeletedMessage(message_hash, 0, (1,)),))
            sealed = bytes(SEAL_BYTES + 10) if message > 0 else b""
            tag, number = TAGS[mailbox], sequence.to_bytes(16, "big")
            self.log.append(
                Arrived(sequence, NOW_MS * 10**6, mailbox % 2, tag, number, event, 0, sealed, b"p", young=True)
            )
        arrivals = Arrivals(
            "main", [one for one in self.log[before:] if one.shard in self.shards], len(self.log), before
        )
        if self.store.fold_now(arrivals) is None:
            await self.store.fold(arrivals)

    async def end(self, *, crash: bool) -> None:
        self.lives += 1
        left = self.folder.with_name(str(self.lives))
        if crash:
            shutil.copytree(self.folder, left)
        await self.store.close()
        if crash:
            self.folder = left

    def check(self) -> None:
        for tag in TAGS:
            there: dict[bytes, None] = {}
            for arrived in self.log:
                if arrived.tag != tag or arrived.shard not in self.shards:
                    continue
                if isinstance(arrived.event, Stored):
                    there.setdefault(arrived.event.message_hash)
                elif isinstance(arrived.event, Deleted):
                    there.pop(arrived.event.messages[0].message_hash, None)
            page = self.store.reader.page(tag, 0, after=None, max_count=None, max_bytes=1 << 30, now_ms=0)
            assert {message.hash for message in page.messages} == there.keys()
            with self.store.reader.view(tag, 0) as view:
                assert view.usage(0) == (len(there), 10 * len(there))


async def live(steps: Sequence[tuple[str, Batch | int]], folder: Path) -> None:
    node = Node(folder)
    await node.open()
    try:
        for what, more in [*steps, ("close", []), ("close", [])]:
            if isinstance(more, int):
                await node.follow(SHARDS[more])
            elif what == "fold":
                await node.fold(more)
            else:
                await node.end(crash=what == "crash")
                await node.open()
            node.check()
    finally:
        await node.store.close()


@settings(max_examples=120, deadline=None)
@given(st.lists(_steps, min_size=3, max_size=25))
def test_a_store_holds_what_the_log_says_whatever_became_of_it(steps: list[tuple[str, Batch | int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(live(steps, Path(folder)))
