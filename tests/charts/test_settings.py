"""Every program takes the settings that the chart gives it: they are read by the program's own code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from operators.membership.domain.pool.spec import read_pool
from operators.membership.kube.settings import OperatorSettings
from services.chassis.settings import HOUR, Duration, read_settings
from services.swarm.custodian import CustodySettings
from tests.charts.rendering import NAMESPACE, RELEASE, Rendering


def test_the_operator_reads_its_settings(rendering: Rendering, tmp_path: Path) -> None:
    settings = _operator(rendering, tmp_path)
    if settings is None:
        return
    values = rendering.values
    assert (settings.install, settings.release, settings.namespace) == (rendering.full_name, RELEASE, NAMESPACE)
    assert settings.network_name == values["network"]["name"]
    assert settings.seeds == tuple(values["network"]["seeds"])
    assert settings.image_pull_secrets == tuple(values["image"]["pullSecrets"])
    assert settings.telemetry.port == 9100
    assert settings.nats.managed is values["nats"]["enabled"]
    made = values["nats"]["enabled"] and not values["certificates"]["certManager"]["enabled"]
    assert settings.certificates.self_made is made
    if values["membership"]["unreachable"]:
        assert settings.membership.unreachable == Duration(600)
        assert settings.membership.swarm_ideal == 4


def test_sizes_are_bytes_of_the_same_size(rendering: Rendering, tmp_path: Path) -> None:
    settings = _operator(rendering, tmp_path)
    if settings is not None:
        units = {"Mi": 2**20, "Gi": 2**30}
        for stream, size in rendering.values["streams"].items():
            assert getattr(settings.streams, stream) == int(size[:-2]) * units[size[-2:]]


def test_the_log_keeps_no_more_copies_than_it_has_servers(rendering: Rendering, tmp_path: Path) -> None:
    settings = _operator(rendering, tmp_path)
    if settings is not None:
        nats = rendering.values["nats"]
        copies = min(3, nats["replicas"]) if nats["enabled"] else nats["external"]["replicas"]
        assert settings.nats.replicas == copies
        servers = nats["replicas"] if nats["enabled"] else len(nats["external"]["servers"])
        assert len(settings.nats.servers) == servers


def test_the_operator_finds_the_pool_that_it_is_to_make(rendering: Rendering, tmp_path: Path) -> None:
    settings, pool = _operator(rendering, tmp_path), rendering.node_pool()
    if settings is None:
        return
    by_operator = pool is not None and rendering.values["pool"]["madeBy"] == "operator"
    file = Path("/etc/naisho/nodepool.json")
    (mount,) = (one for one in rendering.workloads() if one.component == "operator")
    sources = [one for volume in mount.spec["volumes"] for one in volume.get("projected", {}).get("sources", [])]
    assert ({"configMap": {"name": f"{rendering.full_name}-pool"}} in sources) is by_operator
    assert settings.pool_file == file
    if pool is not None:
        read = read_pool(pool)
        assert read.name == rendering.full_name
        assert read.exposure.kind == rendering.values["pool"]["exposure"]["type"]
        assert read.settings == rendering.values["pool"]["settings"]


def test_the_custodian_reads_its_settings(rendering: Rendering) -> None:
    for load in rendering.workloads():
        if load.component != "custodian":
            continue
        (container,) = load.containers
        given = {entry["name"]: entry.get("value", "n-network") for entry in container["env"]}
        assert all(name.startswith("NAISHO_CUSTODIAN_") for name in given), "it would be left unread"
        settings = read_settings(CustodySettings, prefix="NAISHO_CUSTODIAN", environ=given)
        assert settings.telemetry is not None
        assert settings.telemetry.port == 9103
        assert settings.nats.user_jwt == Path("/etc/naisho/nats/user.jwt")
        assert settings.key_period == Duration(HOUR), "keys would be erased too early, or too late"
        paced = rendering.values["custodian"]["settings"].get("per_second")
        assert settings.per_second == float(paced or 20)


def test_custodian_and_operator_know_the_same_servers(rendering: Rendering, tmp_path: Path) -> None:
    settings = _operator(rendering, tmp_path)
    for load in rendering.workloads():
        if settings is not None and load.component == "custodian":
            given = {entry["name"]: entry.get("value") for entry in load.containers[0]["env"]}
            assert given["NAISHO_CUSTODIAN_NATS_SERVERS"] == ",".join(settings.nats.servers)


def _operator(rendering: Rendering, folder: Path) -> OperatorSettings | None:
    """Return the operator's settings, read as its pod would read them; ``None`` where it is switched off."""
    for load in rendering.workloads():
        if load.component == "operator":
            (container,) = load.containers
            assert container["command"][-1] == "/etc/naisho/operator.toml"
            file = folder / "operator.toml"
            file.write_text(rendering.named("ConfigMap", "-operator")["data"]["operator.toml"], encoding="utf-8")
            pod: dict[str, Any] = {"metadata.namespace": NAMESPACE, "metadata.name": "operator-0"}
            given = {entry["name"]: pod[entry["valueFrom"]["fieldRef"]["fieldPath"]] for entry in container["env"]}
            return read_settings(OperatorSettings, prefix="NAISHO_OPERATOR", environ=given, file=file)
    return None


def test_the_pool_file_is_json(rendering: Rendering) -> None:
    if rendering.values["pool"]["enabled"] and rendering.values["pool"]["madeBy"] == "operator":
        data = rendering.named("ConfigMap", "-pool")["data"]
        assert json.loads(data["nodepool.json"]) == rendering.node_pool()
