"""What the authority sets up in the event log: the network's streams, and a pair of followers for every node."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from naisho.protocol.directory import Directory
from services.chassis.eventlog.provision import (
    StreamPlan,
    ensure_follower,
    ensure_stream,
    followers,
    remove_follower,
)
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.names import NetworkNames

log = logging.getLogger(__name__)

MIB: Final = 1024 * 1024
#: Rosters and directories kept for those who want to know how it came about; only the newest of each counts.
_HISTORY: Final = 16


@dataclass(frozen=True, slots=True)
class StreamSizes:
    """How much the streams may hold, and how often.

    Attributes:
        mail_bytes: all mail that lives, sealed.
        keys_bytes: body keys of all periods that live.
        membership_bytes: rosters and directories.
        replicas: 1, or 3 on a cluster.
    """

    mail_bytes: int = 8 * 1024 * MIB
    keys_bytes: int = 16 * MIB
    membership_bytes: int = 64 * MIB
    replicas: int = 1


def stream_plans(names: NetworkNames, sizes: StreamSizes) -> tuple[StreamPlan, StreamPlan, StreamPlan]:
    """Return the network's streams: mail, keys and membership."""
    return (
        StreamPlan(
            name=names.mail_stream,
            subjects=(names.swarm,),
            max_bytes=sizes.mail_bytes,
            max_event_bytes=MIB,
            replicas=sizes.replicas,
        ),
        StreamPlan(
            name=names.keys_stream,
            subjects=(names.keys,),
            max_bytes=sizes.keys_bytes,
            max_event_bytes=4096,
            replicas=sizes.replicas,
        ),
        StreamPlan(
            name=names.membership_stream,
            subjects=(names.directory, names.membership_events),
            max_bytes=sizes.membership_bytes,
            max_event_bytes=MIB,
            replicas=sizes.replicas,
            events_per_subject=_HISTORY,
        ),
    )


def wanted_followers(names: NetworkNames, directory: Directory) -> dict[str, tuple[str, ...]]:
    """Return the followers of mail that a directory's nodes use: name and subjects."""
    wanted: dict[str, tuple[str, ...]] = {}
    for node in directory.nodes:
        followed = directory.followed(node.key)
        for name, shards in zip(names.followers(node.key.hex()), (followed.main, followed.extra), strict=True):
            if shards:
                wanted[name] = names.shards(shards)
    return wanted


class Provisioner:
    """Brings streams and followers to what a directory needs. Level-based: may be repeated, and goes on after failures.

    Args:
        connection: a user that may make streams and consumers.
        names: the network's.
    """

    def __init__(self, connection: NatsConnection, names: NetworkNames) -> None:
        self._connection = connection
        self._names = names
        self._made: dict[str, tuple[str, ...]] | None = None
        #: Streams that could not be made larger at the last try.
        self.cramped: tuple[str, ...] = ()

    async def streams(self, sizes: StreamSizes) -> None:
        """Make the streams, or bring them to these sizes, and the custodian's followers.

        A stream for which there is no more room stays as it is, and is named in ``cramped``: whoever gives out room, an
        account's limit or a disk, may be slower than whoever asks for it, and the network lives on meanwhile.

        Raises:
            EventLogError: refused, or no answer within the bound.
        """
        plans = stream_plans(self._names, sizes)
        cramped = tuple([plan.name for plan in plans if not await ensure_stream(self._connection, plan)])
        if cramped and cramped != self.cramped:
            log.warning("there is no room in the log to make %s larger; it is tried again", ", ".join(cramped))
        self.cramped = cramped
        names = self._names
        for stream, subjects in ((names.mail_stream, names.swarm), (names.keys_stream, names.keys)):
            await ensure_follower(self._connection, stream, names.custodian, (subjects,))

    def doubt(self) -> None:
        """Look at everything again at the next turn; the log may not be the one it was."""
        self._made = None

    async def followers(self, directory: Directory) -> None:
        """Make, change and remove followers of mail until they are what the directory's nodes use.

        Raises:
            EventLogError: refused, or no answer within the bound; what is done is done.
        """
        wanted = wanted_followers(self._names, directory)
        stream = self._names.mail_stream
        made = self._made if self._made is not None else await self._there()
        for name in sorted(made.keys() - wanted.keys()):
            await remove_follower(self._connection, stream, name)
        self._made = {name: subjects for name, subjects in made.items() if name in wanted}
        for name, subjects in wanted.items():
            if self._made.get(name) != subjects:
                await ensure_follower(self._connection, stream, name, subjects)
                self._made[name] = subjects

    async def _there(self) -> Mapping[str, tuple[str, ...]]:
        """Return the nodes' followers that exist; with what subjects is left to be found out."""
        found = await followers(self._connection, self._names.mail_stream)
        return {name: () for name in found if _is_node(name)}


def _is_node(name: str) -> bool:
    key = name.removesuffix("-next")
    return len(key) == 64 and all(digit in "0123456789abcdef" for digit in key)  # noqa: PLR2004 - 32 bytes as hex
