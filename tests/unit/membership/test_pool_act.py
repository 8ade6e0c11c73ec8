"""Plans carried out against a cluster that keeps objects in memory: what is written, and what is not."""

from __future__ import annotations

import copy
from typing import Any, cast

from operators.membership.domain.pool.observed import Observed
from operators.membership.domain.pool.reconcile import Plan, reconcile
from operators.membership.domain.pool.register import Register
from operators.membership.domain.pool.spec import PoolSpec
from operators.membership.kube.act import Actor, Deeds
from operators.membership.kube.cluster import VOLUME_CLAIMS, Cluster, Kind
from operators.membership.kube.errors import Refused
from operators.membership.kube.node_secrets import NodeSecrets
from operators.membership.kube.observe import Scenery, see
from operators.membership.kube.registers import Registers
from operators.membership.manifests.site import NODE, Manifest, Site

SITE = Site("r", "r", "ns", "img:1", nats_servers=("tls://n:4222",))
KEY = "ab" * 32


class Shelf:
    """Objects by kind and node; it takes the part of ``Cluster``, ``NodeSecrets`` and ``Registers``."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Manifest]] = {}
        self.calls: list[tuple[str, str, Any]] = []
        self.refused: set[str] = set()

    async def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        made = copy.deepcopy(manifest)
        made["metadata"] |= {"uid": f"uid-{len(self.calls)}", "resourceVersion": "1"}
        if kind.plural == "services":
            made["spec"]["clusterIP"] = "10.0.0.1"
        self.kept.setdefault(kind.plural, {})[made["metadata"]["labels"][NODE]] = made
        self.calls.append(("create", kind.plural, None))
        return made

    async def merge(self, kind: Kind, name: str, patch: Manifest, *, subresource: str = "") -> Manifest:
        assert not subresource
        self.calls.append(("patch", kind.plural, patch))
        if kind.plural in self.refused:
            raise Refused(f"{name} cannot grow")
        (there,) = (kept for kept in self.kept[kind.plural].values() if kept["metadata"]["name"] == name)
        return {**there, **patch, "metadata": {**there["metadata"], **patch["metadata"]}}

    async def obtain(self, node: str, known_key: str, *, now_s: int) -> str:
        assert node
        assert now_s
        return known_key or KEY

    async def write(self, pool: str, register: Register) -> None:
        assert pool
        self.calls.append(("write", "register", register))

    def scenery(self) -> Scenery:
        kinds = {
            "resources": "servicenodes",
            "services": "services",
            "sets": "statefulsets",
            "claims": VOLUME_CLAIMS.plural,
        }
        return Scenery(**{part: self.kept.get(plural, {}) for part, plural in kinds.items()})

    def take_calls(self) -> list[tuple[str, str, Any]]:
        calls, self.calls = self.calls, []
        return calls


def observed(shelf: Shelf, pool: PoolSpec, register: Register) -> Observed:
    scenery = shelf.scenery()
    nodes = {name: see(SITE, pool, name, entry, scenery, now_ms=1) for name, entry in register.entries.items()}
    return Observed(pool, register, nodes, authority=True)


async def carry_out(shelf: Shelf, pool: PoolSpec, register: Register) -> tuple[Plan, Deeds]:
    seen = observed(shelf, pool, register)
    plan = reconcile(seen)
    actor = Actor(cast("Cluster", shelf), SITE, cast("NodeSecrets", shelf), cast("Registers", shelf))
    return plan, await actor.carry_out(plan, seen, shelf.scenery(), now_s=1)


async def settled(pool: PoolSpec) -> tuple[Shelf, Register]:
    """Return a shelf with all of a pool's objects, and its register."""
    shelf = Shelf()
    await carry_out(shelf, pool, Register())
    registers = [register for verb, _, register in shelf.take_calls() if verb == "write"]
    for name in registers[-1].entries:
        shelf.kept.setdefault(VOLUME_CLAIMS.plural, {})[name] = {
            "metadata": {"name": f"data-{name}-0", "uid": "c", "resourceVersion": "5"},
            "spec": {"resources": {"requests": {"storage": pool.storage_size}}},
            "status": {"phase": "Bound"},
        }
    return shelf, registers[-1]


POOL = PoolSpec("p", uid="u", replicas=3, storage_size="10Gi")
LARGER = PoolSpec("p", uid="u", replicas=3, storage_size="20Gi")


async def test_a_pool_is_made_and_then_left_alone() -> None:
    shelf, register = await settled(POOL)
    assert {kind: len(kept) for kind, kept in shelf.kept.items()} == {
        "servicenodes": 3,
        "services": 3,
        "statefulsets": 3,
        "persistentvolumeclaims": 3,
    }
    assert [entry.key for entry in register.entries.values()] == [KEY] * 3
    _, deeds = await carry_out(shelf, POOL, register)
    assert (deeds.writes, deeds.problems, shelf.take_calls()) == (0, {}, [])


async def test_volumes_grow_with_the_pool() -> None:
    shelf, register = await settled(POOL)
    await carry_out(shelf, LARGER, register)
    patches = shelf.take_calls()
    assert [kind for _, kind, _ in patches] == ["servicenodes", "persistentvolumeclaims"] * 3
    assert patches[1][2] == {
        "metadata": {"resourceVersion": "5"},
        "spec": {"resources": {"requests": {"storage": "20Gi"}}},
    }


async def test_a_volume_that_cannot_grow_holds_up_nobody() -> None:
    shelf, register = await settled(POOL)
    shelf.refused = {VOLUME_CLAIMS.plural}
    _, deeds = await carry_out(shelf, LARGER, register)
    assert deeds.problems == {f"p-{n}": f"data-p-{n}-0 cannot grow" for n in range(3)}


async def test_volumes_never_shrink() -> None:
    shelf, register = await settled(LARGER)
    await carry_out(shelf, POOL, register)
    assert {kind for _, kind, _ in shelf.take_calls()} == {"servicenodes"}


async def test_a_paused_pool_is_not_written_to() -> None:
    shelf, register = await settled(POOL)
    paused = PoolSpec("p", uid="u", replicas=5, storage_size="20Gi", image="other", paused=True)
    plan, deeds = await carry_out(shelf, paused, register)
    assert set(plan.nodes) == set(register.entries)
    assert (deeds.writes, shelf.take_calls()) == (0, [])
