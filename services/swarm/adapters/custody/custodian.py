"""The only one that erases: copies of deleted messages, needless copies, keys of passed periods (docs/adr/0003)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from services.chassis.clock import Clock, sleep_unless
from services.chassis.eventlog.port import Batch, EventLog, EventLogError, LoggedEvent
from services.chassis.nats.names import NetworkNames
from services.swarm.adapters.custody.ledger import Doomed, Ledger
from services.swarm.adapters.event_codec import ID_BYTES
from services.swarm.adapters.following import LogChanged
from services.swarm.adapters.log_identity import recognise
from services.swarm.adapters.mailbox_subjects import tag_of
from services.swarm.events.v1 import events_pb2 as pb
from services.swarm.projections.arrivals import Anchor

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodianSettings:
    """The custodian's pace.

    Attributes:
        per_second: copies erased per second, at most: each costs the log milliseconds, and everybody waits meanwhile.
        read_every_s: how often it is looked whether something is due; the log may rest as long between readings.
        key_period_ms: length of a sealing period; a network constant.
        key_grace_ms: a key is erased so long after its period, for clocks that differ.
        check_s: how often the log is checked to be the one that is known.
        retry_s: pause after a failure.
    """

    per_second: float = 20.0
    read_every_s: float = 0.5
    key_period_ms: int = 3_600_000
    key_grace_ms: int = 10_000
    check_s: float = 5.0
    retry_s: float = 1.0


class Custodian:
    """Follows both logs and erases what is due. Works while ``run`` runs.

    Copies of deleted messages are erased ``backlog / per_second`` seconds after their turn has come, keys within
    ``key_grace_ms`` and a second of the end of their period.

    Args:
        mail: the log of mailbox events; the credentials must allow to erase.
        keys: the log of body keys, likewise.
        names: the network's.
        ledger: what is still to be done; stays the caller's.
        clock: the time.
        settings: its pace.

    Attributes:
        copies_erased: copies of messages erased so far.
        keys_erased: keys erased so far.
        spared: copies that turned out to be something else, or gone.
    """

    def __init__(
        self,
        *,
        mail: EventLog,
        keys: EventLog,
        names: NetworkNames,
        ledger: Ledger,
        clock: Clock,
        settings: CustodianSettings | None = None,
    ) -> None:
        self.copies_erased = 0
        self.keys_erased = 0
        self.spared = 0
        self._mail = mail
        self._keys = keys
        self._names = names
        self._ledger = ledger
        self._clock = clock
        self._settings = settings or CustodianSettings()
        #: Sequences of keys in their stream, with the moment they are due (ms).
        self._due_keys: dict[int, int] = {}
        self._again = asyncio.Event()

    @property
    def backlog(self) -> int:
        """Copies that are due and not erased yet."""
        return self._ledger.backlog(self._clock.now_ms())

    def begin_again(self) -> None:
        """Look at the logs anew: the connection was lost."""
        self._again.set()

    async def run(self) -> None:
        """Follow and erase until cancelled."""
        while True:
            self._again.clear()
            try:
                await self._work()
            except* EventLogError as errors:
                # The kinds alone: what the log says may name a subject.
                kinds = sorted({type(error).__name__ for error in errors.exceptions})
                log.warning("the logs cannot be followed now: %s; trying again", ", ".join(kinds))
                await self._clock.sleep(self._settings.retry_s)
            except* LogChanged:
                pass  # what it is now is seen at the next turn

    async def _work(self) -> None:
        """Follow and erase until the logs are in doubt."""
        found = await recognise(self._mail, [self._ledger.progress])
        if not found.known:
            log.error("the event log is not the one it was; it is read from its beginning for what is to be erased")
        if not found.known or not self._ledger.progress.incarnation:
            self._ledger.begin_again(found.incarnation)
        self._due_keys.clear()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read_mail())
            tasks.create_task(self._read_keys())
            tasks.create_task(self._erase_keys())
            tasks.create_task(self._erase_copies())
            tasks.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            await sleep_unless(self._again, self._clock, self._settings.check_s)
            if self._again.is_set() or not (await recognise(self._mail, [self._ledger.progress])).known:
                raise LogChanged

    # Reading.

    async def _read_mail(self) -> None:
        follower = self._mail.follow(self._names.custodian, [self._names.swarm], after=self._ledger.progress.position)
        try:
            async for batch in follower:
                self._note(batch)
        finally:
            await follower.close()

    def _note(self, batch: Batch) -> None:
        doomed: list[Doomed] = []
        newest: Anchor | None = None
        for event in batch.events:
            try:
                read = pb.MailboxEvent.FromString(event.payload)
                doomed += _doomed(read, tag_of(event.subject))
            except (DecodeError, ValueError):
                continue
            newest = Anchor(event.sequence, read.id.ljust(ID_BYTES, b"\0"), event.time_ns)
        self._ledger.take(doomed, batch.position, newest)

    async def _read_keys(self) -> None:
        settings = self._settings
        follower = self._keys.follow(self._names.custodian, [self._names.keys], after=0)
        try:
            async for batch in follower:
                for event in batch.events:
                    end = (int(event.subject.rsplit(".", 1)[1]) + 1) * settings.key_period_ms
                    self._due_keys[event.sequence] = end + settings.key_grace_ms
        finally:
            await follower.close()

    # Erasing.

    async def _erase_keys(self) -> None:
        while True:
            now = self._clock.now_ms()
            for sequence in [s for s, due in self._due_keys.items() if due <= now]:
                self.keys_erased += await self._keys.erase(sequence)
                del self._due_keys[sequence]
            await self._clock.sleep(min(1.0, self._settings.key_grace_ms / 1000))

    async def _erase_copies(self) -> None:
        while True:
            due = self._ledger.due(self._clock.now_ms())
            for doomed in due:
                await self._erase(doomed)
                await self._clock.sleep(1 / self._settings.per_second)
            if not due:
                await self._clock.sleep(self._settings.read_every_s)

    async def _erase(self, doomed: Doomed) -> None:
        event = await self._mail.read(doomed.sequence)
        if event is not None and _is(event, doomed) and await self._mail.erase(doomed.sequence):
            self.copies_erased += 1
        else:
            self.spared += 1
        self._ledger.clear(doomed.sequence)


def _doomed(event: pb.MailboxEvent, tag: bytes) -> Iterator[Doomed]:
    """Yield the copies that an event says are needless now, or will be."""
    kind = event.WhichOneof("kind")
    if kind == "stored":
        for sequence in event.stored.replaces:
            yield Doomed(sequence, tag, event.stored.hash, 0)
    elif kind == "deleted":
        for deleted in event.deleted.messages:
            for sequence in deleted.sequences:
                yield Doomed(sequence, tag, deleted.hash, 0)
    elif kind == "expiry":
        for changed in event.expiry.messages:
            for sequence in changed.sequences:
                yield Doomed(sequence, tag, changed.hash, changed.expiry_ms)


def _is(event: LoggedEvent, doomed: Doomed) -> bool:
    """Tell whether an event is the copy that was meant."""
    try:
        stored = pb.MailboxEvent.FromString(event.payload).stored
        return tag_of(event.subject) == doomed.tag and stored.hash == doomed.hash
    except (DecodeError, ValueError):
        return False
