"""The smallest network that a node can be asked about."""

from __future__ import annotations

from naisho.protocol.ring import swarm_id
from naisho.protocol.service_nodes import ServiceNode


class Nodes:
    """A swarm of three nodes, which is the whole network."""

    own_key = bytes(32)
    own_swarm = swarm_id(3)
    height = 7

    def active(self) -> list[ServiceNode]:
        return [
            ServiceNode(bytes([n]) * 32, bytes(32), f"10.0.0.{n}", 22021, 22020, self.own_swarm, (2, 11, 0))
            for n in (1, 2, 3)
        ]

    def swarm_ids(self) -> list[int]:
        return [self.own_swarm]

    def members(self, _: int) -> list[ServiceNode]:
        return self.active()
