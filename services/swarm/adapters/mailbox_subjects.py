"""Where a mailbox lies in the log: its shard, its tag, its subject."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

from naisho.protocol import ring
from naisho.protocol.namespaces import HIGHEST, LOWEST
from services.chassis.eventlog.port import LoggedEvent
from services.chassis.nats.names import NetworkNames
from services.swarm.adapters.event_codec import UnreadableEvent, decode_first_stores, decode_flat
from services.swarm.domain.events import Stored
from services.swarm.projections.arrivals import Arrived, FirstStores

TAG_BYTES: Final = 16
_TAG_DIGITS: Final = 2 * TAG_BYTES
#: Events of a replay that are read together; one that is no first store has its neighbours read one by one.
_AT_ONCE: Final = 64
_SHARD_NUMBERS: Final = {f"{shard:02x}": shard for shard in range(ring.SHARDS)}
_SHARD: Final = slice(-_TAG_DIGITS - 3, -_TAG_DIGITS - 1)


class Place(NamedTuple):
    """One mailbox's place in the log."""

    shard: int
    #: 16 bytes.
    tag: bytes
    subject: str


class MailboxSubjects:
    """Names mailboxes without naming accounts.

    Args:
        names: the network's.
        key: the network's mailbox key, 32 bytes, known to its nodes alone: without it nobody can tell which tag an
            account has.
    """

    def __init__(self, names: NetworkNames, key: bytes) -> None:
        self._names = names
        self._keyed = blake2b(digest_size=TAG_BYTES, key=key)

    def place(self, account: bytes) -> Place:
        """Return where the mailbox of an account (33 bytes) lies."""
        keyed = self._keyed.copy()
        keyed.update(account)
        tag = keyed.digest()
        shard = ring.shard_of(ring.position(account[1:]))
        return Place(shard, tag, self._names.mailbox(shard, tag.hex()))


def tag_of(subject: str) -> bytes:
    """Return the tag in a mailbox's subject.

    Raises:
        ValueError: it is no mailbox's.
    """
    tag = bytes.fromhex(subject[-_TAG_DIGITS:])
    if len(tag) != TAG_BYTES:
        raise ValueError("no mailbox's subject")
    return tag


def arrive(events: Sequence[LoggedEvent], *, young_since_ns: int) -> list[list[Arrived] | FirstStores]:
    """Read events as the log delivered them, in runs; what is no mailbox event that is known here is left out."""
    runs: list[list[Arrived] | FirstStores] = []
    for start in range(0, len(events), _AT_ONCE):
        some = events[start : start + _AT_ONCE]
        replayed = len(some) > 1 and some[-1].time_ns < young_since_ns
        run = (_first_stores(some) if replayed else None) or _one_by_one(some, young_since_ns)
        last = runs[-1] if runs else None
        if isinstance(run, FirstStores) and isinstance(last, FirstStores):
            last.extend(run)
        elif isinstance(run, list) and isinstance(last, list):
            last += run
        elif run:
            runs.append(run)
    return runs


def _first_stores(events: Sequence[LoggedEvent]) -> FirstStores | None:
    sequences, subjects, payloads, times = map(list, zip(*events, strict=True))
    stores = decode_first_stores(payloads)
    if stores is None or min(stores.namespaces) < LOWEST or max(stores.namespaces) > HIGHEST:
        return None
    try:
        shards = [_SHARD_NUMBERS[subject[_SHARD]] for subject in subjects]
        tags = [bytes.fromhex(subject[-_TAG_DIGITS:]) for subject in subjects]
    except (KeyError, ValueError):
        return None
    if set(map(len, tags)) != {TAG_BYTES}:
        return None
    return FirstStores(
        sequences,
        times,
        shards,
        tags,
        list(stores.event_ids),
        list(stores.hashes),
        list(stores.namespaces),
        list(stores.timestamps_ms),
        list(stores.expiries_ms),
        stores.sizes,
        list(stores.key_periods),
        list(stores.sealed),
    )


def _one_by_one(events: Iterable[LoggedEvent], young_since_ns: int) -> list[Arrived]:
    arrived: list[Arrived] = []
    for sequence, subject, payload, time_ns in events:
        try:
            event_id, event, period, sealed = decode_flat(payload)
            shard, tag = _SHARD_NUMBERS[subject[_SHARD]], tag_of(subject)
        except (UnreadableEvent, KeyError, ValueError):
            continue
        kept = payload
        if isinstance(event, Stored):
            if not LOWEST <= event.namespace <= HIGHEST:
                continue
            kept = b""
        young = time_ns >= young_since_ns
        arrived.append(Arrived(sequence, time_ns, shard, tag, event_id, event, period, sealed, kept, young))
    return arrived
