"""Pinned entries: the few nodes that ever learn this device's address.

Who changes the first hop often meets a bad one sooner; who keeps it is unlucky once or not at all. So three nodes are
pinned for weeks and used in order of preference. Further ones are pinned only while all of these fail although the
network answers elsewhere, up to six in all. A node that keeps the client's own mailbox is no entry if there are others:
it would see both whose address and whose mailbox it is. Pure: lists in, lists out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random

from naisho.errors import TooFewNodes
from naisho.paths.choosing import choose_entry
from naisho.protocol.directory import Directory, Node
from naisho.store.records import PinnedEntry

DAY_MS = 24 * 3_600_000
SHORTEST_MS, LONGEST_MS = 28 * DAY_MS, 42 * DAY_MS
USUAL, MOST = 3, 6


def renew(
    pinned: Sequence[PinnedEntry],
    directory: Directory,
    now_ms: int,
    random: Random,
    *,
    own_swarm: Collection[bytes] = frozenset(),
) -> list[PinnedEntry]:
    """Return the pinned entries with expired and vanished ones dropped and new ones drawn up to the usual number.

    Args:
        pinned: what was pinned before.
        directory: the network.
        now_ms: this device's time.
        random: where the draw comes from.
        own_swarm: keys of the nodes that keep the client's own mailbox.

    Raises:
        TooFewNodes: no path can start anywhere.
    """
    kept = [entry for entry in pinned if entry.node in directory.by_key and entry.pinned_ms <= now_ms < entry.until_ms]
    while len(kept) < USUAL:
        try:
            kept = extend(kept, directory, now_ms, random, own_swarm=own_swarm)
        except TooFewNodes:
            if not kept:
                raise
            break
    return kept


def extend(
    pinned: Sequence[PinnedEntry],
    directory: Directory,
    now_ms: int,
    random: Random,
    *,
    own_swarm: Collection[bytes] = frozenset(),
) -> list[PinnedEntry]:
    """Return the pinned entries and a further one; arguments as for `renew`.

    Raises:
        TooFewNodes: no node is left to pin, or as many are pinned as may be.
    """
    if len(pinned) >= MOST:
        raise TooFewNodes(left=0)
    known = [directory.by_key[entry.node] for entry in pinned if entry.node in directory.by_key]
    avoid = {entry.node for entry in pinned}
    try:
        node = choose_entry(directory.active_nodes, directory.grade, random, avoid={*avoid, *own_swarm}, pinned=known)
    except TooFewNodes:  # everybody keeps our mailbox, as in a network of one swarm
        node = choose_entry(directory.active_nodes, directory.grade, random, avoid=avoid, pinned=known)
    until_ms = now_ms + random.randint(SHORTEST_MS, LONGEST_MS)
    return [*pinned, PinnedEntry(node.key, now_ms, until_ms)]


def usable(pinned: Sequence[PinnedEntry], directory: Directory, out: Collection[bytes]) -> list[Node]:
    """Return the pinned nodes that are active and not failing, most preferred first."""
    active = {node.key: node for node in directory.active_nodes}
    return [active[entry.node] for entry in pinned if entry.node in active and entry.node not in out]
