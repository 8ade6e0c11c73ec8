"""What the authority has recorded and published, in the log: the roster and the signed directory.

Both are last values on a subject of their own, appended with the sequence that is to be replaced: of two authorities in
one network the second to write notices. What is in the log when an authority starts is where it goes on.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

from naisho.protocol.directory import Directory, verify
from naisho.protocol.directory.codec import decode, parse
from naisho.protocol.grade import Grade
from naisho.protocol.network_file import NetworkFile
from naisho.wire.directory.v1 import directory_pb2 as wire
from operators.membership.domain.errors import TakenOver
from operators.membership.domain.life import SHOWN, Member, Roster
from operators.membership.record import decode_roster, encode_roster
from services.chassis.eventlog.port import EventLog, WrongExpectedSequence
from services.chassis.nats.names import NetworkNames

log = logging.getLogger(__name__)

_LIVES = {state: life for life, state in SHOWN.items()}


@dataclass(slots=True)
class _Value:
    """One subject's last value, as this authority knows it."""

    subject: str
    sequence: int = 0
    payload: bytes = b""
    #: What it tried to append; after a lost acknowledgement it may be there.
    tried: set[bytes] = field(default_factory=set)


class Ledger:
    """The authority's memory.

    Args:
        event_log: the network's membership stream.
        names: the network's.
        network: whose root keys count.
    """

    def __init__(self, event_log: EventLog, names: NetworkNames, network: NetworkFile) -> None:
        self._log = event_log
        self._network = network
        self._roster = _Value(names.roster)
        self._directory = _Value(names.directory)
        #: The members as recorded, and the directory as published.
        self.roster: Roster = {}
        self.directory: Directory | None = None

    async def load(self) -> None:
        """Read where an authority before this one stopped.

        Raises:
            EventLogError: no answer within the bound.
            DirectoryError: what is in the log is not signed by this network's keys.
            UnreadableRoster: the roster is damaged or of a newer version.
        """
        if (event := await self._log.last(self._directory.subject)) is not None:
            self.directory = verify_at_issue(event.payload, self._network)
            self._directory.sequence, self._directory.payload = event.sequence, event.payload
        if (event := await self._log.last(self._roster.subject)) is not None:
            self.roster = decode_roster(event.payload)
            self._roster.sequence, self._roster.payload = event.sequence, event.payload
        elif self.directory is not None:
            self.adopt(self.directory)

    def adopt(self, directory: Directory) -> None:
        """Go on from a directory that an authority of this network once signed, though the log has forgotten it."""
        self.directory = directory
        known = {
            node.key: Member(node, _LIVES[node.state], directory.issued_ms, "was in a directory")
            for node in directory.nodes
        }
        self.roster = {**known, **self.roster}

    async def record(self, roster: Roster) -> None:
        """Append the members, if they have changed.

        Raises:
            TakenOver: another authority has written.
            EventLogError: not appended, or not known whether.
        """
        payload = encode_roster(roster)
        if payload != self._roster.payload:
            await self._append(self._roster, payload)
        self.roster = dict(roster)

    async def publish(self, directory: Directory) -> None:
        """Append a signed directory.

        Raises:
            TakenOver: another authority has written.
            EventLogError: not appended, or not known whether.
        """
        await self._append(self._directory, directory.signed)
        self.directory = directory

    async def restore(self) -> None:
        """Append what the log has lost since: it may have been put back from an older copy.

        Raises:
            TakenOver: another authority has written.
            EventLogError: no answer within the bound.
        """
        for value in (self._roster, self._directory):
            if not value.payload:
                continue
            event = await self._log.last(value.subject)
            if event is None or event.payload != value.payload:
                await self._append(value, value.payload)

    async def _append(self, value: _Value, payload: bytes) -> None:
        value.tried.add(payload)
        try:
            sequence = await self._log.append(value.subject, payload, expected=value.sequence)
        except WrongExpectedSequence:
            sequence = await self._append_after_all(value, payload)
        value.sequence, value.payload = sequence, payload
        value.tried.clear()

    async def _append_after_all(self, value: _Value, payload: bytes) -> int:
        """Find out who wrote: this authority itself, an older copy of the log, or somebody else."""
        event = await self._log.last(value.subject)
        if event is not None and event.payload == payload:
            return event.sequence
        if event is not None and event.sequence > value.sequence and event.payload not in value.tried:
            raise TakenOver("another authority writes in this network; there may be only one")
        if event is None or event.sequence < value.sequence:
            log.warning("the log is an older copy of itself; what it lost of membership is appended again")
        return await self._log.append(value.subject, payload, expected=event.sequence if event else 0)


def verify_at_issue(signed: bytes, network: NetworkFile) -> Directory:
    """Return a directory that was valid when it was issued, however long ago.

    Raises:
        DirectoryError: it is malformed or was not signed by this network's keys.
    """
    document = parse(wire.SignedDirectory, signed, what="the signed directory").document
    any_grade = replace(network, lowest_grade=Grade.SINGLE_OPERATOR)
    return verify(signed, network=any_grade, now_ms=decode(document).issued_ms)
