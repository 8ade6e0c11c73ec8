"""What ``naisho cluster destroy`` takes for a release's own, and what keeps it from erasing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from operators.cluster.erasure import find_leftovers, still_installed
from operators.cluster.names import (
    CONFIG_MAP,
    DEPLOYMENT,
    LEASE,
    POD,
    SECRET,
    STATEFUL_SET,
    SURVIVING,
    VOLUME_CLAIM,
    Kind,
    Object,
    full_name,
    survives,
)
from tests.unit.cluster import network_objects as made

#: The rows of ADR 14's table that survive an uninstall, with R = prod-naisho, P = prod-naisho, N = 7.
TABLE: dict[Kind, list[str]] = {
    VOLUME_CLAIM: ["data-prod-naisho-nats-2", "data-prod-naisho-custodian-0", "data-prod-naisho-7-0"],
    SECRET: [
        *("prod-naisho-authority", "prod-naisho-mailbox", "prod-naisho-ca", "prod-naisho-nats-tls"),
        *("prod-naisho-nats-accounts", "prod-naisho-nats-auth", "prod-naisho-authority-nats"),
        *("prod-naisho-custodian-nats", "prod-naisho-7-keys", "prod-naisho-7-nats"),
    ],
    CONFIG_MAP: ["prod-naisho-network", "prod-naisho-register"],
    LEASE: ["prod-naisho-operator"],
}


def unlabelled(name: str) -> Object:
    return {"metadata": {"name": name, "uid": name}}


def labelled(name: str, release: str = made.RELEASE) -> Object:
    return {"metadata": {"name": name, "uid": name, "labels": made.labels("node", release)}}


@pytest.mark.parametrize("label", [labelled, unlabelled], ids=["by label", "by name"])
def test_every_row_of_the_table_is_erased(label: Callable[[str], Object]) -> None:
    left = find_leftovers(made.RELEASE, {kind: [label(name) for name in names] for kind, names in TABLE.items()})
    assert [(one.kind, one.describe()["name"]) for one in left.doomed] == [
        (kind, name) for kind in SURVIVING for name in sorted(TABLE[kind])
    ]
    assert not left.kept
    assert not left.other_releases


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (SECRET, "prod-naisho-7-keys-backup"),
        (SECRET, "database-password"),
        (SECRET, "prod-authority"),
        (SECRET, "other-naisho-authority"),
        (CONFIG_MAP, "prod-naisho-operator"),
        (CONFIG_MAP, "kube-root-ca.crt"),
        (VOLUME_CLAIM, "data-prod-naisho-postgres-0"),
        (VOLUME_CLAIM, "data-prod-naisho-x-7-0"),
    ],
)
def test_what_carries_no_label_and_another_name_is_nobodys_business(kind: Kind, name: str) -> None:
    left = find_leftovers(made.RELEASE, {kind: [unlabelled(name)]})
    assert not left.doomed
    assert not left.kept


def test_what_carries_our_label_and_is_not_in_the_table_stays_and_is_named() -> None:
    left = find_leftovers(made.RELEASE, {SECRET: [labelled("prod-naisho-something-else")]})
    assert left.doomed == []
    assert [str(one) for one in left.kept] == ["Secret prod-naisho-something-else"]


def test_another_releases_objects_stay_even_under_our_names() -> None:
    left = find_leftovers(made.RELEASE, {SECRET: [labelled("prod-naisho-authority", "other")]})
    assert (left.doomed, left.kept, left.other_releases) == ([], [], ["other"])


def test_another_programs_objects_stay_even_under_our_label() -> None:
    foreign = labelled("prod-naisho-authority")
    foreign["metadata"]["labels"]["app.kubernetes.io/name"] = "postgres"
    left = find_leftovers(made.RELEASE, {SECRET: [foreign]})
    assert left.doomed == []


def test_a_pool_of_another_name_is_found_by_its_label() -> None:
    left = find_leftovers(made.RELEASE, {SECRET: [labelled("europe-3-keys")]})
    assert [str(one) for one in left.doomed] == ["Secret europe-3-keys"]


def test_the_chart_names_itself_as_charts_do() -> None:
    assert [full_name(release) for release in ("naisho", "prod", "my-naisho-2")] == [
        "naisho",
        "prod-naisho",
        "my-naisho-2",
    ]
    assert not survives(SECRET, "")


def helm_record(version: int, status: str, name: str = made.RELEASE) -> Object:
    labels = {"owner": "helm", "name": name, "version": str(version), "status": status}
    return {"metadata": {"name": f"sh.helm.release.v1.{name}.v{version}", "labels": labels}}


@pytest.mark.parametrize(
    ("pools", "workloads", "records", "expected"),
    [
        ([], {}, [], []),
        ([made.pool()], {}, [], ["NodePool prod-naisho"]),
        ([{"metadata": {"name": "whose"}}], {}, [], ["NodePool whose"]),
        ([{"metadata": {"name": "theirs", "labels": made.labels("node", "other")}}], {}, [], []),
        ([], {DEPLOYMENT: [labelled("prod-naisho-operator")]}, [], ["Deployment prod-naisho-operator"]),
        ([], {STATEFUL_SET: [labelled("a")], POD: [labelled("b", "other")]}, [], ["StatefulSet a"]),
        ([], {}, [helm_record(1, "superseded"), helm_record(2, "deployed")], ["Helm release prod (deployed)"]),
        ([], {}, [helm_record(1, "failed")], ["Helm release prod (failed)"]),
        ([], {}, [helm_record(9, "superseded"), helm_record(10, "uninstalled")], []),
        ([], {}, [helm_record(1, "deployed", "other")], []),
    ],
)
def test_a_release_that_is_there_is_noticed(
    pools: list[Object], workloads: dict[Kind, list[Object]], records: list[Object], expected: list[str]
) -> None:
    assert still_installed(made.RELEASE, pools, workloads, records) == expected
