"""No API that current clusters have removed, and nothing that a cluster of 1.20 (with policy/v1) would have to know."""

from __future__ import annotations

from typing import Final

from tests.charts.rendering import Rendering, leaves

_APIS: Final = {
    "Certificate": "cert-manager.io/v1",
    "ClusterRole": "rbac.authorization.k8s.io/v1",
    "ConfigMap": "v1",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
    "Deployment": "apps/v1",
    "Job": "batch/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "NodePool": "naisho.dev/v1alpha1",
    "Pod": "v1",
    "PodDisruptionBudget": "policy/v1",
    "PodMonitor": "monitoring.coreos.com/v1",
    "PrometheusRule": "monitoring.coreos.com/v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "Service": "v1",
    "ServiceAccount": "v1",
    "ServiceMonitor": "monitoring.coreos.com/v1",
    "StatefulSet": "apps/v1",
}
#: Fields that came later; a server of 1.20 refuses them, or drops them in silence.
_YOUNGER: Final = {
    "appArmorProfile",
    "endPort",
    "grpc",
    "hostUsers",
    "internalTrafficPolicy",
    "matchLabelKeys",
    "minDomains",
    "minReadySeconds",
    "nodeAffinityPolicy",
    "nodeTaintsPolicy",
    "ordinals",
    "persistentVolumeClaimRetentionPolicy",
    "podFailurePolicy",
    "resizePolicy",
    "schedulingGates",
    "suspend",
    "trafficDistribution",
    "unhealthyPodEvictionPolicy",
}


def test_every_kind_is_of_the_version_that_lasts(rendering: Rendering) -> None:
    for manifest in rendering.objects:
        assert manifest["apiVersion"] == _APIS[manifest["kind"]], manifest["metadata"]["name"]


def test_no_field_is_younger_than_1_20(rendering: Rendering) -> None:
    for manifest in rendering.objects:
        if manifest["kind"] == "CustomResourceDefinition":
            continue  # its rules are left out for servers that do not know them
        for path, _ in leaves(manifest):
            assert not _YOUNGER & set(path), path


def test_hooks_are_for_tests_alone(rendering: Rendering) -> None:
    """Who renders the chart and applies it by other tools has no hooks."""
    for manifest in rendering.objects:
        hook = manifest["metadata"].get("annotations", {}).get("helm.sh/hook")
        assert hook in {None, "test"}


def test_definitions_of_resources_stay_at_an_uninstall(rendering: Rendering) -> None:
    for manifest in rendering.of_kind("CustomResourceDefinition"):
        assert manifest["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
