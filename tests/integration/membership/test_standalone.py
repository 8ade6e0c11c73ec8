"""The authority as a process: started from a file, killed, started again, ended by a signal."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from naisho.protocol.network_file import render
from operators.local.nats_server import free_port
from operators.membership.instruments import INSTRUMENTS, watch
from services.chassis.clock import SystemClock
from services.chassis.telemetry import Metrics

if TYPE_CHECKING:
    from .conftest import Lab

Configure = Callable[[], Path]


def configured(lab: Lab, folder: Path, **more: object) -> Path:
    network = folder / "network.json"
    network.write_text(render(lab.network))
    settings = {
        "network_file": str(network),
        "keys": str(lab.keys),
        "private_addresses": True,
        "first_nodes": 5,
        "tick": "200ms",
        "pace": "50ms",
        "missed": "2s",
        **more,
    }
    tables: dict[str, dict[str, object]] = {
        "nats": {"servers": [lab.server.url]},
        "streams": {"mail": "16MiB", "keys": "1MiB", "membership": "16MiB"},
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    for table, values in tables.items():
        lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    file = folder / "membership.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


@asynccontextmanager
async def authority(file: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "operators.membership", str(file), stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_killed_authority_s_successor_goes_on_with_the_epochs(lab: Lab, tmp_path: Path) -> None:
    file = configured(lab, tmp_path)
    nodes = [await lab.add_node(index) for index in range(5)]
    async with authority(file) as first:
        before = await lab.until(lambda d: len(d.active_nodes) == 5)
        first.kill()
        assert await first.wait() == -signal.SIGKILL
    newcomer = await lab.add_node(5)
    async with authority(file) as second:
        after = await lab.until(lambda d: newcomer.key in {n.key for n in d.active_nodes})
        assert after.epoch > before.epoch
        assert {n.key for n in after.active_nodes} == {n.key for n in nodes} | {newcomer.key}
        second.terminate()
        _, errors = await second.communicate()
        assert second.returncode == 0, errors.decode()
    assert newcomer.key.hex() not in errors.decode()


async def test_settings_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    file = tmp_path / "membership.toml"
    file.write_text('keys = "/nowhere"\nswarm_minimun = 4\n')
    async with authority(file) as process:
        assert process.stderr is not None
        errors = (await process.stderr.read()).decode()
        assert await process.wait() == 2
    assert "network_file is missing" in errors
    assert "the nearest is swarm_minimum" in errors


async def test_a_process_tells_how_it_is(lab: Lab, tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    for index in range(5):
        await lab.add_node(index)
    async with authority(configured(lab, tmp_path, telemetry=address)):
        await lab.until(lambda d: len(d.active_nodes) == 5)
        async with httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as http:
            assert (await http.get("/readyz")).text == "ready\n"
            metrics = (await http.get("/metrics")).text
    assert 'naisho_membership_nodes{node="0",service="membership",state="active"} 5.0' in metrics


async def test_metrics_tell_of_the_network_and_of_nobody(lab: Lab) -> None:
    await lab.fill(5)
    metrics = Metrics("membership", 0, INSTRUMENTS)
    watch(lambda: lab.authority, metrics, SystemClock())
    try:
        samples = {
            (sample.name, sample.labels.get("state") or sample.labels.get("outcome")): sample.value
            for family in metrics.collect()
            for sample in family.samples
        }
    finally:
        metrics.close()
    assert samples["naisho_membership_nodes", "active"] == 5
    assert samples["naisho_membership_nodes", "unreachable"] == 0
    assert samples["naisho_membership_swarms", None] == 1
    assert samples["naisho_membership_requests_total", "accepted"] >= 5
    assert samples["naisho_membership_signing_keys_left_seconds", None] > 80 * 24 * 3600
    assert samples["naisho_membership_epoch", None] == lab.authority.directory.epoch  # type: ignore[union-attr]  # filled
