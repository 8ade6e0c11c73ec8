"""What is there, as far as decisions about a pool need it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from operators.membership.domain.life import Life
from operators.membership.domain.pool.register import Register
from operators.membership.domain.pool.spec import PoolSpec


class Wish(enum.Enum):
    """What a ServiceNode's spec says of its node; values stand in the resource."""

    ACTIVE = "Active"
    DRAINING = "Draining"


@dataclass(frozen=True, slots=True)
class SeenResource:
    """A ServiceNode object."""

    uid: str
    wish: Wish = Wish.ACTIVE
    #: People's annotations: leave now; without waiting for the others; be the first to leave when the pool shrinks;
    #: leave without another node in its place, so that the pool shrinks with it.
    drain: bool = False
    skip_drain: bool = False
    drain_first: bool = False
    no_replacement: bool = False
    deleting: bool = False


@dataclass(frozen=True, slots=True)
class SeenPod:
    """A node's pod."""

    #: Every container is ready: alive, receiving, caught up.
    ready: bool
    #: Its containers have started; until then nothing of it serves anybody.
    started: bool = True
    #: All but the mailboxes are ready: it has not folded all of the log.
    behind: bool = False
    #: It serves nobody, and no waiting helps: it crashes again and again, cannot be pulled or placed.
    broken: bool = False
    #: It has not been ready for long. It may serve all the same, as far as it goes.
    stuck: bool = False
    #: It was given no machine yet; that is the time at which a volume that was taken from it can be replaced.
    unscheduled: bool = False
    #: Made of its StatefulSet's template as it is; if not, it is about to be replaced.
    current: bool = True
    deleting: bool = False
    host_ip: str = ""
    machine: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SeenMember:
    """A node as the membership authority knows it."""

    life: Life
    #: Swarm that it serves and that it will serve, 16 hex digits each; empty for none.
    swarm: str = ""
    planned: str = ""
    #: It was heard of lately and holds everything that the newest directory wants of it.
    holds: bool = False
    lag: int | None = None
    reason: str = ""
    drained: bool = False


@dataclass(frozen=True, slots=True)
class SeenNode:
    """All that exists under one node's name; ``None`` is what does not."""

    name: str
    resource: SeenResource | None = None
    #: ``host:port`` that clients are told; empty while it is not known.
    address: str = ""
    #: Its StatefulSet is there, and belongs to its resource; and is made of the newest template.
    placed: bool = False
    current: bool = False
    pod: SeenPod | None = None
    #: Phase of its volume claim: ``Bound``, ``Pending``, ``Lost``; ``None`` if there is none.
    volume: str | None = None
    member: SeenMember | None = None


@dataclass(frozen=True, slots=True)
class SeenDirectory:
    """The newest signed directory."""

    network_id: str
    epoch: int
    grade: str
    issued_ms: int
    expires_ms: int
    #: Id, members, active and planned members of each swarm.
    swarms: tuple[tuple[str, int, int, int], ...] = ()
    #: What a placement under way waits for.
    waits: tuple[str, ...] = ()
    #: When the keys that directories are signed with end.
    keys_end_ms: int | None = None
    #: Streams of the log that should be larger, and for which there is no room.
    cramped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Observed:
    """One pool at one moment.

    Attributes:
        pool: what people want.
        register: the nodes that there ever were.
        nodes: by name, everything that carries a name of the register.
        budgets: swarms (hex) that have a disruption budget, each with the nodes that it counts.
        directory: ``None`` before the first, or while the log is away.
        authority: whether the authority is at work; without it nobody can be drained.
        elsewhere: swarms that nodes of other pools disturb.
        broken: answers of the rules that the pool's present spec breaks; ``pool`` is the one to go by then.
    """

    pool: PoolSpec
    register: Register
    nodes: Mapping[str, SeenNode] = field(default_factory=dict)
    budgets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    directory: SeenDirectory | None = None
    authority: bool = False
    elsewhere: frozenset[str] = frozenset()
    broken: tuple[str, ...] = ()
