"""Events of a mailbox to bytes and back: ``services.swarm.events.v1.MailboxEvent``, schema 1."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError

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
from services.swarm.events.v1 import events_pb2 as pb

SCHEMA: Final = 1
ID_BYTES: Final = 16
HASH_BYTES: Final = 32
TOKEN_BYTES: Final = 36
#: What sealing adds to a body: AES-GCM nonce and tag.
SEAL_BYTES: Final = 12 + 16


_ENVELOPE: Final = attrgetter("schema", "id", "stored")
_FIRST_STORE: Final = attrgetter("hash", "namespace", "timestamp_ms", "expiry_ms", "rank", "key_period", "sealed")


class UnreadableEvent(ValueError):
    """Bytes in the log that are no mailbox event of a schema this version knows."""


class SealedBody(NamedTuple):
    """A message's body as it lies in the log."""

    #: Number of the expiry period whose key sealed it.
    key_period: int
    #: Nonce, ciphertext and tag.
    sealed: bytes


class Recorded(NamedTuple):
    """One event as the log holds it; ``body`` belongs to ``Stored`` alone, whose ``data`` is ``None``."""

    event_id: bytes
    event: Event
    body: SealedBody | None


def encode(event_id: bytes, event: Event, body: SealedBody | None = None) -> bytes:
    """Return the bytes of an event; ``event_id`` has 16, and ``body`` must be given for ``Stored``."""
    message = pb.MailboxEvent(schema=SCHEMA, id=event_id)
    match event:
        case Stored():
            if body is None:
                raise TypeError("a stored message needs its sealed body")
            stored = message.stored
            stored.hash = event.message_hash
            stored.namespace = event.namespace
            stored.timestamp_ms = event.timestamp_ms
            stored.expiry_ms = event.expiry_ms
            stored.key_period, stored.sealed = body
            if event.rank is not None:
                stored.rank = event.rank
            stored.replaces.extend(event.replaces)
        case Deleted():
            message.deleted.messages.extend(
                pb.DeletedMessage(hash=m.message_hash, namespace=m.namespace, sequences=m.sequences)
                for m in event.messages
            )
        case ExpiryChanged():
            message.expiry.messages.extend(
                pb.ChangedMessage(hash=m.message_hash, expiry_ms=m.expiry_ms, sequences=m.sequences)
                for m in event.messages
            )
        case Revoked():
            message.revoked.tokens.extend(event.tokens)
            message.revoked.time_ms = event.time_ms
        case Unrevoked():
            message.unrevoked.tokens.extend(event.tokens)
    return message.SerializeToString(deterministic=True)


def decode(payload: bytes) -> Recorded:
    """Return the event that ``encode`` made these bytes of.

    Raises:
        UnreadableEvent: not such bytes, or of a schema that is not known here.
    """
    event_id, event, key_period, sealed = decode_flat(payload)
    return Recorded(event_id, event, SealedBody(key_period, sealed) if isinstance(event, Stored) else None)


def decode_flat(payload: bytes) -> tuple[bytes, Event, int, bytes]:
    """Return what ``decode`` does as (id, event, period of the key, sealed body): a replay reads very many.

    Raises:
        UnreadableEvent: as ``decode``.
    """
    try:
        message = pb.MailboxEvent.FromString(payload)
    except DecodeError as error:
        raise UnreadableEvent("no mailbox event") from error
    if message.schema != SCHEMA:
        raise UnreadableEvent(f"mailbox event of schema {message.schema}; this version reads {SCHEMA}")
    event_id = message.id
    if len(event_id) != ID_BYTES:
        raise UnreadableEvent("mailbox event without its 16-byte id")
    kind = message.WhichOneof("kind")
    if kind != "stored":
        return event_id, _change(kind, message), 0, b""
    stored = message.stored
    sealed = stored.sealed
    size = len(sealed) - SEAL_BYTES
    if size < 0:
        raise UnreadableEvent("a stored message with a body too short to be sealed")
    event = Stored(
        _sized(stored.hash, HASH_BYTES),
        stored.namespace,
        stored.timestamp_ms,
        stored.expiry_ms,
        None,
        size,
        stored.rank or None,
        tuple(stored.replaces) if stored.rank else (),
    )
    return event_id, event, stored.key_period, sealed


class StoreColumns(NamedTuple):
    """The fields of many first stores; each column has a value for every event."""

    event_ids: tuple[bytes, ...]
    hashes: tuple[bytes, ...]
    namespaces: tuple[int, ...]
    timestamps_ms: tuple[int, ...]
    expiries_ms: tuple[int, ...]
    sizes: list[int]
    key_periods: tuple[int, ...]
    sealed: tuple[bytes, ...]


def decode_first_stores(payloads: Iterable[bytes]) -> StoreColumns | None:
    """Decode events that are first stores, all of them, several times as fast; ``None`` if one is something else.

    What this returns is what ``decode`` would.
    """
    try:
        schemas, ids, stored = zip(*map(_ENVELOPE, map(pb.MailboxEvent.FromString, payloads)), strict=True)
    except (DecodeError, ValueError):
        return None
    hashes, namespaces, timestamps, expiries, ranks, periods, sealed = zip(*map(_FIRST_STORE, stored), strict=True)
    sizes = [len(body) - SEAL_BYTES for body in sealed]
    first_stores = (
        set(schemas) == {SCHEMA}
        and set(map(len, ids)) == {ID_BYTES}
        and set(map(len, hashes)) == {HASH_BYTES}  # a change has none
        and min(sizes) >= 0
        and not any(ranks)
    )
    if not first_stores:
        return None
    return StoreColumns(ids, hashes, namespaces, timestamps, expiries, sizes, periods, sealed)


def _change(kind: str | None, message: pb.MailboxEvent) -> Event:
    match kind:
        case "deleted":
            return Deleted(
                tuple(
                    DeletedMessage(_sized(m.hash, HASH_BYTES), m.namespace, tuple(m.sequences))
                    for m in message.deleted.messages
                )
            )
        case "expiry":
            return ExpiryChanged(
                tuple(
                    ChangedMessage(_sized(m.hash, HASH_BYTES), m.expiry_ms, tuple(m.sequences))
                    for m in message.expiry.messages
                )
            )
        case "revoked":
            tokens = tuple(_sized(t, TOKEN_BYTES) for t in message.revoked.tokens)
            return Revoked(tokens, message.revoked.time_ms)
        case "unrevoked":
            return Unrevoked(tuple(_sized(t, TOKEN_BYTES) for t in message.unrevoked.tokens))
        case _:
            raise UnreadableEvent("mailbox event of no known kind")


def _sized(value: bytes, size: int) -> bytes:
    if len(value) != size:
        raise UnreadableEvent(f"a field of {len(value)} bytes where {size} are due")
    return value
