"""One turn: look at everything, decide, do, tell. A turn can be repeated at any time and does harm to nobody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from operators.membership.authority import Authority
from operators.membership.domain.errors import DrainRefused, UnknownNode
from operators.membership.domain.pool.acceptance import ACCEPTED, accepted
from operators.membership.domain.pool.node_status import node_status
from operators.membership.domain.pool.observed import Observed
from operators.membership.domain.pool.pool_status import pool_status
from operators.membership.domain.pool.population import Resized
from operators.membership.domain.pool.reconcile import Plan, reconcile
from operators.membership.domain.pool.rollout import disturbed
from operators.membership.domain.pool.spec import NOT_REPLACED, PoolSpec, read_pool
from operators.membership.kube.act import Actor, Deeds
from operators.membership.kube.authority_host import AuthorityHost
from operators.membership.kube.cluster import NODE_POOLS, SERVICE_NODES, Cluster
from operators.membership.kube.errors import Conflict
from operators.membership.kube.hearsay import Hearsay
from operators.membership.kube.members import members, policy, seen_directory
from operators.membership.kube.observe import Scenery, cluster_ip, look, see
from operators.membership.kube.registers import Registers
from operators.membership.kube.scaler import Scaler
from operators.membership.kube.settings import MembershipRules
from operators.membership.kube.telling import Teller, timestamp
from operators.membership.manifests.site import POOL, Manifest, Site
from operators.membership.manifests.swarm_budget import counted
from services.chassis.clock import Clock

log = logging.getLogger(__name__)

#: How long the authority may take to record a drain.
_ANSWER_WITHIN_S: Final = 10.0


@dataclass(slots=True)
class Turn:
    """What came of one turn.

    Attributes:
        pools: how many there are; 1 before the first look.
        writes: objects made, changed or removed, statuses and events included.
        problems: nodes that something could not be done for.
        unsettled: something is under way, so that the next look should come soon.
        nodes: phases of all nodes.
        draining: nodes that leave.
        paused: pools that are only watched.
        refused: drains that the authority refused.
    """

    pools: int = 1
    writes: int = 0
    problems: int = 0
    unsettled: bool = False
    nodes: list[str] = field(default_factory=list)
    draining: int = 0
    paused: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class _Pool:
    """One pool in one turn."""

    body: Manifest
    observed: Observed
    scenery: Scenery
    places: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Done:
    """What came of a plan, for a pool's status."""

    deeds: Deeds
    #: Why the authority lets nodes not go, by name.
    refusals: Mapping[str, str]
    autoscaling: dict[str, Any] | None


