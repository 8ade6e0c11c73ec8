"""Sealing bodies under the key of their expiry period (docs/adr/0003).

A key is 32 random bytes in a stream of its own, made by whoever needs it first and erased when its period has passed:
from then on everything sealed under it is noise, in the log, in every store and in every copy of either. Nodes keep the
keys that they know until then, lest a log that is put back from an older copy takes their mail's keys with it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.chassis.eventlog.port import EventLog, LogUnavailable, WrongExpectedSequence
from services.swarm.adapters.event_codec import SealedBody

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
#: Keys kept in memory: an hour each, so that the longest retention and a margin fit.
_REMEMBERED: Final = 1024


class KeyGone(LookupError):
    """The key of a period that has not passed yet is neither there nor can it be made."""


class PeriodKey(NamedTuple):
    """One key and its cipher."""

    raw: bytes
    cipher: AESGCM


class PeriodKeys:
    """The network's body keys.

    Args:
        log: the stream of keys.
        subject: names the subject of a period's key.
        period_ms: length of a period; a network constant.
        keep: keeps a key that was learnt, on the node's disk.
    """

    def __init__(
        self,
        log: EventLog,
        subject: Callable[[int], str],
        period_ms: int,
        keep: Callable[[int, bytes], Awaitable[None]],
    ) -> None:
        self._log = log
        self._subject = subject
        self._period_ms = period_ms
        self._keep = keep
        #: By period; the last is the one that the log has. There are others only after a log was put back.
        self._known: dict[int, list[PeriodKey]] = {}
        self._wanted: set[int] = set()
        self._asking = asyncio.Lock()

    def recall(self, kept: Iterable[tuple[int, bytes]]) -> None:
        """Take the keys that were kept on the disk, in the order in which they were learnt."""
        for period, raw in kept:
            self._known.setdefault(period, []).append(PeriodKey(raw, AESGCM(raw)))

    def period_of(self, expiry_ms: int) -> int:
        """Return the period that a message with this expiry is sealed for: the one its expiry lies in."""
        return expiry_ms // self._period_ms

    async def seal(self, expiry_ms: int, message_hash: bytes, data: bytes) -> SealedBody:
        """Seal a body until its expiry; the hash, which names account and namespace too, is bound to it.

        Raises:
            EventLogError: the stream of keys cannot be read or written.
            KeyGone: the key was erased while it was being asked for.
        """
        period = expiry_ms // self._period_ms
        keys = self._known.get(period) or await self._learn(period, make=True)
        if not keys:
            raise KeyGone("the key of this period was made and erased at once")
        nonce = os.urandom(_NONCE_BYTES)
        return SealedBody(period, nonce + keys[-1].cipher.encrypt(nonce, data, message_hash))

    async def unseal(self, period: int, message_hash: bytes, sealed: bytes) -> bytes | None:
        """Open a body; ``None`` if its key was erased, or it was not sealed for this message.

        Raises:
            EventLogError: the stream of keys cannot be read.
        """
        keys = self._known.get(period) or await self._learn(period, make=False)
        nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        for key in reversed(keys):
            try:
                return key.cipher.decrypt(nonce, ciphertext, message_hash)
            except (InvalidTag, ValueError):  # the latter: too short to be sealed
                continue
        return None

    def want(self, period: int) -> None:
        """Note that bodies of a period have come; ``learn_wanted`` fetches its key."""
        if period not in self._known:
            self._wanted.add(period)

    async def learn_wanted(self) -> None:
        """Fetch the keys of bodies that have come.

        Raises:
            EventLogError: the stream of keys cannot be read; the rest is fetched next time.
        """
        while self._wanted:
            await self._learn(next(iter(self._wanted)), make=False)

    def forget(self, now_ms: int) -> None:
        """Drop the keys of periods that have passed."""
        current = now_ms // self._period_ms
        for period in [p for p in self._known if p < current]:
            del self._known[period]
        self._wanted = {p for p in self._wanted if p >= current}

    async def restore(self, now_ms: int) -> None:
        """Give the stream of keys what it lost, and learn what it has instead.

        Raises:
            EventLogError: the stream of keys cannot be read or written.
        """
        self.forget(now_ms)
        for period, keys in list(self._known.items()):
            async with self._asking:
                found = await self._log.last(self._subject(period))
                if found is None:
                    await self._append(period, keys[-1].raw)
                elif found.payload != keys[-1].raw:
                    await self._add(period, found.payload)

    async def _learn(self, period: int, *, make: bool) -> list[PeriodKey]:
        async with self._asking:
            if period not in self._known:
                found = await self._log.last(self._subject(period))
                if found is not None:
                    await self._add(period, found.payload)
                elif make:
                    await self._append(period, os.urandom(_KEY_BYTES))
            self._wanted.discard(period)
            return self._known.get(period, [])

    async def _append(self, period: int, raw: bytes) -> None:
        """Put a key into the stream, or take the one that somebody else was quicker with."""
        try:
            await self._log.append(self._subject(period), raw, expected=0)
        except (WrongExpectedSequence, LogUnavailable) as error:
            # It may have worked all the same: what the log has counts.
            found = await self._log.last(self._subject(period))
            if found is None:
                if isinstance(error, LogUnavailable):
                    raise
                return
            raw = found.payload
        await self._add(period, raw)

    async def _add(self, period: int, raw: bytes) -> None:
        if len(raw) != _KEY_BYTES:
            return  # whoever wrote that wrote no key
        known = [key for key in self._known.get(period, []) if key.raw != raw]
        await self._keep(period, raw)
        while len(self._known) >= _REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[period] = [*known, PeriodKey(raw, AESGCM(raw))]
