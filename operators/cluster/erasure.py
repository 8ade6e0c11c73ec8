"""What ``naisho cluster destroy`` erases, and what must be gone before. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from operators.cluster.names import (
    APP,
    INSTANCE_LABEL,
    NAME_LABEL,
    SURVIVING,
    Kind,
    Object,
    full_name,
    labels_of,
    name_of,
    survives,
)


class Doomed(NamedTuple):
    """One object to erase."""

    kind: Kind
    thing: Object

    def __str__(self) -> str:
        return f"{self.kind.name} {name_of(self.thing)}"

    def describe(self) -> dict[str, str]:
        """Return it as JSON values."""
        return {"kind": self.kind.name, "name": name_of(self.thing)}


class Leftovers(NamedTuple):
    """What a release has left behind.

    Attributes:
        doomed: what the contract says survives an uninstall; to be erased, in this order.
        kept: objects of the release that the contract does not name; somebody else made them, and they stay.
        other_releases: releases of ours whose leftovers lie in the same namespace.

    """

    doomed: list[Doomed]
    kept: list[Doomed]
    other_releases: list[str]


def find_leftovers(release: str, found: Mapping[Kind, Iterable[Object]]) -> Leftovers:
    """Sort what was found in the namespace.

    An object belongs to the release by its label, or, if it has no such label (a claim that a StatefulSet made, a
    certificate that cert-manager made), by its name. One that carries another release's label is never ours.
    """
    doomed: list[Doomed] = []
    kept: list[Doomed] = []
    others: set[str] = set()
    for kind in SURVIVING:
        for thing in sorted(found.get(kind, ()), key=name_of):
            instance = labels_of(thing).get(INSTANCE_LABEL)
            ours = labels_of(thing).get(NAME_LABEL) == APP
            if instance is None:
                if survives(kind, name_of(thing), full_name(release)):
                    doomed.append(Doomed(kind, thing))
            elif ours and instance == release:
                (doomed if survives(kind, name_of(thing)) else kept).append(Doomed(kind, thing))
            elif ours:
                others.add(instance)
    return Leftovers(doomed, kept, sorted(others))


def still_installed(
    release: str,
    pools: Sequence[Object],
    workloads: Mapping[Kind, Iterable[Object]],
    helm_records: Iterable[Object],
) -> list[str]:
    """Return what shows that a release is not uninstalled, as ``Kind name``; empty if nothing does.

    Args:
        release: the release's name.
        pools: all NodePools of the namespace. One that names no release might be this one's, so it counts.
        workloads: Deployments, StatefulSets and pods of the namespace by kind.
        helm_records: the Secrets in which Helm keeps releases.
    """
    shown = [f"NodePool {name_of(pool)}" for pool in pools if _may_be_of(pool, release)]
    for kind, things in workloads.items():
        shown += [f"{kind.name} {name_of(t)}" for t in things if _is_of(t, release)]
    status = _helm_status(release, helm_records)
    return [*shown, f"Helm release {release} ({status})"] if status not in (None, "uninstalled") else shown


def _helm_status(release: str, records: Iterable[Object]) -> str | None:
    """Return what Helm's newest record says of a release; older ones keep the status that they had."""
    mine = [
        labels for labels in map(labels_of, records) if (labels.get("owner"), labels.get("name")) == ("helm", release)
    ]
    newest = max(mine, key=lambda labels: int(labels.get("version", 0)), default=None)
    return None if newest is None else newest.get("status", "unknown")


def _is_of(thing: Object, release: str) -> bool:
    labels = labels_of(thing)
    return labels.get(NAME_LABEL) == APP and labels.get(INSTANCE_LABEL) == release


def _may_be_of(pool: Object, release: str) -> bool:
    return labels_of(pool).get(INSTANCE_LABEL, release) == release or name_of(pool) == full_name(release)
