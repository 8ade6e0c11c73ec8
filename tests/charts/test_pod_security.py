"""All pods pass the restricted profile of Kubernetes, and only the operator's holds a token."""

from __future__ import annotations

from tests.charts.rendering import Rendering

_VOLUMES = {"configMap", "secret", "projected", "emptyDir", "downwardAPI", "persistentVolumeClaim"}


def test_pods_are_nobody(rendering: Rendering) -> None:
    for load in rendering.workloads():
        context = load.spec["securityContext"]
        assert context["runAsNonRoot"] is True, load.name
        assert context["runAsUser"] == context["runAsGroup"] == context["fsGroup"] == 10001
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        for forbidden in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
            assert not load.spec.get(forbidden)


def test_containers_have_no_way_up(rendering: Rendering) -> None:
    for load in rendering.workloads():
        for container in load.containers:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, load.name
            assert context["readOnlyRootFilesystem"] is True
            assert context["runAsNonRoot"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert not context.get("privileged")
            assert not any("hostPort" in port for port in container.get("ports", []))


def test_volumes_are_of_harmless_kinds(rendering: Rendering) -> None:
    for load in rendering.workloads():
        for volume in load.spec.get("volumes", []):
            assert volume.keys() - {"name"} <= _VOLUMES, load.name


def test_only_the_operator_has_a_token(rendering: Rendering) -> None:
    for load in rendering.workloads():
        is_operator = load.component == "operator"
        assert load.spec["automountServiceAccountToken"] is is_operator, load.name
        assert ("serviceAccountName" in load.spec) is is_operator
    for account in rendering.of_kind("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


def test_no_variables_are_made_of_service_names(rendering: Rendering) -> None:
    for load in rendering.workloads():
        assert load.spec["enableServiceLinks"] is False, load.name
