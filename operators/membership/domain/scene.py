"""Everything that a decision may look at, taken at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from naisho.protocol.directory import Directory, Node
from operators.membership.domain.policy import Policy
from operators.membership.domain.signs import Sign, Verdict


@dataclass(frozen=True, slots=True)
class Scene:
    """The published directory, what is heard of the nodes, and the time."""

    #: The newest published directory, if there is one.
    current: Directory | None
    #: What was heard of each node last, and what that means.
    signs: Mapping[bytes, Sign]
    verdicts: Mapping[bytes, Verdict]
    policy: Policy
    now_ms: int

    def shown(self, key: bytes) -> Node | None:
        """Return the node as the current directory has it."""
        return self.current.by_key.get(key) if self.current else None

    def holds(self, key: bytes) -> bool:
        """Tell whether a node is well, and reports to hold all that the current directory wants it to hold."""
        sign, node = self.signs.get(key), self.shown(key)
        beat = sign.heartbeat if sign else None
        return (
            self.current is not None
            and node is not None
            and beat is not None
            and self.verdicts[key].well
            and beat.caught_up
            and beat.epoch >= self.current.epoch
            and beat.swarm_id == node.planned_swarm_id
        )

    def quiet_ms(self, key: bytes) -> int:
        """Return for how long nothing was heard of a node."""
        sign = self.signs.get(key)
        return self.now_ms - sign.heard_ms if sign else 0