class Reconciler:
    """Brings the pools of a namespace to what people want.

    Args:
        cluster: where they are.
        site: how things are called.
        actor: carries plans out.
        registers: where pools' registers lie.
        host: of the membership authority.
        rules: that the authority goes by.
        scaler: of pools that ask for it.
        clock: the time.
    """

    def __init__(
        self,
        cluster: Cluster,
        site: Site,
        *,
        actor: Actor,
        registers: Registers,
        host: AuthorityHost,
        rules: MembershipRules,
        scaler: Scaler,
        clock: Clock,
    ) -> None:
        self._cluster = cluster
        self._site = site
        self._actor = actor
        self._registers = registers
        self._host = host
        self._rules = rules
        self._scaler = scaler
        self._clock = clock
        self._teller = Teller(cluster)
        self._hearsay = Hearsay(clock, rules.missed)

    async def turn(self) -> Turn:
        """Look once and do what is to be done.

        Raises:
            KubeError: the API server does not answer, or refuses what nothing can be done without.
            DamagedRegister: a pool's register cannot be read.
        """
        bodies = await self._cluster.list(NODE_POOLS)
        pools = [await self._observe(body) for body in bodies if "deletionTimestamp" not in body["metadata"]]
        turn = Turn(len(pools))
        if pools:
            self._host.go_by(policy(self._rules, [(pool.observed, pool.places) for pool in pools]))
        unwell = [disturbed(pool.observed.nodes.values()) for pool in pools]
        for number, pool in enumerate(pools):
            others = frozenset().union(*unwell[:number], *unwell[number + 1 :])
            unwell[number] = await self._bring(replace(pool, observed=replace(pool.observed, elsewhere=others)), turn)
        return turn

    async def _observe(self, body: Manifest) -> _Pool:
        wish, now_ms = accepted(body), self._clock.now_ms()
        spec = read_pool(wish.body)
        if wish.annotation is not None:
            body = await self._note_accepted(body, wish.annotation)
        register = await self._registers.read(spec.name)
        scenery = await look(self._cluster, spec.name)
        authority = self._host.authority
        known = members(authority) if authority is not None else {}
        directory = seen_directory(authority) if authority is not None else None
        self._hearsay.take(authority, known, directory)
        nodes = {
            name: replace(see(self._site, spec, name, entry, scenery, now_ms=now_ms), member=known.get(entry.key))
            for name, entry in register.entries.items()
        }
        observed = Observed(
            spec,
            register,
            nodes,
            budgets={swarm: counted(budget) for swarm, budget in scenery.budgets.items()},
            directory=directory,
            authority=authority is not None,
            broken=wish.problems,
        )
        places = {
            name: (node.address, ip)
            for name, node in nodes.items()
            if node.address and (ip := cluster_ip(scenery.services.get(name)))
        }
        return _Pool(body, observed, scenery, places)

    async def _note_accepted(self, body: Manifest, spec: str) -> Manifest:
        """Write down which of a pool's wishes is gone by, before it is; return the pool as it is then."""
        meta = body["metadata"]
        patch = {"metadata": {"resourceVersion": meta["resourceVersion"], "annotations": {ACCEPTED: spec}}}
        noted = await self._cluster.merge(NODE_POOLS, meta["name"], patch)
        if noted is None:
            raise Conflict(f"the pool {meta['name']} is gone")
        return noted

    async def _bring(self, pool: _Pool, turn: Turn) -> frozenset[str]:
        """Bring one pool to what is wanted; return the swarms that are disturbed by it."""
        observed = pool.observed
        plan = reconcile(observed)
        now_ms = self._clock.now_ms()
        deeds = await self._actor.carry_out(plan, observed, pool.scenery, now_s=now_ms // 1000)
        refusals = await self._ask_authority(plan, observed)
        if plan.resized is not None:
            await self._resize(pool.body, plan.resized)
        autoscaling = await self._scale(pool, plan, deeds, now_ms=now_ms)
        turn.writes += deeds.writes
        turn.refused += len(refusals)
        turn.paused += observed.pool.paused
        await self._tell(pool, plan, _Done(deeds, refusals, autoscaling), turn)
        turn.problems += len(deeds.problems)
        turn.unsettled |= bool(deeds.writes or refusals or deeds.problems)
        return plan.disturbed

    async def _ask_authority(self, plan: Plan, observed: Observed) -> dict[str, str]:
        """Ask for drains and dismissals; return why not, by node."""
        authority = self._host.authority
        if authority is None:
            return {}
        refusals: dict[str, str] = {}
        for name in plan.drains:
            key = bytes.fromhex(plan.register.entries[name].key)
            if refusal := await self._drain(authority, key, observed.pool):
                refusals[name] = refusal
        for name in plan.dismissals:
            await self._dismiss(authority, bytes.fromhex(plan.register.entries[name].key))
        return refusals

    async def _drain(self, authority: Authority, key: bytes, pool: PoolSpec) -> str:
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                await authority.drain(key, force=pool.allow_unsafe)
        except DrainRefused as refusal:
            return str(refusal)
        except (UnknownNode, TimeoutError):
            pass  # it is looked at again
        return ""

    async def _dismiss(self, authority: Authority, key: bytes) -> None:
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                await authority.dismiss(key)
        except (DrainRefused, UnknownNode, TimeoutError) as error:
            log.warning("a node that has left is still listed: %s", error)

    async def _resize(self, body: Manifest, resized: Resized) -> None:
        """Make a pool smaller by the nodes that leave without a replacement, and note which, so that each counts once.

        Raises:
            Conflict: somebody else has just changed the pool: it is looked at again.
        """
        meta = body["metadata"]
        noted = {
            "resourceVersion": meta["resourceVersion"],
            "annotations": {NOT_REPLACED: ",".join(resized.not_replaced)},
        }
        await self._cluster.merge(NODE_POOLS, meta["name"], {"metadata": noted, "spec": {"replicas": resized.replicas}})

    async def _scale(self, pool: _Pool, plan: Plan, deeds: Deeds, *, now_ms: int) -> dict[str, Any] | None:
        try:
            return await self._scaler.look(pool.body, pool.observed, pool.scenery, plan, now_ms=now_ms)
        except ValueError as problem:
            deeds.problems["autoscaling"] = str(problem)
        except Conflict:
            pass  # somebody else has just changed the pool: it is looked at again
        return None

    async def _tell(self, pool: _Pool, plan: Plan, done: _Done, turn: Turn) -> None:
        deeds, refusals = done.deeds, done.refusals
        observed, now_ms = self._hearsay.filled(pool.observed), self._clock.now_ms()
        now = timestamp(now_ms)
        epoch = observed.directory.epoch if observed.directory else 0
        for name, resource in pool.scenery.resources.items():
            node = observed.nodes.get(name)
            if node is None:
                continue
            before = resource.get("status") or {}
            if self._hearsay.leaves(before) or (
                before and not self._hearsay.knows(observed.register.entries[name].key)
            ):
                turn.nodes.append(before.get("phase", ""))
                continue
            status = node_status(
                node,
                plan.nodes.get(name),
                problem=deeds.problems.get(name, ""),
                epoch=epoch,
                before=before,
                generation=resource["metadata"].get("generation", 0),
                now=now,
                refusal=refusals.get(name, ""),
            )
            turn.nodes.append(status["phase"])
            turn.writes += await self._teller.tell(
                SERVICE_NODES, _typed("ServiceNode", resource), status, now_ms=now_ms
            )
        summary: dict[str, Any] = pool_status(
            observed,
            plan,
            refusal=next(iter(refusals.values()), ""),
            problems=deeds.problems,
            selector=f"{POOL}={observed.pool.name}",
            before=pool.body.get("status") or {},
            now=now,
        )
        summary["autoscaling"] = done.autoscaling
        turn.draining += summary["drainingReplicas"]
        if self._hearsay.leaves(pool.body.get("status")):
            return
        summary = self._hearsay.kept(summary)
        turn.writes += await self._teller.tell(NODE_POOLS, _typed("NodePool", pool.body), summary, now_ms=now_ms)


def _typed(kind: str, body: Manifest) -> Manifest:
    """Return an object with its kind, which items of a list do not say."""
    return {"kind": kind, **body}
