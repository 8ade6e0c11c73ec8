"""The operator's own scaling at work: asks the nodes what they do, decides, and resizes the pool as people would."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from operators.membership.domain.pool.observed import Observed, Wish
from operators.membership.domain.pool.reconcile import Plan
from operators.membership.domain.pool.scaling import Decision, Fleet, Movement, Reason, decide
from operators.membership.domain.pool.scaling_policy import ScalingPolicy, read_policy
from operators.membership.domain.pool.scaling_window import Window
from operators.membership.kube.cluster import NODE_POOLS, Cluster
from operators.membership.kube.node_metrics import MetricsPlace, NodeMetrics
from operators.membership.kube.observe import Scenery
from operators.membership.kube.settings import MembershipRules
from operators.membership.kube.telling import timestamp
from operators.membership.manifests.site import Manifest

log = logging.getLogger(__name__)

_SCRAPE_EVERY_MS: Final = 15_000


@dataclass(slots=True)
class _Pool:
    """What is remembered of one pool between two looks."""

    policy: ScalingPolicy
    window: Window
    scraped_ms: int = 0
    changed_ms: int | None = None


class Scaler:
    """Keeps pools that ask for it at the size that their load asks for.

    Args:
        cluster: where the pools are.
        rules: sizes of swarms.
        metrics: asks the nodes.
    """

    def __init__(self, cluster: Cluster, rules: MembershipRules, metrics: NodeMetrics) -> None:
        self._cluster = cluster
        self._sizes = rules.sizes
        self._metrics = metrics
        self._pools: dict[str, _Pool] = {}
        #: Pools that cannot grow though their load asks for it.
        self.at_maximum: set[str] = set()

    async def look(
        self, body: Manifest, observed: Observed, scenery: Scenery, plan: Plan, *, now_ms: int
    ) -> dict[str, Any] | None:
        """Scale one pool if that is asked for; return its ``status.autoscaling``, or ``None`` if it is not.

        Raises:
            ValueError: the wishes exclude each other; the text says how.
            KubeError: the API server does not answer, or refuses.
        """
        name = observed.pool.name
        policy = read_policy(observed.pool, self._sizes)
        if policy is None or observed.pool.paused:
            self._pools.pop(name, None)
            self.at_maximum.discard(name)
            return None
        before = (body.get("status") or {}).get("autoscaling") or {}
        known = self._remembered(name, policy, before)
        if now_ms - known.scraped_ms >= _SCRAPE_EVERY_MS:
            known.scraped_ms = now_ms
            await self._measure(known, observed, scenery, plan, now_ms)
        decision = decide(policy, fleet(observed, plan), known.window, known.changed_ms, now_ms)
        bound = decision.reason in {Reason.AT_MAXIMUM, Reason.SPLIT_BEYOND_MAXIMUM}
        (self.at_maximum.add if bound else self.at_maximum.discard)(name)
        if decision.replicas != observed.pool.replicas:
            await self._resize(body, decision)
            known.changed_ms = now_ms
        return _status(decision, known.changed_ms)

    def _remembered(self, name: str, policy: ScalingPolicy, before: dict[str, Any]) -> _Pool:
        known = self._pools.get(name)
        if known is None:
            last = before.get("lastScaleTime")
            known = _Pool(policy, Window.over(policy.stabilization_ms), changed_ms=_ms(last) if last else None)
        elif known.policy.stabilization_ms != policy.stabilization_ms:
            known.window = Window.over(policy.stabilization_ms)
        known.policy = policy
        self._pools[name] = known
        return known

    async def _measure(self, known: _Pool, observed: Observed, scenery: Scenery, plan: Plan, now_ms: int) -> None:
        if movement(observed, plan) is not None:
            known.window = known.window.emptied()
            return
        places = {
            name: MetricsPlace(ip)
            for name, pod in scenery.pods.items()
            if name in plan.nodes and (ip := (pod.get("status") or {}).get("podIP"))
        }
        scrape = await self._metrics.scrape(places)
        if scrape.failures:
            log.info("%d nodes gave no metrics: %s", len(scrape.failures), next(iter(scrape.failures.values())))
        known.window = known.window.observe(scrape.samples, now_ms)

    async def _resize(self, body: Manifest, decision: Decision) -> None:
        name, version = body["metadata"]["name"], body["metadata"]["resourceVersion"]
        log.info("the pool %s is brought to %d nodes: %s", name, decision.replicas, decision.message)
        await self._cluster.merge(
            NODE_POOLS, name, {"metadata": {"resourceVersion": version}, "spec": {"replicas": decision.replicas}}
        )


def fleet(observed: Observed, plan: Plan) -> Fleet:
    """Return a pool as the scaling policy looks at it."""
    staying = frozenset(name for name, node in plan.nodes.items() if node.wish is Wish.ACTIVE)
    directory = observed.directory
    listed = sum(members for _, members, _, _ in directory.swarms) if directory else 0
    own = sum(node.member is not None and bool(node.member.swarm) for node in observed.nodes.values())
    return Fleet(
        observed.pool.replicas,
        staying,
        len(directory.swarms) if directory else 0,
        max(listed - own, 0),
        movement(observed, plan),
    )


def movement(observed: Observed, plan: Plan) -> Movement | None:
    """Return what is under way in a pool; ``None`` while it is at rest."""
    staying = [name for name, node in plan.nodes.items() if node.wish is Wish.ACTIVE]
    nodes = [observed.nodes[name] for name in plan.nodes if name in observed.nodes]
    if len(staying) < len(plan.nodes):
        return Movement.DRAIN
    if len(staying) != observed.pool.replicas or len(nodes) != len(plan.nodes):
        return Movement.RESIZE
    if any(not node.current for node in nodes):
        return Movement.ROLL
    if any(node.member is None or not node.member.holds for node in nodes):
        return Movement.JOIN
    if observed.directory is None or observed.directory.waits:
        return Movement.SWARMS
    return None


def _status(decision: Decision, changed_ms: int | None) -> dict[str, Any]:
    status: dict[str, Any] = {
        "desiredReplicas": decision.desired,
        "reason": decision.reason.value,
        "metrics": decision.measured.as_status(),
    }
    if changed_ms is not None:
        status["lastScaleTime"] = timestamp(changed_ms)
    return status


def _ms(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)
