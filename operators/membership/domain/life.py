"""The life of a node, as the authority records it.

    Announced ──▶ Joining ◀──▶ Active ◀──▶ Unreachable
        │            │  │         │            │  │
        │            │  └──────▶ Draining ◀────┘  │
        ▼            ▼            ▼               ▼
      Gone ◀──────────────────────┴───────────────┘      Gone ──▶ Announced (not after a drain)

Active to Joining: the node moves to a swarm that it has not caught up with. Only a drain or a long absence ends a life.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, TypeAlias

from naisho.protocol.directory import Node, NodeState


class Life(enum.Enum):
    """Where a node is in its life; values are lasting, they stand in recorded events."""

    ANNOUNCED = 1
    JOINING = 2
    ACTIVE = 3
    UNREACHABLE = 4
    DRAINING = 5
    GONE = 6


STEPS: Final[Mapping[Life, frozenset[Life]]] = MappingProxyType(
    {
        Life.ANNOUNCED: frozenset({Life.JOINING, Life.GONE}),
        Life.JOINING: frozenset({Life.ACTIVE, Life.DRAINING, Life.GONE}),
        Life.ACTIVE: frozenset({Life.JOINING, Life.UNREACHABLE, Life.DRAINING}),
        Life.UNREACHABLE: frozenset({Life.ACTIVE, Life.DRAINING, Life.GONE}),
        Life.DRAINING: frozenset({Life.GONE}),
        Life.GONE: frozenset({Life.ANNOUNCED}),
    }
)

#: How the directory shows a life; the others are not shown.
SHOWN: Final[Mapping[Life, NodeState]] = MappingProxyType(
    {
        Life.JOINING: NodeState.JOINING,
        Life.ACTIVE: NodeState.ACTIVE,
        Life.UNREACHABLE: NodeState.UNREACHABLE,
        Life.DRAINING: NodeState.DRAINING,
    }
)

#: Lives that take part in the swarms to come.
STAYING: Final = frozenset({Life.JOINING, Life.ACTIVE, Life.UNREACHABLE})


@dataclass(frozen=True, slots=True)
class Member:
    """What is recorded of one node."""

    #: As it announced itself last; state and swarms in it mean nothing.
    node: Node
    life: Life
    #: When it entered this life, by the authority's clock.
    since_ms: int
    #: Why, for people.
    reason: str = ""
    #: It left by a drain: it does not come back by announcing itself.
    drained: bool = False

    def becomes(self, life: Life, now_ms: int, reason: str) -> Member:
        """Return the member in another life.

        Raises:
            ValueError: no such step exists.
        """
        if life not in STEPS[self.life]:
            raise ValueError(f"a node cannot go from {self.life.name} to {life.name}")
        return replace(self, life=life, since_ms=now_ms, reason=reason)


#: All members, by key.
Roster: TypeAlias = Mapping[bytes, Member]
