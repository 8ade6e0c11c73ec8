"""The roster as it lies in the log: ``operators.membership.events.v1.RosterRecorded``, schema 1."""

from __future__ import annotations

from typing import Final

from google.protobuf.message import DecodeError

from naisho.protocol.directory import MalformedDirectory
from naisho.protocol.directory.codec import decode_node, encode_node, parse
from naisho.wire.directory.v1 import directory_pb2 as wire
from operators.membership.domain.life import Life, Member, Roster
from operators.membership.events.v1 import events_pb2 as pb

SCHEMA: Final = 1


class UnreadableRoster(ValueError):
    """Bytes in the log that are no roster of a schema that this version knows."""


def encode_roster(roster: Roster) -> bytes:
    """Return the event's bytes; the same for the same members, in whatever order."""
    return pb.RosterRecorded(
        schema=SCHEMA,
        members=[
            pb.MemberRecord(
                node=encode_node(member.node, announced=True).SerializeToString(deterministic=True),
                life=pb.Life.ValueType(member.life.value),
                since_ms=member.since_ms,
                reason=member.reason,
                drained=member.drained,
            )
            for _, member in sorted(roster.items())
        ],
    ).SerializeToString(deterministic=True)


def decode_roster(data: bytes) -> dict[bytes, Member]:
    """Read an event.

    Raises:
        UnreadableRoster: damaged, or written by a newer version.
    """
    event = pb.RosterRecorded()
    try:
        event.ParseFromString(data)
        if event.schema != SCHEMA:
            raise UnreadableRoster(f"the roster has schema {event.schema}; this version knows {SCHEMA}")
        members = [_member(record) for record in event.members]
    except (DecodeError, MalformedDirectory) as error:
        raise UnreadableRoster("the roster in the log is damaged") from error
    return {member.node.key: member for member in members}


def _member(record: pb.MemberRecord) -> Member:
    node = decode_node(parse(wire.Node, record.node, what="a recorded node"), announced=True)
    if record.life not in {life.value for life in Life}:
        raise UnreadableRoster("the roster in the log names an unknown life")
    return Member(node, Life(record.life), record.since_ms, record.reason, record.drained)
