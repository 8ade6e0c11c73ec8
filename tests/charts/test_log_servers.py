"""The log's servers run by the configuration that is rendered, with the operator's own certificates and trust.

They find each other, show each other their certificates, hold JetStream together and answer the probes. On this machine
every name of a server is ``localhost`` and every port is a free one; the rest is as rendered.
"""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from operators.local.nats_server import free_port, server_binary
from operators.membership.kube.authority_certificates import make_authority, make_server
from operators.membership.nats_jwt import AccountLimits, TrustKeys, auth_conf
from tests.charts.rendering import Manifest, Rendering, Workload

_WITHIN_S: Final = 30.0
_PORTS: Final = ("client", "cluster", "monitor")


@pytest.mark.parametrize("install", ["default", "small-lab"])
def test_servers_come_up_together_and_answer_their_probes(
    rendered_of: Callable[[str], Rendering], install: str, tmp_path: Path
) -> None:
    load = _nats(rendered_of(install))
    with _servers(rendered_of(install), load, tmp_path) as ports:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = load.containers[0][probe]["httpGet"]
            for number in range(len(ports)):
                _wait(lambda n=number, a=asked: _status(ports[n][a["port"]], a["path"]) == 200)  # type: ignore[misc]


def test_a_server_without_the_others_lives_but_does_not_hold_everything(
    rendered_of: Callable[[str], Rendering], tmp_path: Path
) -> None:
    load = _nats(rendered_of("default"))
    container = load.containers[0]
    with _servers(rendered_of("default"), load, tmp_path, only=1) as ports:
        for probe in ("startupProbe", "livenessProbe"):
            _wait(lambda p=probe: _status(ports[0]["monitor"], container[p]["httpGet"]["path"]) == 200)  # type: ignore[misc]
        assert _status(ports[0]["monitor"], container["readinessProbe"]["httpGet"]["path"]) == 503


def _nats(rendering: Rendering) -> Workload:
    (load,) = (one for one in rendering.workloads() if one.component == "nats")
    return load


@contextmanager
def _servers(
    rendering: Rendering, load: Workload, folder: Path, *, only: int | None = None
) -> Iterator[list[dict[str, int]]]:
    """Run the StatefulSet's pods as processes; yield each one's ports by name, and see them leave in order."""
    replicas = load.owner["spec"]["replicas"]
    ports = [{name: free_port() for name in _PORTS} for _ in range(replicas)]
    _write_secrets(rendering, folder)
    processes = []
    try:
        for number in range(replicas if only is None else only):
            config = _config(rendering, folder, number, ports)
            environment = {"POD_NAME": f"{load.owner['metadata']['name']}-{number}"}
            command = _command(load.containers[0], folder, config, ports[number]["monitor"])
            processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))
        yield ports
        for number, process in enumerate(processes):
            _stop(load.containers[0], folder / f"run-{number}")
            assert process.wait(_WITHIN_S) == 0
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def _write_secrets(rendering: Rendering, folder: Path) -> None:
    now = datetime.now(UTC)
    authority = make_authority("log", now=now)
    server = make_server(authority, rendering.full_name, ("localhost",), now=now)
    keys = TrustKeys(*(secrets.token_bytes(32) for _ in range(4)))
    for name, content in (
        ("ca.crt", authority.certificate),
        ("tls.crt", server.certificate),
        ("tls.key", server.key),
        ("auth.conf", auth_conf(keys, name="n-test", limits=AccountLimits(disk_bytes=2**30), issued=0).encode()),
    ):
        (folder / name).write_bytes(content)


def _config(rendering: Rendering, folder: Path, number: int, ports: list[dict[str, int]]) -> Path:
    """Write one server's configuration, as rendered but for the machine that it runs on."""
    text: str = rendering.named("ConfigMap", "-nats")["data"]["nats.conf"]
    for peer, theirs in enumerate(ports):
        text = re.sub(rf'nats-route://[\w-]+-nats-{peer}\.[^"]+', f"nats-route://localhost:{theirs['cluster']}", text)
    for name, rendered in (("client", 4222), ("cluster", 6222), ("monitor", 8222)):
        text = text.replace(f'"0.0.0.0:{rendered}"', f'"127.0.0.1:{ports[number][name]}"')
    for mounted, here in (("/etc/nats-tls", "."), ("/run/nats", f"run-{number}"), ("/data", f"data-{number}")):
        (folder / here).mkdir(exist_ok=True)
        text = text.replace(f'"{mounted}', f'"{folder / here}')
    file = folder / f"nats-{number}.conf"
    file.write_text(text, encoding="utf-8")
    return file


def _command(container: Manifest, folder: Path, config: Path, monitor: int) -> list[str]:
    """Return what a container runs, with the programs, files and ports of this machine."""
    here = {
        "python": sys.executable,
        "nats-server": str(server_binary()),
        "--monitor=http://127.0.0.1:8222": f"--monitor=http://127.0.0.1:{monitor}",
        "--watch=/etc/nats": f"--watch={folder}",
        "--watch=/etc/nats-tls": f"--watch={folder}",
        "--config=/etc/nats/nats.conf": f"--config={config}",
    }
    assert here.keys() <= set(container["command"])
    return [here.get(word, word) for word in container["command"]]


def _stop(container: Manifest, run: Path) -> None:
    _, *arguments = container["lifecycle"]["preStop"]["exec"]["command"]
    told = [argument.replace("/run/nats", str(run)) for argument in arguments]
    subprocess.run([server_binary(), *told], check=True, timeout=_WITHIN_S)


def _status(port: int, path: str) -> int | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code
    except OSError:
        return None


def _wait(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + _WITHIN_S
    while not holds():
        assert time.monotonic() < give_up, "waited too long"
        time.sleep(0.05)
