"""What a NodePool and a ServiceNode may say, and may become.

An API server since Kubernetes 1.29 checks most of it by the resource definitions. What would lose data or an identity
is checked here again, since older ones know no such rules; ids and answers are those of ``tests/crds/rules.yaml``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

from operators.membership.domain.pool.quantities import quantity
from operators.membership.domain.pool.reserved import is_reserved
from operators.membership.domain.pool.spec import FEWEST, PoolSpec

Body: TypeAlias = Mapping[str, Any]

_POOL_NAME: Final = re.compile(r"[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?", re.ASCII)
_ASKING: Final = ("naisho.dev/drain", "naisho.dev/skip-drain", "naisho.dev/no-replacement")
_DEFAULT: Final = PoolSpec(name="")
_LEAST_BY_DEFAULT: Final = 15


class Broken(NamedTuple):
    """A rule that an object breaks: its id, and the answer for people."""

    rule: str
    message: str


class Rule(NamedTuple):
    """One rule.

    Attributes:
        name: its id.
        keeps: tells of an object, or of what one becomes, whether that is allowed.
        message: the answer if not.
    """

    name: str
    keeps: Callable[..., bool]
    message: str


def broken_rules(kind: str, old: Body | None, new: Body) -> list[Broken]:
    """Return the rules that an object breaks, by itself or by what it was before.

    Args:
        kind: ``NodePool`` or ``ServiceNode``.
        old: the object as it was; ``None`` if it is a new one. Defaults need not be filled in.
        new: the object as it is.
    """
    alone = [rule for rule in _ALONE[kind] if not rule.keeps(new)]
    changed = [] if old is None else [rule for rule in _CHANGES[kind] if not rule.keeps(old, new)]
    return [Broken(rule.name, rule.message) for rule in alone + changed]


def _spec(body: Body) -> Body:
    return body.get("spec") or {}


def _part(body: Body, name: str) -> Body:
    return _spec(body).get(name) or {}


# Of a NodePool.


def _is_named_well(pool: Body) -> bool:
    return _POOL_NAME.fullmatch(pool["metadata"]["name"]) is not None


def _is_large_enough(pool: Body) -> bool:
    spec = _spec(pool)
    return bool(spec.get("replicas", _DEFAULT.replicas) >= FEWEST or spec.get("allowUnsafe", False))


def _has_a_limit(pool: Body) -> bool:
    scaling = _part(pool, "autoscaling")
    return not scaling.get("enabled") or scaling.get("maxReplicas") is not None


def _limits_are_in_order(pool: Body) -> bool:
    scaling = _part(pool, "autoscaling")
    most = scaling.get("maxReplicas")
    return bool(most is None or most >= scaling.get("minReplicas", _LEAST_BY_DEFAULT))


def _has_a_target(pool: Body) -> bool:
    scaling = _part(pool, "autoscaling")
    targets = scaling.get("targets") or {}
    named = ("storesPerSecond", "onionsPerSecond", "cpuPercent", "bytes")
    return not scaling.get("enabled") or any(targets.get(name) is not None for name in named)


def _leaves_settings_alone(pool: Body) -> bool:
    return not any(is_reserved(role, name) for role, names in _part(pool, "settings").items() for name in names or ())


def _pool_storage_grows(old: Body, new: Body) -> bool:
    return _grows(*(_part(body, "storage").get("size", _DEFAULT.storage_size) for body in (old, new)))


def _class_stays(old: Body, new: Body) -> bool:
    return bool(_part(old, "storage").get("className") == _part(new, "storage").get("className"))


def _grows(old: str | int, new: str | int) -> bool:
    """Tell whether a size is at least what it was. What is no quantity was never accepted, and is no growth."""
    before, after = quantity(str(old)), quantity(str(new))
    return after is not None and (before is None or after >= before)


# Of a ServiceNode.


def _is_called_by_its_place(node: Body) -> bool:
    spec = _spec(node)
    return bool(node["metadata"]["name"] == f"{spec.get('pool')}-{spec.get('ordinal')}")


def _asks_clearly(node: Body) -> bool:
    notes = node["metadata"].get("annotations") or {}
    return all(notes.get(name, "true") in {"true", "false"} for name in _ASKING)


def _phase(node: Body) -> str | None:
    return (node.get("status") or {}).get("phase")


def _desired(node: Body) -> str:
    return str(_spec(node).get("desired", "Active"))


def _stays_out(old: Body, new: Body) -> bool:
    return _phase(old) not in {"Drained", "Gone"} or _desired(old) == "Active" or _desired(new) != "Active"


def _goes_after_draining(old: Body, new: Body) -> bool:
    return _phase(old) != "Drained" or _phase(new) in {"Drained", "Gone"}


def _stays_gone(old: Body, new: Body) -> bool:
    return _phase(old) != "Gone" or _desired(old) == "Active" or _phase(new) == "Gone"


def _key_stays(old: Body, new: Body) -> bool:
    return _spec(old).get("key") in {None, _spec(new).get("key")}


def _pool_stays(old: Body, new: Body) -> bool:
    return bool(_spec(old).get("pool") == _spec(new).get("pool"))


def _ordinal_stays(old: Body, new: Body) -> bool:
    return bool(_spec(old).get("ordinal") == _spec(new).get("ordinal"))


def _going_is_final(old: Body, new: Body) -> bool:
    return _desired(old) != "Gone" or _desired(new) == "Gone"


def _node_storage_grows(old: Body, new: Body) -> bool:
    return _grows(_spec(old).get("storage", 0), _spec(new).get("storage", 0))


_SMALLER: Final = "storage only grows: a volume cannot be made smaller without losing what it holds"

_ALONE: Final[Mapping[str, tuple[Rule, ...]]] = MappingProxyType(
    {
        "NodePool": (
            Rule(
                "pool-name",
                _is_named_well,
                "a pool's name is 1 to 40 of a-z, 0-9 and inner hyphens, and begins with a letter: names of Services,"
                " pods and labels are made of it",
            ),
            Rule(
                "enough-replicas",
                _is_large_enough,
                "fewer than 3 nodes make no swarm that clients accept, and keep less than two copies; set allowUnsafe"
                " if that is meant",
            ),
            Rule("scaling-has-a-limit", _has_a_limit, "autoscaling needs maxReplicas: say how far it may go"),
            Rule(
                "scaling-limits-in-order",
                _limits_are_in_order,
                "maxReplicas is below minReplicas (15 where it is not given)",
            ),
            Rule(
                "scaling-has-a-target",
                _has_a_target,
                "autoscaling needs a target to scale by: one of storesPerSecond, onionsPerSecond, cpuPercent, bytes",
            ),
            Rule(
                "settings-leave-what-is-the-operators",
                _leaves_settings_alone,
                "addresses, keys and folders of nodes are the operator's to set, and the key period is the network's",
            ),
        ),
        "ServiceNode": (
            Rule(
                "node-name",
                _is_called_by_its_place,
                "a node's name is its pool's name, a hyphen and its ordinal: keys, volumes and addresses are found"
                " by it",
            ),
            Rule(
                "annotations-are-true-or-false",
                _asks_clearly,
                'naisho.dev/drain, naisho.dev/skip-drain and naisho.dev/no-replacement are "true" or "false";'
                " anything else asks for nothing",
            ),
        ),
    }
)

_CHANGES: Final[Mapping[str, tuple[Rule, ...]]] = MappingProxyType(
    {
        "NodePool": (
            Rule("pool-storage-grows", _pool_storage_grows, _SMALLER),
            Rule(
                "storage-class-stays",
                _class_stays,
                "the storage class of a pool does not change: its volumes exist already; make another pool and drain"
                " this one",
            ),
        ),
        "ServiceNode": (
            Rule(
                "left-stays-out",
                _stays_out,
                "a node that has left does not come back: its place is given away and its store is empty; raise the"
                " pool's replicas instead",
            ),
            Rule("drained-then-gone", _goes_after_draining, "after Drained comes nothing but Gone"),
            Rule("gone-stays-gone", _stays_gone, "a node that was told to leave and is Gone stays Gone"),
            Rule("key-stays", _key_stays, "a node's key does not change: it is the node's identity"),
            Rule("pool-stays", _pool_stays, "a node stays in its pool"),
            Rule("ordinal-stays", _ordinal_stays, "a node's ordinal does not change"),
            Rule("gone-is-final", _going_is_final, "Gone is final: the node's identity is never used again"),
            Rule("node-storage-grows", _node_storage_grows, _SMALLER),
        ),
    }
)
