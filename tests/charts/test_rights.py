"""The operator's rights end at its namespace, and reach no Secret that it does not know by name."""

from __future__ import annotations

from collections.abc import Iterator

from tests.charts.rendering import CHART, NAMESPACE, Manifest, Rendering


def test_no_rights_reach_beyond_the_namespace(rendering: Rendering) -> None:
    for binding in rendering.of_kind("RoleBinding"):
        assert binding["roleRef"]["kind"] == "Role"
        assert [subject["namespace"] for subject in binding["subjects"]] == [NAMESPACE]
    assert rendering.of_kind("ClusterRoleBinding") == []


def test_the_role_is_bound_to_the_operators_account(rendering: Rendering) -> None:
    accounts = {load.spec["serviceAccountName"] for load in rendering.workloads() if load.component == "operator"}
    for binding in rendering.of_kind("RoleBinding"):
        assert {subject["name"] for subject in binding["subjects"]} == accounts
        assert any(role["metadata"]["name"] == binding["roleRef"]["name"] for role in rendering.of_kind("Role"))


def test_nothing_is_granted_by_a_star(rendering: Rendering) -> None:
    for rule in _rules(rendering):
        for part in ("apiGroups", "resources", "verbs"):
            assert "*" not in rule[part]


def test_secrets_are_never_listed(rendering: Rendering) -> None:
    for rule in _rules(rendering):
        if {"secrets", "configmaps"} & set(rule["resources"]):
            assert set(rule["verbs"]) <= {"get", "create", "patch", "delete"}


def test_no_right_leads_to_another(rendering: Rendering) -> None:
    """Rights to make pods, tokens or roles, or to run something in a pod, are rights to everything."""
    for rule in _rules(rendering):
        assert not {"roles", "rolebindings", "serviceaccounts", "pods/exec", "deployments"} & set(rule["resources"])
        assert not {"escalate", "bind", "impersonate"} & set(rule["verbs"])
        if "pods" in rule["resources"]:
            assert "create" not in rule["verbs"]


def test_only_its_own_lease_is_taken(rendering: Rendering) -> None:
    for rule in _rules(rendering):
        if "leases" in rule["resources"] and rule["verbs"] != ["create"]:
            assert rule["resourceNames"] == [f"{rendering.full_name}-operator"]


def test_what_people_get_is_for_our_resources(rendering: Rendering) -> None:
    verbs = {}
    for role in rendering.of_kind("ClusterRole"):
        kind = role["metadata"]["name"].rpartition("-")[2]
        assert role["metadata"]["labels"][f"rbac.authorization.k8s.io/aggregate-to-{kind}"] == "true"
        assert all(rule["apiGroups"] == ["naisho.dev"] for rule in role["rules"])
        assert all("status" not in name for rule in role["rules"] for name in rule["resources"] if kind == "edit")
        verbs[kind] = {verb for rule in role["rules"] for verb in rule["verbs"]}
    if verbs:
        assert verbs["view"] == {"get", "list", "watch"}
        assert verbs["edit"] == {"create", "delete", "deletecollection", "patch", "update"}


def test_the_role_stands_in_two_blocks() -> None:
    text = (CHART / "templates" / "operator" / "rights.yaml").read_text(encoding="utf-8")
    assert text.index("# -- framework:") < text.index("# -- application:")


def _rules(rendering: Rendering) -> Iterator[Manifest]:
    for role in rendering.of_kind("Role"):
        yield from role["rules"]
