"""From decided events to bytes for the log: ids, sealed bodies, times to live."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from services.chassis.clock import Clock
from services.swarm.adapters.event_codec import ID_BYTES, SealedBody, encode
from services.swarm.adapters.mailbox_subjects import Place
from services.swarm.adapters.sealing import PeriodKeys
from services.swarm.adapters.store.reader import Reader
from services.swarm.domain.events import Event, Stored
from services.swarm.domain.policies import Retention, needed_until_ms


class BodyGone(LookupError):
    """The body that is to be appended again is not in the store any more, or its key was erased."""


class Draft(NamedTuple):
    """An event, ready to be appended."""

    event_id: bytes
    payload: bytes
    #: Whole seconds; ``None`` is for ever.
    ttl_s: int | None


class Drafter:
    """Makes drafts.

    Args:
        reader: the store, which has the bodies of messages that are appended again.
        keys: seal bodies.
        clock: the time.
        retention: says how long events are needed.
        margin_s: what the log keeps an event longer than that.
    """

    def __init__(self, reader: Reader, keys: PeriodKeys, clock: Clock, retention: Retention, *, margin_s: int) -> None:
        self._reader = reader
        self._keys = keys
        self._clock = clock
        self._retention = retention
        self._margin_s = margin_s

    async def drafts(self, place: Place, events: Sequence[Event]) -> list[Draft]:
        """Return the drafts of events of one mailbox.

        Raises:
            EventLogError: a period's key cannot be read or made.
            BodyGone: see there.
        """
        return [await self.draft(place, event) for event in events]

    async def draft(self, place: Place, event: Event) -> Draft:
        """Return the draft of one event; raises as ``drafts``."""
        body = await self._body(place, event) if isinstance(event, Stored) else None
        event_id = os.urandom(ID_BYTES)
        now = self._clock.now_ms()
        until = needed_until_ms(event, now, self._retention)
        ttl = None if until is None else max(1, -((now - until) // 1000) + self._margin_s)
        return Draft(event_id, encode(event_id, event, body), ttl)

    async def _body(self, place: Place, event: Stored) -> SealedBody:
        data = event.data if event.data is not None else await self._stored_body(place, event.message_hash)
        return await self._keys.seal(event.expiry_ms, event.message_hash, data)

    async def _stored_body(self, place: Place, message_hash: bytes) -> bytes:
        found = self._reader.sealed(place.tag, message_hash)
        data = None if found is None else await self._keys.unseal(found[0], message_hash, found[1])
        if data is None:
            raise BodyGone("the body that is to be sealed anew is gone")
        return data
