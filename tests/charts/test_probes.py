"""Whatever runs on has three probes, which ask different things, at ports that it has."""

from __future__ import annotations

from collections.abc import Iterator

from tests.charts.rendering import Manifest, Rendering


def test_lasting_containers_have_three_probes(rendering: Rendering) -> None:
    for container in _lasting(rendering):
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert probe in container, container["name"]


def test_being_alive_and_being_ready_are_two_questions(rendering: Rendering) -> None:
    for container in _lasting(rendering):
        assert container["livenessProbe"]["httpGet"] != container["readinessProbe"]["httpGet"], container["name"]


def test_probes_ask_at_ports_of_the_container(rendering: Rendering) -> None:
    for container in _lasting(rendering):
        ports = {port["name"] for port in container["ports"]}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["port"] in ports, container["name"]


def test_a_start_is_waited_for_longer_than_a_life_sign(rendering: Rendering) -> None:
    for container in _lasting(rendering):
        assert _patience(container["startupProbe"]) > _patience(container["livenessProbe"]) >= 30, container["name"]


def test_no_log_server_is_restarted_for_what_others_lack(rendering: Rendering) -> None:
    """Neither a missing majority nor one bad stream is mended by a restart."""
    for container in _lasting(rendering):
        if container["name"] == "nats":
            for probe in ("startupProbe", "livenessProbe"):
                assert container[probe]["httpGet"]["path"] == "/healthz?js-enabled-only=true"
            assert container["readinessProbe"]["httpGet"]["path"] == "/healthz", "it must hold everything"


def _lasting(rendering: Rendering) -> Iterator[Manifest]:
    for load in rendering.workloads():
        if load.owner["kind"] in {"Deployment", "StatefulSet"}:
            yield from load.containers


def _patience(probe: Manifest) -> int:
    return int(probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3))
