"""A stream of stores, deletions and longer lives, to all members at once, through whatever happens to them."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import cycle
from typing import Any

import httpx

from naisho.protocol import storage_texts
from naisho.protocol.message_hash import message_hash
from tests.chaos.accidents import Place
from tests.chaos.ledger import Entry, Ledger
from tests.chaos.mailboxes import ask, check_results, listing, missing, now_ms, signed

LIFE_MS = 3_600_000
#: Between two requests of one writer, and after one that was refused.
PAUSE_S, REFUSED_PAUSE_S = 0.004, 0.05
WHOLE_WITHIN_S = 40.0
LOOK_EVERY_S = 0.1
#: A node that is not ready has done nothing; one whose mailboxes ended may have done it, and could not say so.
NOT_READY, AWAY = "Service node is not ready", "its mailboxes are away"


class Stream:
    """Writers over some mailboxes.

    Args:
        http: for all requests.
        places: all members; may be replaced while nothing runs.
        ledgers: one for each mailbox.
        writers: how many write to each mailbox.

    Attributes:
        counts: stores and deletions acknowledged, receipts verified, requests refused or lost.
        slowest_s: the longest that an answer was waited for.
        acknowledgements: (when, in seconds since 1970; by whom) of stores.
    """

    def __init__(
        self, http: httpx.AsyncClient, places: Sequence[Place], ledgers: Sequence[Ledger], writers: int
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.acknowledgements: list[tuple[float, str]] = []
        self.slowest_s = 0.0
        self.places = places
        self._http = http
        self._ledgers = ledgers
        self._writers = writers
        self._ending = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write while the context is open; every request has ended when it is closed."""
        self._ending = False
        async with asyncio.TaskGroup() as tasks:
            for ledger in self._ledgers:
                for number in range(self._writers):
                    tasks.create_task(self._write(ledger, number))
                tasks.create_task(self._change(ledger))
            try:
                yield
            finally:
                self._ending = True

    async def acknowledged(self, more: int) -> None:
        """Wait until so many more stores are acknowledged than now."""
        wanted = self.counts["stored"] + more
        async with asyncio.timeout(WHOLE_WITHIN_S):
            while self.counts["stored"] < wanted:  # noqa: ASYNC110 - a count of many writers
                await asyncio.sleep(PAUSE_S)

    async def until_whole(self, since: float) -> None:
        """Wait until every member has acknowledged a store since a time, and has what is due then."""
        async with asyncio.timeout(WHOLE_WITHIN_S):
            while {name for when, name in self.acknowledgements if when > since} < {p.name for p in self.places}:  # noqa: ASYNC110 - as above
                await asyncio.sleep(PAUSE_S)
        await self.until_all_have()

    async def until_all_have(self) -> None:
        """Wait until every member has what is due now."""
        due = {ledger: ledger.due() for ledger in self._ledgers}
        async with asyncio.timeout(WHOLE_WITHIN_S):
            for place in self.places:
                for ledger, names in due.items():
                    while not await self._has(place, ledger, names):  # noqa: ASYNC110 - nobody tells
                        await asyncio.sleep(LOOK_EVERY_S)

    async def check(self) -> int:
        """Hold every mailbox of every member against its ledger; return how many messages are there."""
        await self.until_all_have()
        total = 0
        for ledger in self._ledgers:
            listings = {place.name: await listing(self._http, place, ledger.keys) for place in self.places}
            total += ledger.check(listings, time.monotonic())
        return total

    async def _has(self, place: Place, ledger: Ledger, names: Sequence[str]) -> bool:
        try:
            gone = await missing(self._http, place, ledger.keys, names)
        except httpx.HTTPError:
            return False
        return all(ledger.entries[name].deleting for name in gone)

    async def _write(self, ledger: Ledger, number: int) -> None:
        for place in cycle([*self.places[number:], *self.places[:number]]):
            if self._ending:
                return
            await self._store(ledger, place)

    async def _store(self, ledger: Ledger, place: Place) -> None:
        account = ledger.keys.account_id
        body = secrets.token_bytes(random.randrange(50, 700))
        data, name, now = b64encode(body).decode(), message_hash(account.raw, 0, body), now_ms()
        params = {"pubkey": account.hex, "timestamp": now, "ttl": LIFE_MS, "data": data}
        entry = ledger.entries[name] = Entry(data, sent=time.monotonic())
        answer = await self._ask(place, "store", params)
        if not answer:
            return
        assert answer["hash"] == name
        results = check_results(answer, self.places, lambda result: storage_texts.store_result(result["hash"]))
        assert place.key.hex() in dict(results)
        for _, result in results:
            assert result["hash"] == name
            assert result["expiry"] == now + LIFE_MS
        entry.acknowledged, entry.expiry_ms = time.monotonic(), now + LIFE_MS
        self.acknowledgements.append((time.time(), place.name))
        self.counts["stored"] += 1
        self.counts["receipts"] += len(results)

    async def _change(self, ledger: Ledger) -> None:
        """Delete some messages, and give others a longer life."""
        for change, place in zip(cycle([self._delete, self._extend]), cycle(self.places), strict=False):
            await asyncio.sleep(10 * PAUSE_S)
            if self._ending:
                return
            names = [name for name, e in ledger.entries.items() if e.due and e.expiry_ms]
            if names:
                await change(ledger, place, random.choice(names))

    async def _delete(self, ledger: Ledger, place: Place, name: str) -> None:
        entry, account = ledger.entries[name], ledger.keys.account_id.hex
        entry.deleting = True
        params = signed(ledger.keys, storage_texts.delete([name])) | {"messages": [name]}
        answer = await self._ask(place, "delete", params)
        if not answer:
            entry.deleting = answer is None
            return
        text = lambda result: storage_texts.delete_result(account, [name], result["deleted"])  # noqa: E731
        results = check_results(answer, self.places, text)
        assert all(result["deleted"] == [name] for _, result in results), "an acknowledged message was not found"
        entry.deleted = True
        self.counts["deleted"] += 1
        self.counts["receipts"] += len(results)

    async def _extend(self, ledger: Ledger, place: Place, name: str) -> None:
        entry, account = ledger.entries[name], ledger.keys.account_id.hex
        assert entry.expiry_ms is not None
        before, entry.expiry_ms = entry.expiry_ms, None
        expiry = before + 60_000
        params = signed(ledger.keys, storage_texts.expire([expiry], [name], "extend"))
        answer = await self._ask(place, "expire", params | {"messages": [name], "expiry": expiry, "extend": True})
        if not answer:
            entry.expiry_ms = None if answer is None else before
            return

        def text(result: Any) -> bytes:
            return storage_texts.expire_result(account, [expiry], [name], result["updated"], result["unchanged"])

        results = check_results(answer, self.places, text)
        assert all(result["updated"] == [name] for _, result in results), "an acknowledged message was not found"
        entry.expiry_ms = expiry
        self.counts["extended"] += 1
        self.counts["receipts"] += len(results)

    async def _ask(self, place: Place, method: str, params: dict[str, Any]) -> dict[str, Any] | None:
        """Return the answer: empty if the request was refused before any work, ``None`` if that is not known."""
        await asyncio.sleep(PAUSE_S)
        began = time.monotonic()
        try:
            answer = await ask(self._http, place, method, params)
        except httpx.HTTPError as error:
            self.counts[type(error).__name__] += 1
        else:
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            if answer.status_code == httpx.codes.OK:
                found: dict[str, Any] = answer.json()
                return found
            self.counts[f"{answer.status_code} {answer.text.strip()}"] += 1
            assert answer.status_code in {500, 502, 503, 504}, answer.text
            if answer.text.startswith(NOT_READY) and AWAY not in answer.text:
                await asyncio.sleep(REFUSED_PAUSE_S)
                return {}
        await asyncio.sleep(REFUSED_PAUSE_S)
        return None
