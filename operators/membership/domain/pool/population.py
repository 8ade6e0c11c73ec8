"""Which nodes there should be: who stays, who comes, who leaves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from operators.membership.domain.life import Life
from operators.membership.domain.pool.observed import Observed, SeenNode, Wish
from operators.membership.domain.pool.register import Register
from operators.membership.domain.pool.spec import FEWEST

#: Members that the directory lists, so that they can be drained.
_DRAINABLE = frozenset({Life.JOINING, Life.ACTIVE, Life.UNREACHABLE})


class Resized(NamedTuple):
    """A pool whose number of nodes was lowered for those that leave without a replacement.

    Both parts are written together, so that none of them is counted twice.

    Attributes:
        replicas: what ``spec.replicas`` is to be.
        not_replaced: the nodes that it was lowered for, and that have not left yet.
    """

    replicas: int
    not_replaced: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Population:
    """The nodes of a pool as they are to be.

    Attributes:
        register: with newcomers reserved and those who have left marked.
        wishes: of every node that has not left.
        drains: those whom the authority must be asked to let go.
        dismissals: those who have left, though the authority still lists them: they were not to be waited for.
        resized: what the pool is to say, since nodes leave without a replacement; ``None`` if it says so.
    """

    register: Register
    wishes: Mapping[str, Wish]
    drains: tuple[str, ...] = ()
    dismissals: tuple[str, ...] = ()
    resized: Resized | None = None


def populate(observed: Observed) -> Population:
    """Return who is to be there.

    A wish is recorded in the node's resource, and a drain in the authority's roster, before anything follows from it:
    whoever decides next goes on from there.
    """
    register = observed.register
    nodes = {name: observed.nodes.get(name, SeenNode(name)) for name in register.entries}
    resized = _without_replacements([nodes[name] for name in register.staying], observed)
    for name in register.staying:
        # Who is not to be replaced is counted first: afterwards nobody would know of it.
        counted = resized is None or name not in resized.not_replaced or name in observed.pool.not_replaced
        if counted and _has_left(nodes[name], observed):
            register = register.left(name)
    wishes = {name: _wish(nodes[name]) for name in register.staying}
    if not observed.pool.unsafe:
        replicas = resized.replicas if resized is not None else observed.pool.replicas
        register, wishes = _resize(register, wishes, nodes, observed, replicas)
    return Population(
        register,
        wishes,
        drains=tuple(
            name for name, wish in wishes.items() if wish is Wish.DRAINING and _life(nodes.get(name)) in _DRAINABLE
        ),
        dismissals=tuple(
            name
            for name, entry in register.entries.items()
            if entry.drained and _life(nodes.get(name)) not in {None, Life.GONE}
        ),
        resized=resized,
    )


def _wish(node: SeenNode) -> Wish:
    resource = node.resource
    if _life(node) is Life.DRAINING:
        return Wish.DRAINING  # there is no way back, whatever has become of the resource
    if resource is None:
        return Wish.ACTIVE
    return Wish.DRAINING if resource.drain else resource.wish


def _has_left(node: SeenNode, observed: Observed) -> bool:
    """Tell whether a node that was to leave has handed everything over, had nothing, or is not to be waited for."""
    member = node.member
    if member is not None and member.drained:
        return True
    if _wish(node) is not Wish.DRAINING:
        return False
    if node.resource is not None and node.resource.skip_drain:
        return True
    return observed.authority and (member is None or member.life in {Life.ANNOUNCED, Life.GONE})


def _without_replacements(staying: Iterable[SeenNode], observed: Observed) -> Resized | None:
    """Lower the number of nodes once for each that leaves without a replacement."""
    pool = observed.pool
    leaving = {
        node.name
        for node in staying
        if node.resource is not None and node.resource.no_replacement and _wish(node) is Wish.DRAINING
    }
    if observed.broken or pool.unsafe or leaving == pool.not_replaced:
        return None
    least = min(pool.replicas, 0 if pool.allow_unsafe else FEWEST)
    return Resized(max(pool.replicas - len(leaving - pool.not_replaced), least), tuple(sorted(leaving)))


def _resize(
    register: Register, wishes: dict[str, Wish], nodes: Mapping[str, SeenNode], observed: Observed, replicas: int
) -> tuple[Register, dict[str, Wish]]:
    """Let nodes come or leave until as many stay as are wanted."""
    wishes = dict(wishes)
    missing = replicas - sum(wish is Wish.ACTIVE for wish in wishes.values())
    revocable = [name for name in wishes if _may_stay_after_all(nodes[name], observed)]
    revocable.sort(key=lambda name: register.entries[name].ordinal)
    for name in revocable[: max(missing, 0)]:
        wishes[name] = Wish.ACTIVE
        missing -= 1
    while missing > 0:
        name = f"{observed.pool.name}-{register.next_ordinal}"
        register = register.reserved(observed.pool.name)
        wishes[name] = Wish.ACTIVE
        missing -= 1
    active = [name for name, wish in wishes.items() if wish is Wish.ACTIVE]
    leaving = sorted(active, key=lambda name: _reluctance(nodes.get(name), register.entries[name].ordinal))
    for name in leaving[: max(-missing, 0)]:
        if _was_never_there(nodes[name], observed):
            register = register.left(name)
            del wishes[name]
        else:
            wishes[name] = Wish.DRAINING
    return register, wishes


def _may_stay_after_all(node: SeenNode, observed: Observed) -> bool:
    """Tell whether a node was to leave, and neither a person wants it nor the authority has begun to let it go."""
    resource = node.resource
    if resource is None or resource.wish is not Wish.DRAINING or resource.drain:
        return False
    return observed.authority and _life(node) not in {Life.DRAINING, Life.GONE}


def _was_never_there(node: SeenNode, observed: Observed) -> bool:
    """Tell whether a node was reserved and nothing of it exists: its objects could not be made yet."""
    nothing = node.resource is None and not node.placed and node.pod is None and node.volume is None
    return nothing and observed.authority and node.member is None


def _reluctance(node: SeenNode | None, ordinal: int) -> tuple[bool, bool, int]:
    """Return a key by which those who leave first come first: the chosen, those who serve nobody, the youngest."""
    chosen = node is not None and node.resource is not None and node.resource.drain_first
    return not chosen, _life(node) is Life.ACTIVE, -ordinal


def _life(node: SeenNode | None) -> Life | None:
    return node.member.life if node is not None and node.member is not None else None
