"""From what is observed to what should be published: one level-based, pure step that may be repeated at any time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from naisho.protocol.directory import Directory, Node, NodeState, SigningKeys
from naisho.protocol.directory.model import VALIDITY_MS
from naisho.protocol.ring import INVALID_SWARM
from operators.membership.domain.grades import earned_grade
from operators.membership.domain.life import SHOWN, Life, Member, Roster
from operators.membership.domain.placement import Placement, place
from operators.membership.domain.policy import Policy
from operators.membership.domain.scene import Scene
from operators.membership.domain.signs import Sign, judge


@dataclass(frozen=True, slots=True)
class Plan:
    """What the authority does next."""

    #: The members as they are to be recorded.
    roster: Roster
    #: A directory to sign and publish, or ``None`` if the current one still says it all.
    directory: Directory | None
    #: What is waited for, for people.
    waits: tuple[str, ...] = ()


def reconcile(
    roster: Roster,
    current: Directory | None,
    signs: Mapping[bytes, Sign],
    *,
    keys: SigningKeys,
    policy: Policy,
    now_ms: int,
) -> Plan:
    """Return the plan for this moment.

    Args:
        roster: the members as recorded.
        current: the newest published directory.
        signs: what was heard of each node last.
        keys: the delegation under which the directory will be signed.
        policy: the operator's settings.
        now_ms: the present.
    """
    scene = Scene(current, signs, judge(roster, signs, policy, now_ms), policy, now_ms)
    lives = {key: _live(member, scene) for key, member in roster.items() if not _forgotten(member, scene)}
    lives = _admit(lives, scene)
    placement = place(lives, scene)
    lives = {key: _seat(member, placement, now_ms) for key, member in lives.items()}
    lives = {key: _release(member, lives, placement, scene) for key, member in lives.items()}
    nodes = tuple(_shown(lives[key], placement) for key in sorted(lives) if lives[key].life in SHOWN)
    return Plan(lives, _directory(nodes, keys, scene), _first_waits(lives, scene) + placement.waits())


def _live(member: Member, scene: Scene) -> Member:
    """Let one member grow older."""
    key, policy, now_ms = member.node.key, scene.policy, scene.now_ms
    verdict = scene.verdicts[key]
    match member.life:
        case Life.ANNOUNCED | Life.JOINING if verdict.silent and scene.quiet_ms(key) > policy.patience_ms:
            return member.becomes(Life.GONE, now_ms, "fell silent before it had joined")
        case Life.ACTIVE if verdict.away:
            return member.becomes(Life.UNREACHABLE, now_ms, verdict.away)
        case Life.UNREACHABLE if scene.holds(key):
            return member.becomes(Life.ACTIVE, now_ms, "is back and has caught up")
        case Life.UNREACHABLE if now_ms - member.since_ms > policy.unreachable_ms and verdict.away:
            return member.becomes(Life.GONE, now_ms, "was unreachable for too long")
    return member


def _forgotten(member: Member, scene: Scene) -> bool:
    """Tell whether nothing needs to be kept of a member; who was drained is kept, for he shall not come back."""
    old = scene.now_ms - member.since_ms > scene.policy.unreachable_ms
    return member.life is Life.GONE and not member.drained and old


def _admit(lives: Roster, scene: Scene) -> dict[bytes, Member]:
    """Let announced nodes join; before the first directory, wait until enough are there."""
    announced = [member for member in lives.values() if member.life is Life.ANNOUNCED]
    if scene.current is None and announced and len(announced) < scene.policy.first_nodes:
        waited_ms = scene.now_ms - min(member.since_ms for member in announced)
        if waited_ms < scene.policy.first_wait_ms:
            return dict(lives)
    return {
        key: member.becomes(Life.JOINING, scene.now_ms, "catches up") if member.life is Life.ANNOUNCED else member
        for key, member in lives.items()
    }


def _seat(member: Member, placement: Placement, now_ms: int) -> Member:
    """Let a member's life follow its place: who serves is active, who has no swarm to serve yet is joining."""
    serves = placement.serving.get(member.node.key, INVALID_SWARM) != INVALID_SWARM
    if member.life is Life.JOINING and serves:
        return member.becomes(Life.ACTIVE, now_ms, "has caught up")
    if member.life is Life.ACTIVE and not serves:
        return member.becomes(Life.JOINING, now_ms, "moves to another swarm and catches up")
    return member


def _release(member: Member, lives: Roster, placement: Placement, scene: Scene) -> Member:
    """Let a draining node go once the directory says so and the others hold everything without it."""
    if member.life is not Life.DRAINING:
        return member
    key = member.node.key
    shown, swarm = scene.shown(key), placement.serving[key]
    cordoned = shown is None or shown.state in {NodeState.DRAINING, NodeState.JOINING}
    if cordoned and (swarm == INVALID_SWARM or _held_without(swarm, lives, placement, scene)):
        return replace(member.becomes(Life.GONE, scene.now_ms, "was drained"), drained=True)
    return member


def _held_without(swarm: int, lives: Roster, placement: Placement, scene: Scene) -> bool:
    """Tell whether the staying members of a swarm hold everything, as of the current directory, and are enough."""
    planned = [key for key, target in placement.target.items() if target == swarm]
    present = [
        key
        for key in planned
        if lives[key].life is Life.ACTIVE and placement.serving[key] == swarm and scene.verdicts[key].well
    ]
    enough = len(present) >= min(scene.policy.sizes.minimum, len(planned)) > 0
    return enough and all(scene.holds(key) for key in present)


def _shown(member: Member, placement: Placement) -> Node:
    key = member.node.key
    serving = placement.serving[key]
    target = placement.target.get(key, serving)
    moves = target != serving
    return replace(
        member.node,
        state=SHOWN[member.life],
        swarm_id=serving,
        next_swarm_id=target if moves else INVALID_SWARM,
    )


def _directory(nodes: tuple[Node, ...], keys: SigningKeys, scene: Scene) -> Directory | None:
    """Return the next directory if there is something new to say, or the current one is getting old."""
    current, policy, now_ms = scene.current, scene.policy, scene.now_ms
    grade = earned_grade(policy.grade, (node for node in nodes if node.state is SHOWN[Life.ACTIVE]))
    if current is None and not nodes:
        return None
    if current is not None:
        said = (current.nodes, current.grade, current.simulated)
        due = now_ms - current.issued_ms >= policy.sign_again_ms or current.epoch < keys.first_epoch
        if said == (nodes, grade, policy.simulated) and not due:
            return None
    return Directory(
        network_id=keys.network_id,
        grade=grade,
        epoch=max(current.epoch + 1 if current else 1, keys.first_epoch),
        issued_ms=now_ms,
        expires_ms=min(now_ms + VALIDITY_MS, keys.expires_ms),
        previous=current.digest if current else b"",
        nodes=nodes,
        simulated=policy.simulated,
    )


def _first_waits(lives: Roster, scene: Scene) -> tuple[str, ...]:
    wanted = scene.policy.first_nodes
    announced = sum(member.life is Life.ANNOUNCED for member in lives.values())
    if scene.current is None and announced:
        return (f"the first directory waits for {wanted} nodes; {announced} have announced themselves",)
    return ()
