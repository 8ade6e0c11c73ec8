"""Subjects and streams of one network: the one place that spells them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from naisho.protocol.ring import SHARDS


@dataclass(frozen=True, slots=True)
class NetworkNames:
    """The names that belong to a network.

    Attributes:
        network: the network's id, lower-case letters, digits and ``-``; the first token of every subject.
    """

    network: str

    @property
    def mail_stream(self) -> str:
        """The stream of sealed mailbox events."""
        return f"MAIL_{self.network}"

    @property
    def keys_stream(self) -> str:
        """The stream of the periods' body keys."""
        return f"KEYS_{self.network}"

    @property
    def membership_stream(self) -> str:
        """The stream of membership events and signed directories."""
        return f"MEMBERSHIP_{self.network}"

    @property
    def swarm(self) -> str:
        """Pattern of all mailbox events."""
        return f"{self.network}.swarm.>"

    def shard(self, shard: int) -> str:
        """Pattern of one shard's mailbox events; ``shard`` is 0 to 255."""
        return f"{self.network}.swarm.{shard:02x}.>"

    def shards(self, shards: Collection[int]) -> tuple[str, ...]:
        """Patterns of some shards' mailbox events: one if they are all, which costs the server least."""
        return (self.swarm,) if len(shards) == SHARDS else tuple(map(self.shard, sorted(shards)))

    def mailbox(self, shard: int, tag: str) -> str:
        """Subject of one account's events; ``tag`` is 32 hex digits."""
        return f"{self.network}.swarm.{shard:02x}.{tag}"

    def followers(self, node: str) -> tuple[str, str]:
        """Names of a node's two followers of mail: of the shards it serves, and of those it will serve besides.

        ``node`` is the hex of its key; what each follows says ``Directory.followed``.
        """
        return node, f"{node}-next"

    @property
    def custodian(self) -> str:
        """Name of the custodian's followers, of mail and of keys."""
        return "custodian"

    @property
    def keys(self) -> str:
        """Pattern of all body keys."""
        return f"{self.network}.keys.*"

    def key(self, period: int) -> str:
        """Subject of one period's body key."""
        return f"{self.network}.keys.{period}"

    @property
    def receipts(self) -> str:
        """Pattern of the receipts between nodes."""
        return f"{self.network}.receipts.>"

    def waiting(self, swarm_id: int) -> str:
        """Subject on which the members of a swarm hear that somebody waits for their receipts."""
        return f"{self.network}.receipts.wait.{swarm_id:016x}"

    def level(self, swarm_id: int) -> str:
        """Subject on which the members of a swarm are asked whether they hold what the log holds."""
        return f"{self.network}.receipts.level.{swarm_id:016x}"

    @property
    def swarm_talk(self) -> tuple[str, str]:
        """Patterns of what members of any swarm may hear: notes and questions, but not each other's receipts."""
        return f"{self.network}.receipts.wait.*", f"{self.network}.receipts.level.*"

    def receipts_for(self, node: str) -> str:
        """Subject on which a node gets the receipts that it waits for; ``node`` is the hex of its key."""
        return f"{self.network}.receipts.node.{node}"

    @property
    def directory(self) -> str:
        """Subject of the signed directory."""
        return f"{self.network}.directory"

    @property
    def membership_events(self) -> str:
        """Pattern of the authority's own events."""
        return f"{self.network}.membership.event.>"

    @property
    def roster(self) -> str:
        """Subject of the authority's record of all members."""
        return f"{self.network}.membership.event.roster"

    @property
    def drain(self) -> str:
        """Subject on which the operator asks that a node leave."""
        return f"{self.network}.membership.drain"

    @property
    def announce(self) -> str:
        """Subject on which nodes ask to join."""
        return f"{self.network}.membership.announce"

    @property
    def heartbeats(self) -> str:
        """Pattern of all nodes' heartbeats."""
        return f"{self.network}.membership.heartbeat.*"

    def heartbeat(self, node: str) -> str:
        """Subject of one node's heartbeats; ``node`` is the hex of its key."""
        return f"{self.network}.membership.heartbeat.{node}"
