"""Where a mailbox lies in the log: its shard, its tag, its subject."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final, NamedTuple

from naisho.protocol import ring
from naisho.protocol.namespaces import HIGHEST, LOWEST
from services.chassis.eventlog.port import LoggedEvent
from services.chassis.nats.names import NetworkNames
from services.swarm.adapters.event_codec import UnreadableEvent, decode_flat
from services.swarm.domain.events import Stored
from services.swarm.projections.arrivals import Arrived

TAG_BYTES: Final = 16
_TAG_DIGITS: Final = 2 * TAG_BYTES
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


def arrive(events: Iterable[LoggedEvent], *, young_since_ns: int) -> list[Arrived]:
    """Read events as the log delivered them; what is no mailbox event that this version can read is left out."""
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
