"""Which node belongs to which swarm: one pure function of the nodes and the swarms they were in before.

Number of swarms, for ``n`` staying nodes (docs/adr/0008): one more as soon as every swarm could then have ``ideal``
members, one fewer only when some would have fewer than ``minimum``. In between nothing changes, so a network that
swings by a node or two does not swing its swarms. With 5 and 6: up to 11 nodes one swarm, 12 to 17 two, 18 to 23 three
on the way up; on the way down two until 9 are left.

Moves are as few as these rules allow: a new node moves nobody; a lost one moves at most one, and only into a swarm
below ``minimum``; a split moves what the new swarm needs; a merge moves the members of the smallest swarm. Families
are spread by choosing who goes where, and by at most one exchange of two nodes per call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from naisho.protocol import ring

#: Below it clients refuse a swarm (wire 11).
FLOOR: Final = 3
MOST_SWARMS: Final = ring.SHARDS // 2
#: How many members of one family a swarm may have above the family's fair share.
SLACK: Final = 1


@dataclass(frozen=True, slots=True)
class SwarmSizes:
    """How large swarms are kept.

    Attributes:
        minimum: a swarm that would have fewer takes members of others, or is dissolved; at least 3.
        ideal: a new swarm is made once all could have so many.
    """

    minimum: int = 5
    ideal: int = 6

    def __post_init__(self) -> None:
        """Refuse sizes that clients would refuse, or that would make swarms come and go."""
        if self.minimum < FLOOR:
            raise ValueError(f"clients refuse swarms of fewer than {FLOOR}; the minimum is {self.minimum}")
        if self.ideal <= self.minimum:
            raise ValueError("the ideal size must be above the minimum, or swarms would come and go")


class Placed(NamedTuple):
    """A node that stays, as the assignment sees it."""

    key: bytes
    family: str
    #: The swarm it is in, or ``ring.INVALID_SWARM``.
    swarm_id: int


_Swarms = dict[int, list[Placed]]


def assign(nodes: Iterable[Placed], sizes: SwarmSizes, *, spread: bool = True) -> dict[bytes, int]:
    """Return the swarm id of every node.

    Args:
        nodes: all that stay, in any order.
        sizes: the sizes to keep.
        spread: also exchange two nodes if a family is crowded in one swarm.
    """
    ordered = sorted(nodes)
    swarms: _Swarms = {}
    homeless: list[Placed] = []
    for node in ordered:
        if node.swarm_id == ring.INVALID_SWARM:
            homeless.append(node)
        else:
            swarms.setdefault(node.swarm_id, []).append(node)
    count = swarm_count(len(ordered), len(swarms), sizes)
    while len(swarms) > count:
        smallest = min(swarms, key=lambda swarm: (len(swarms[swarm]), -swarm))
        homeless += swarms.pop(smallest)
    young = set()
    while len(swarms) < count:
        made = new_swarm_id(swarms)
        young.add(made)
        swarms[made] = []
    for node in sorted(homeless, key=lambda node: (node.family, node.key)):
        _place(swarms, node)
    _feed(swarms, {swarm: sizes.ideal if swarm in young else sizes.minimum for swarm in swarms})
    if spread:
        _exchange(swarms)
    return {node.key: swarm for swarm, members in swarms.items() for node in members}


def swarm_count(nodes: int, swarms: int, sizes: SwarmSizes) -> int:
    """Return how many swarms so many nodes form, if there are so many now."""
    if nodes == 0:
        return 0
    count = max(swarms, 1)
    while count < MOST_SWARMS and nodes >= sizes.ideal * (count + 1):
        count += 1
    while count > 1 and nodes < sizes.minimum * count:
        count -= 1
    return count


def new_swarm_id(swarms: Iterable[int]) -> int:
    """Return the id of one more swarm: the middle of the largest gap on the ring, the first of several.

    Args:
        swarms: the ids there are, fewer than 128.
    """
    taken = sorted((swarm + 1) >> 57 for swarm in swarms)  # the j of (2j + 1) * 2**56 - 1
    if not taken:
        return ring.swarm_id(0)
    behind = [*taken[1:], taken[0] + MOST_SWARMS]
    gaps = [after - before for before, after in zip(taken, behind, strict=True)]
    widest = max(gaps)
    before = taken[gaps.index(widest)]
    return ring.swarm_id((before + widest // 2) % MOST_SWARMS)


def crowding(swarms: Mapping[int, Sequence[Placed]]) -> dict[tuple[int, str], int]:
    """Return by how many members a family exceeds its share in a swarm, where it does."""
    total: Counter[str] = Counter(node.family for members in swarms.values() for node in members)
    everyone = total.total()
    crowded = {}
    for swarm, members in swarms.items():
        for family, count in Counter(node.family for node in members).items():
            share = -(-len(members) * total[family] // everyone)  # rounded up
            if count > share + SLACK:
                crowded[swarm, family] = count - share - SLACK
    return crowded


def _place(swarms: _Swarms, node: Placed) -> None:
    """Put a node into a small swarm: of those at most one above the smallest, the one with least of its family."""
    smallest = min(len(members) for members in swarms.values())
    small = (swarm for swarm, members in swarms.items() if len(members) <= smallest + 1)
    best = min(small, key=lambda swarm: (_of(swarms[swarm], node.family), len(swarms[swarm]), swarm))
    swarms[best].append(node)


def _feed(swarms: _Swarms, floors: Mapping[int, int]) -> None:
    """Let swarms below their floor take members of the largest, until that would only turn hunger around."""
    while True:
        hungry = [swarm for swarm, members in swarms.items() if len(members) < floors[swarm]]
        if not hungry:
            return
        taker = min(hungry, key=lambda swarm: (len(swarms[swarm]), swarm))
        giver = max(swarms, key=lambda swarm: (len(swarms[swarm]), -swarm))
        if len(swarms[giver]) <= len(swarms[taker]) + 1:
            return
        crowd, guests = Counter(n.family for n in swarms[giver]), Counter(n.family for n in swarms[taker])
        mover = min(swarms[giver], key=lambda node: (guests[node.family] - crowd[node.family], node.key))
        swarms[giver].remove(mover)
        swarms[taker].append(mover)


def _exchange(swarms: _Swarms) -> None:
    """Exchange two nodes if that thins out the most crowded family; sizes stay."""
    crowded = crowding(swarms)
    if not crowded:
        return
    (full, family), _ = max(crowded.items(), key=lambda item: (item[1], item[0]))
    best: tuple[int, int, str] | None = None
    for other, members in swarms.items():
        if other == full:
            continue
        for partner in {node.family for node in members} - {family}:
            # Half the change of the sum over swarms and families of their squared counts, without a constant.
            gain = _of(members, family) - _of(swarms[full], family) + _of(swarms[full], partner) - _of(members, partner)
            if gain < -2 and (best is None or (gain, other, partner) < best):  # noqa: PLR2004 - below it the sum falls
                best = (gain, other, partner)
    if best is not None:
        _, other, partner = best
        leaving = min(node for node in swarms[full] if node.family == family)
        coming = min(node for node in swarms[other] if node.family == partner)
        swarms[full].remove(leaving)
        swarms[other].remove(coming)
        swarms[full].append(coming)
        swarms[other].append(leaving)


def _of(members: Iterable[Placed], family: str) -> int:
    return sum(node.family == family for node in members)
