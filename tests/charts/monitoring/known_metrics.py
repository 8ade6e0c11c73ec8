"""Every metric that a rule or a dashboard may name, and the labels of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import product
from typing import Final

from prometheus_client import ProcessCollector

from operators.membership import instruments as membership
from services.chassis.telemetry import Instrument, Kind, Metrics
from services.onion import instruments as onion
from services.swarm import instruments as swarm
from tests.charts.monitoring import operator_metrics

#: What Prometheus puts on each sample that it collects from our pods.
TARGET: Final = frozenset({"namespace", "pod", "container", "instance", "job"})
#: Metrics of others: kube-state-metrics, the kubelet, the node exporter, cert-manager.
OTHERS: Final[Mapping[str, frozenset[str]]] = {
    "kube_pod_container_info": frozenset({"namespace", "pod", "container", "image"}),
    "kube_pod_container_status_ready": frozenset({"namespace", "pod", "container"}),
    "kube_pod_container_status_restarts_total": frozenset({"namespace", "pod", "container"}),
    "kube_pod_container_status_waiting_reason": frozenset({"namespace", "pod", "container", "reason"}),
    "kube_pod_status_phase": frozenset({"namespace", "pod", "phase"}),
    "kube_poddisruptionbudget_status_current_healthy": frozenset({"namespace", "poddisruptionbudget"}),
    "kube_poddisruptionbudget_status_desired_healthy": frozenset({"namespace", "poddisruptionbudget"}),
    "kube_statefulset_replicas": frozenset({"namespace", "statefulset"}),
    "kube_statefulset_status_replicas_ready": frozenset({"namespace", "statefulset"}),
    "kube_horizontalpodautoscaler_spec_max_replicas": frozenset({"namespace", "horizontalpodautoscaler"}),
    "kube_horizontalpodautoscaler_status_desired_replicas": frozenset({"namespace", "horizontalpodautoscaler"}),
    "kubelet_volume_stats_available_bytes": frozenset({"namespace", "persistentvolumeclaim"}),
    "kubelet_volume_stats_capacity_bytes": frozenset({"namespace", "persistentvolumeclaim"}),
    "node_timex_maxerror_seconds": frozenset({"instance"}),
    "node_timex_offset_seconds": frozenset({"instance"}),
    "node_timex_sync_status": frozenset({"instance"}),
    "certmanager_certificate_expiration_timestamp_seconds": frozenset({"namespace", "exported_namespace", "name"}),
}


def tables() -> Mapping[str, Iterable[Instrument]]:
    """Return every service's table of instruments, by the service's name."""
    return {
        "onion": onion.INSTRUMENTS,
        "swarm": swarm.INSTRUMENTS,
        "custodian": swarm.CUSTODY,
        "membership": membership.INSTRUMENTS,
        "operator": operator_metrics.instruments(),
    }


def exposed(service: str, instruments: Iterable[Instrument]) -> dict[str, dict[str, frozenset[str]]]:
    """Return the names under which instruments are shown, as a service truly shows them, with their labels' values."""
    metrics = Metrics(service, 0, instruments)
    try:
        names: dict[str, dict[str, frozenset[str]]] = {}
        for instrument in instruments:
            for values in product(*instrument.labels.values()):
                labels = dict(zip(instrument.labels, values, strict=True))
                if instrument.kind is Kind.DISTRIBUTION:
                    metrics.distribution(instrument, **labels).record(0)
                else:
                    metrics.watch(instrument, lambda: 0, **labels)
        for family in metrics.collect():
            for sample in family.samples:
                known = names.setdefault(sample.name, {})
                for label, value in sample.labels.items():
                    known[label] = known.get(label, frozenset()) | {value}
        return names
    finally:
        metrics.close()


@cache
def ours() -> Mapping[str, Mapping[str, frozenset[str]]]:
    """Return our metrics: for each its own labels, for each label its values."""
    names: dict[str, Mapping[str, frozenset[str]]] = {}
    for service, instruments in tables().items():
        names |= exposed(service, instruments)
    process = ProcessCollector(registry=None).collect()
    return names | {sample.name: {} for family in process for sample in family.samples}


def labels_of(metric: str) -> frozenset[str]:
    """Return the labels by which a metric may be chosen or grouped.

    Raises:
        KeyError: no such metric.
    """
    if metric in OTHERS:
        return OTHERS[metric]
    # `service` and `node` are ours, but Prometheus has labels of these names too and renames one of them.
    return TARGET | (ours()[metric].keys() - {"service", "node"})
