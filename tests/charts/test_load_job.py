"""The Job of the load calls `naisho load` with what it takes, and its report can be got at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
import pytest

from naisho.texts import Texts
from operators.load.command import load
from operators.load.wishes import plan_of
from tests.charts.rendering import Manifest, Rendering, parse, render

_NETWORK: Final = "/etc/naisho/network/network.json"


@pytest.fixture(scope="module")
def command() -> click.Command:
    return load(Texts("en", {}))


def _container(rendering: Rendering) -> Manifest | None:
    for workload in rendering.workloads():
        if workload.component == "load":
            (container,) = workload.containers
            return container
    return None


def _taken(command: click.Command, arguments: list[str]) -> dict[str, Any]:
    """Return what the command understands; a wrong option ends the test."""
    context = command.make_context("load", list(arguments))
    return context.params


def test_every_argument_is_one_that_the_command_takes(rendering: Rendering, command: click.Command) -> None:
    if container := _container(rendering):
        settings = rendering.values["load"]
        given = _taken(command, container["args"])
        assert given["rate"] == settings["rate"]
        assert plan_of(given["rate"], given["for"], given["ramp"], (1.0, 1.0)).seconds > 0


def test_the_metrics_are_those_of_the_log_servers(rendering: Rendering, command: click.Command) -> None:
    if container := _container(rendering):
        servers = range(rendering.values["nats"]["replicas"] if rendering.values["nats"]["enabled"] else 0)
        name = f"{rendering.full_name}-nats"
        wanted = [f"http://{name}-{number}.{name}.quiet.svc:8222/varz" for number in servers]
        assert list(_taken(command, container["args"])["metrics"]) == wanted


def test_the_report_goes_to_the_claim_or_into_the_log(rendering: Rendering, command: click.Command) -> None:
    if container := _container(rendering):
        claim = rendering.values["load"]["reportClaim"]
        report = _taken(command, container["args"])["report"]
        places = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
        assert container["command"] == ["naisho", "--network", _NETWORK, *([] if claim else ["--json"]), "load"]
        assert report == (Path("/report/load.html") if claim else None)
        assert ("/report" in places) is bool(claim)


@pytest.mark.parametrize("duration", ["90s", "5m", "1h", "1.5m"])
def test_times_that_the_schema_takes_are_times_to_the_command(
    helm: Path, command: click.Command, duration: str
) -> None:
    values = ("--set", "load.enabled=true", "--set", f"load.duration={duration}", "--set", "load.rate=1000000")
    (job,) = (one for one in parse(render(helm, *values)) if one["kind"] == "Job")
    given = _taken(command, job["spec"]["template"]["spec"]["containers"][0]["args"])
    assert given["rate"] == 1_000_000
    assert given["for"] == {"90s": 90, "5m": 300, "1h": 3600, "1.5m": 90}[duration]


def test_a_load_is_in_one_situation_at_least(rendered_of: Callable[[str], Rendering]) -> None:
    assert _container(rendered_of("load-job")) is not None


def test_an_option_that_there_is_not_would_be_noticed(command: click.Command) -> None:
    with pytest.raises(click.NoSuchOption):
        _taken(command, ["--speed", "50"])
