"""Who may join, and who may leave."""

from __future__ import annotations

from dataclasses import replace

from naisho.protocol.directory import Endpoint, Node, Transport
from naisho.protocol.directory.codec import MAX_NODES
from naisho.protocol.directory.places import address_of
from naisho.protocol.directory.statements import Announcement
from operators.membership.domain.errors import DrainRefused, NotAdmitted, UnknownNode
from operators.membership.domain.life import STAYING, Life, Member, Roster
from operators.membership.domain.policy import SECOND_MS, Policy


def admit(
    announcement: Announcement, roster: Roster, *, policy: Policy, now_ms: int, clock_offset_ms: int = 0
) -> Member:
    """Return the member that an announcement makes or changes.

    Args:
        announcement: verified already: its signatures hold.
        roster: all members.
        policy: the operator's settings.
        now_ms: the authority's present ...
        clock_offset_ms: ... and by how much most nodes' clocks differ from it.

    Raises:
        NotAdmitted: the text says what is wrong and what would be right.
    """
    node = announcement.node
    _check_clock(announcement.time_ms - now_ms - clock_offset_ms, policy)
    if policy.allowed is not None and node.key not in policy.allowed:
        raise NotAdmitted("the node's key is not on the list of those that may join; ask the operator to add it")
    _check_endpoints(node, policy)
    known = roster.get(node.key)
    if known is not None and known.drained:
        raise NotAdmitted("the node was drained; a drained node joins again only with a new key")
    _check_places(node, roster, policy)
    if known is not None and known.life is not Life.GONE:
        return replace(known, node=node)
    if sum(member.life is not Life.GONE for member in roster.values()) >= MAX_NODES:
        raise NotAdmitted(f"the network is full: it has {MAX_NODES} nodes")
    if known is not None:
        return replace(known.becomes(Life.ANNOUNCED, now_ms, "announced itself again"), node=node)
    return Member(node, Life.ANNOUNCED, now_ms, "announced itself")


def drain(key: bytes, roster: Roster, *, policy: Policy, now_ms: int, force: bool = False) -> Member:
    """Return a member that begins to leave.

    Args:
        key: who.
        roster: all members.
        policy: the operator's settings.
        now_ms: the present.
        force: even if the network then is smaller than clients accept. Never below what one swarm needs.

    Raises:
        UnknownNode: nobody of that key is in the directory.
        DrainRefused: too few would be left.
    """
    member = roster.get(key)
    if member is None or member.life in {Life.GONE, Life.ANNOUNCED}:
        raise UnknownNode("no listed node has that key")
    if member.life is Life.DRAINING:
        return member
    left = sum(other.life in STAYING for other in roster.values()) - 1
    if left < policy.sizes.minimum:
        raise DrainRefused(
            f"{left} nodes would be left, and a swarm needs {policy.sizes.minimum}; let others join first"
        )
    if left < policy.smallest_network and not force:
        raise DrainRefused(
            f"{left} nodes would be left, and clients refuse networks of fewer than {policy.smallest_network};"
            " let others join first, or force it"
        )
    return member.becomes(Life.DRAINING, now_ms, "the operator drains it")


def dismiss(key: bytes, roster: Roster, *, now_ms: int) -> Member:
    """Return a member that is gone at once, whatever the others hold; its key does not come back.

    Raises:
        UnknownNode: nobody of that key was ever here.
    """
    member = roster.get(key)
    if member is None:
        raise UnknownNode("no node has that key")
    if member.life not in {Life.ANNOUNCED, Life.DRAINING, Life.GONE}:
        member = member.becomes(Life.DRAINING, now_ms, "the operator dismisses it")
    if member.life is not Life.GONE:
        member = member.becomes(Life.GONE, now_ms, "was dismissed without a drain")
    return replace(member, drained=True)


def _check_places(node: Node, roster: Roster, policy: Policy) -> None:
    """Refuse addresses that are another node's. Where they are assigned, those that somebody had before are free."""
    places = {(endpoint.host, endpoint.port) for endpoint in node.endpoints}
    if policy.assigned is not None:
        if not places <= policy.assigned.get(node.key, frozenset()):
            raise NotAdmitted("the node names an address that it was not assigned; it will be told of the right one")
        return
    taken = {
        (endpoint.host, endpoint.port)
        for key, member in roster.items()
        if key != node.key and member.life is not Life.GONE
        for endpoint in member.node.endpoints
    }
    if places & taken:
        raise NotAdmitted("another node has announced the same address and port; each needs its own")


def _check_clock(off_ms: int, policy: Policy) -> None:
    if abs(off_ms) > policy.clock_tolerance_ms:
        way = "ahead" if off_ms > 0 else "behind"
        raise NotAdmitted(
            f"the node's clock is {abs(off_ms) / SECOND_MS:.0f} s {way}; "
            f"at most {policy.clock_tolerance_ms / SECOND_MS:.0f} s are accepted: set it by NTP"
        )


def _check_endpoints(node: Node, policy: Policy) -> None:
    for transport in (Transport.HTTPS, Transport.HOP):
        if node.endpoint(transport) is None:
            raise NotAdmitted(f"the node names no {transport.name} endpoint; both HTTPS and HOP are needed")
    private = next((endpoint for endpoint in node.endpoints if _is_private(endpoint)), None)
    if private is not None and not policy.private_addresses:
        raise NotAdmitted(
            f"the node's {private.transport.name} endpoint has an address that is not public; announce a public one"
        )


def _is_private(endpoint: Endpoint) -> bool:
    address = address_of(endpoint.host)
    return address is not None and not address.is_global
