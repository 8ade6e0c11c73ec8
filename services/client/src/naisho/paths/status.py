"""What a user may believe about the path, and what it looks like.

Green means: a request to our own mailbox came back through this very path, lately. Everything else is orange, with a
cause and what to do next (SES-21, SES-25).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from naisho.errors import NaishoError
from naisho.paths.choosing import Route
from naisho.protocol.directory import Grade


class Light(StrEnum):
    """The indicator."""

    GREEN = "green"
    ORANGE = "orange"


class Role(StrEnum):
    """Place of a hop in its path."""

    ENTRY = "entry"
    MIDDLE = "middle"
    EXIT = "exit"


@dataclass(frozen=True, slots=True)
class Hop:
    """One node of a path, for people.

    Attributes:
        role: its place.
        node: 64 hex digits, the node's key.
        family: operator family, as the operator declares it.
        country: ISO 3166 alpha-2, as the operator declares it; nobody checks.

    """

    role: Role
    node: str
    family: str
    country: str


@dataclass(frozen=True, slots=True)
class PathView:
    """What a path shows of itself.

    Attributes:
        hops: entry, middle, exit, as they are really used.
        grade: what the network's operators promise together.
        simulated: nodes and families stand for others; no real party is behind them.
        entry_pinned_until_ms: Unix ms until which the entry stays the same on purpose.

    """

    hops: tuple[Hop, Hop, Hop]
    grade: Grade
    simulated: bool
    entry_pinned_until_ms: int

    @property
    def one_operator(self) -> bool:
        """All hops may be one party: the path hides nothing from it."""
        return self.grade is Grade.SINGLE_OPERATOR


@dataclass(frozen=True, slots=True)
class Path:
    """A path in use."""

    number: int
    route: Route
    grade: Grade
    simulated: bool
    entry_pinned_until_ms: int
    built_at: float

    def describe(self) -> PathView:
        """Return what the path shows of itself."""
        entry, middle, exit_hop = (
            Hop(role, node.key.hex(), node.family, node.country) for role, node in zip(Role, self.route, strict=True)
        )
        return PathView((entry, middle, exit_hop), self.grade, self.simulated, self.entry_pinned_until_ms)


@dataclass(frozen=True, slots=True)
class PathStatus:
    """The light, and why.

    Attributes:
        light: green or orange.
        path: the path meant; None if none could be built.
        cause: why it is orange; None while nothing has failed and no proof has come back yet.
        proof_ms: how long the last proof took there and back.

    """

    light: Light
    path: Path | None = None
    cause: NaishoError | None = None
    proof_ms: int | None = None
