"""Doing what a plan says: each object is brought to what it should be, and nothing is written that says so already."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field

from operators.membership.domain.errors import MembershipError
from operators.membership.domain.pool.observed import Observed
from operators.membership.domain.pool.reconcile import NodePlan, Plan
from operators.membership.domain.pool.register import Register
from operators.membership.domain.pool.spec import PoolSpec
from operators.membership.kube.cluster import (
    BUDGETS,
    PODS,
    SERVICE_NODES,
    SERVICES,
    STATEFUL_SETS,
    VOLUME_CLAIMS,
    Cluster,
    Kind,
)
from operators.membership.kube.errors import ClusterAway, Conflict, KubeError
from operators.membership.kube.node_secrets import NodeSecrets
from operators.membership.kube.observe import Scenery, place_of, without_claims
from operators.membership.kube.registers import Registers
from operators.membership.manifests import node as objects
from operators.membership.manifests.covers import covers, says
from operators.membership.manifests.patches import change, growth
from operators.membership.manifests.site import Manifest, Site, budget_of
from operators.membership.manifests.swarm_budget import budget

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Deeds:
    """What came of a plan.

    Attributes:
        writes: objects made, changed or removed.
        problems: what went wrong, by node (or the pool's name); the rest was done.
    """

    writes: int = 0
    problems: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Work:
    """One plan being carried out; the register grows on the way."""

    pool: PoolSpec
    register: Register
    scenery: Scenery
    now_s: int
    deeds: Deeds = field(default_factory=Deeds)


class Actor:
    """Carries plans out.

    Args:
        cluster: to write to.
        site: how things are called.
        secrets: of nodes.
        registers: where pools' registers lie.
    """

    def __init__(self, cluster: Cluster, site: Site, secrets: NodeSecrets, registers: Registers) -> None:
        self._cluster = cluster
        self._site = site
        self._secrets = secrets
        self._registers = registers

    async def carry_out(self, plan: Plan, observed: Observed, scenery: Scenery, *, now_s: int) -> Deeds:
        """Do what can be done now. A node that fails does not hold up the others; it is tried again next time.

        Raises:
            ClusterAway: the API server does not answer: nothing else would go better.
            KubeError: the register cannot be written, without which nothing may be done.
        """
        work = _Work(observed.pool, plan.register, scenery, now_s)
        deeds = work.deeds
        if plan.paused:
            return deeds
        if plan.register != observed.register:
            await self._registers.write(observed.pool.name, plan.register)
            deeds.writes += 1
        for name, node in plan.nodes.items():
            await self._guarded(name, self._node(name, node, work), deeds)
        for name in plan.retired:
            await self._guarded(name, self._retire(name, deeds), deeds)
        for swarm, members in plan.budgets.items():
            manifest = budget(self._site, observed.pool, swarm, members)
            there = scenery.budgets.get(swarm)
            await self._guarded(observed.pool.name, self._bring(BUDGETS, manifest, there, deeds), deeds)
        for swarm in plan.unbudgeted:
            await self._guarded(
                observed.pool.name, self._remove(BUDGETS, budget_of(observed.pool.name, swarm), deeds), deeds
            )
        return deeds

    async def _guarded(self, name: str, work: Awaitable[object], deeds: Deeds) -> None:
        try:
            await work
        except ClusterAway:
            raise
        except Conflict as conflict:
            log.info("%s has changed meanwhile and is looked at again: %s", name, conflict)
        except (KubeError, MembershipError) as error:
            log.warning("%s: %s", name, error)
            deeds.problems[name] = str(error)

    async def _node(self, name: str, plan: NodePlan, work: _Work) -> None:
        """Bring one node's objects to what they should be."""
        pool, entry, deeds, scenery = work.pool, work.register.entries[name], work.deeds, work.scenery
        key = await self._secrets.obtain(name, entry.key, now_s=work.now_s)
        if not entry.key:
            work.register = work.register.keyed(name, key)
            await self._registers.write(pool.name, work.register)
            deeds.writes += 1
        wanted = objects.resource(self._site, pool, name, ordinal=entry.ordinal, key=key, wish=plan.wish)
        resource = await self._bring(SERVICE_NODES, wanted, scenery.resources.get(name), deeds)
        uid = resource["metadata"]["uid"]
        service = await self._bring_service(name, plan, work, uid)
        place = place_of(pool, entry.ordinal, service)
        if plan.renew and place is not None:
            stateful = objects.stateful_set(self._site, pool, name, ordinal=entry.ordinal, uid=uid, place=place)
            there = scenery.sets.get(name)
            await self._bring(STATEFUL_SETS, stateful if there is None else without_claims(stateful), there, deeds)
        await self._attend_pod(name, plan, scenery, deeds)
        await self._grow(scenery.claims.get(name), plan, pool, deeds)

    async def _bring_service(self, name: str, plan: NodePlan, work: _Work, uid: str) -> Manifest:
        """Bring a node's Service; by what addresses it is reached changes with the node, when that is renewed.

        All at once they would be gone for everybody, while the nodes still tell the old ones.
        """
        wanted = objects.service(self._site, work.pool, name, uid)
        there = work.scenery.services.get(name)
        if there is not None and not plan.renew:
            wanted = objects.as_exposed(wanted, there)
        return await self._bring(SERVICES, wanted, there, work.deeds)

    async def _attend_pod(self, name: str, plan: NodePlan, scenery: Scenery, deeds: Deeds) -> None:
        claim, pod = scenery.claims.get(name), scenery.pods.get(name)
        if plan.replace_volume and claim is not None:
            await self._remove(VOLUME_CLAIMS, claim["metadata"]["name"], deeds, uid=claim["metadata"]["uid"])
        if pod is None or "deletionTimestamp" in pod["metadata"]:
            return
        if plan.replace_pod:
            await self._remove(PODS, pod["metadata"]["name"], deeds, uid=pod["metadata"]["uid"])
        elif not covers(pod["metadata"].get("labels") or {}, plan.labels):
            await self._cluster.merge(PODS, pod["metadata"]["name"], {"metadata": {"labels": dict(plan.labels)}})
            deeds.writes += 1

    async def _grow(self, claim: Manifest | None, plan: NodePlan, pool: PoolSpec, deeds: Deeds) -> None:
        """Ask for a larger volume if the pool wants one; a StatefulSet's claims cannot be changed by itself."""
        if claim is None or plan.replace_volume or "deletionTimestamp" in claim["metadata"]:
            return
        if patch := growth(claim, pool.storage_size):
            await self._cluster.merge(VOLUME_CLAIMS, claim["metadata"]["name"], patch)
            deeds.writes += 1

    async def _retire(self, name: str, deeds: Deeds) -> None:
        """Take away what is not kept of a node: its resource, and with it Service, StatefulSet and pod; its user."""
        await self._secrets.forget(name)
        await self._remove(SERVICE_NODES, name, deeds)

    async def _bring(self, kind: Kind, wanted: Manifest, there: Manifest | None, deeds: Deeds) -> Manifest:
        """Return the object as it is after it was made or changed, if that was necessary."""
        if there is None:
            deeds.writes += 1
            return await self._cluster.create(kind, wanted)
        if says(there, wanted):
            return there
        deeds.writes += 1
        changed = await self._cluster.merge(kind, wanted["metadata"]["name"], change(there, wanted))
        if changed is None:
            raise Conflict(f"{wanted['metadata']['name']} is gone")
        return changed

    async def _remove(self, kind: Kind, name: str, deeds: Deeds, *, uid: str | None = None) -> None:
        await self._cluster.delete(kind, name, uid=uid)
        deeds.writes += 1
