"""Sealing bodies under the key of their expiry period (docs/adr/0003).

A key is 32 random bytes in a stream of its own, made by whoever needs it first and erased when its period has passed:
from then on everything sealed under it is noise, in the log, in every store and in every copy of either.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

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


class PeriodKeys:
    """The network's body keys.

    Args:
        log: the stream of keys.
        subject: names the subject of a period's key.
        period_ms: length of a period; a network constant.
    """

    def __init__(self, log: EventLog, subject: Callable[[int], str], period_ms: int) -> None:
        self._log = log
        self._subject = subject
        self._period_ms = period_ms
        self._known: OrderedDict[int, AESGCM] = OrderedDict()
        self._asking = asyncio.Lock()

    def period_of(self, expiry_ms: int) -> int:
        """Return the period that a message with this expiry is sealed for: the one its expiry lies in."""
        return expiry_ms // self._period_ms

    def known(self, period: int) -> AESGCM | None:
        """Return a key that is in memory."""
        return self._known.get(period)

    async def sealing_key(self, period: int) -> AESGCM:
        """Return the key of a period that has not passed; it is made if nobody has made it.

        Raises:
            EventLogError: the stream of keys cannot be read or written.
            KeyGone: it was erased while it was being asked for.
        """
        key = self._known.get(period)
        while key is None:
            async with self._asking:
                key = self._known.get(period) or await self._read(period) or await self._make(period)
        return key

    async def opening_key(self, period: int) -> AESGCM | None:
        """Return a period's key, ``None`` if it was erased.

        Raises:
            EventLogError: the stream of keys cannot be read.
        """
        if (key := self._known.get(period)) is not None:
            return key
        async with self._asking:
            return self._known.get(period) or await self._read(period)

    def forget(self, before_period: int) -> None:
        """Drop the keys of earlier periods from memory."""
        for period in [p for p in self._known if p < before_period]:
            del self._known[period]

    async def _read(self, period: int) -> AESGCM | None:
        found = await self._log.last(self._subject(period))
        return None if found is None else self._remember(period, found.payload)

    async def _make(self, period: int) -> AESGCM:
        fresh = os.urandom(_KEY_BYTES)
        try:
            await self._log.append(self._subject(period), fresh, expected=0)
        except (WrongExpectedSequence, LogUnavailable) as error:
            # Somebody was first, or it is not known whether this attempt has worked: what the log has counts.
            found = await self._read(period)
            if found is not None:
                return found
            if isinstance(error, LogUnavailable):
                raise
            raise KeyGone("the key of this period was made and erased at once") from error
        return self._remember(period, fresh)

    def _remember(self, period: int, key: bytes) -> AESGCM:
        while len(self._known) >= _REMEMBERED:
            self._known.popitem(last=False)
        made = self._known[period] = AESGCM(key)
        return made


def seal(key: AESGCM, period: int, message_hash: bytes, data: bytes) -> SealedBody:
    """Seal a body; the hash, which names account and namespace too, is bound to it."""
    nonce = os.urandom(_NONCE_BYTES)
    return SealedBody(period, nonce + key.encrypt(nonce, data, message_hash))


def unseal(key: AESGCM, message_hash: bytes, sealed: bytes) -> bytes | None:
    """Open a body; ``None`` if it was not sealed by this key for this message."""
    try:
        return key.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], message_hash)
    except InvalidTag:
        return None
