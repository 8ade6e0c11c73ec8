"""Two networks on one NATS that neither of them brought: installed, spoken through, and the log's server ended."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from naisho.protocol import network_file
from operators.membership.kube.authority_certificates import make_authority, make_server
from operators.membership.nats_jwt import AccountLimits, account_jwt, operator_jwt
from services.chassis.nats.names import NetworkNames
from services.chassis.nats.nkey import KeyOf, public_key, seed_text
from tests.cluster.kubectl import CommandFailed, Installed
from tests.cluster.talking import talk

#: Where the log runs, and where the two networks do.
LOG: Final = "shared-log"
NETWORKS: Final = ("north", "south")
_NODES: Final = 5
_HOST: Final = f"nats.{LOG}.svc"
_CONFIG: Final = """\
server_name: "shared"
listen: "0.0.0.0:4222"
http: "0.0.0.0:8222"
max_payload: 1048576
jetstream { store_dir: "/data", sync_interval: always, max_memory_store: 1, max_file_store: 1073741824 }
tls { cert_file: "/etc/nats/tls.crt", key_file: "/etc/nats/tls.key" }
include "./auth.conf"
"""


async def two_networks(chart: Path, image: str) -> None:
    """Install two small networks on one log, send messages through both, and end the log's server in between.

    Raises:
        CommandFailed: something did not become so.
    """
    log = Installed(LOG, chart)
    accounts = await _provide(log, image)
    north, south = networks = [Installed(name, chart) for name in NETWORKS]
    for network, account in zip(networks, accounts, strict=True):
        await _namespace(network)
        await network.apply(_secret("naisho-account", account))
    # The definitions are the cluster's: one release brings them.
    await _install(north, image, "--take-ownership")
    await _install(south, image, "--set", "crds.create=false")
    for network in networks:
        await _speak(network)
    names = [NetworkNames((await network.pool())["status"]["networkId"]) for network in networks]
    expected = [{each.mail_stream, each.keys_stream, each.membership_stream} for each in names]
    streams = await _streams(log)
    if sorted(streams, key=min) != sorted(expected, key=min):
        raise CommandFailed(f"each account holds the streams of its own network, {expected}, but there are {streams}")
    await log.kubectl("delete", "pod", "nats-0", "--wait=true")
    for network in networks:
        await network.until(f"{network.namespace} is whole again", network.whole)
        await _speak(network)
    for network in networks:
        await network.helm("uninstall", network.release, "--wait", "--timeout", "5m")
    await log.kubectl("delete", "statefulset", "nats", "--wait=true")


async def _speak(network: Installed) -> None:
    await network.until(f"{network.namespace} is whole", network.whole)
    await network.helm("test", network.release, "--timeout", "5m")
    found = await network.get("configmap", f"{network.release}-network")
    await talk(network_file.parse(found["data"]["network.json"]))


async def _install(network: Installed, image: str, *more: str) -> None:
    repository, _, tag = image.rpartition(":")
    values = {
        "image": {"repository": repository, "tag": tag},
        "nats": {
            "enabled": False,
            "external": {"servers": [f"tls://{_HOST}:4222"], "accountSecret": "naisho-account", "replicas": 1},
        },
        "pool": {"replicas": _NODES, "allowUnsafe": True, "storage": {"size": "256Mi"}},
        "streams": {"mail": "128Mi", "keys": "4Mi", "membership": "16Mi"},
        "membership": {"swarmMinimum": 3, "swarmIdeal": 5},
    }
    given = [part for name, value in values.items() for part in ("--set-json", f"{name}={json.dumps(value)}")]
    waiting = ("--wait", "--timeout", "10m")
    await network.helm("install", network.release, str(network.chart), *given, *waiting, *more)


async def _provide(log: Installed, image: str) -> list[dict[str, bytes]]:
    """Run a log with an account for each network; return what each network is given of it."""
    operator, system = secrets.token_bytes(32), secrets.token_bytes(32)
    authority = make_authority("shared log", now=datetime.now(UTC))
    server = make_server(authority, "nats", (_HOST,), now=datetime.now(UTC))
    system_key = public_key(system, KeyOf.ACCOUNT)
    preload = {system_key: account_jwt(system_key, operator_seed=operator, name="SYS", issued=0)}
    given = []
    for name in NETWORKS:
        account, signing = public_key(secrets.token_bytes(32), KeyOf.ACCOUNT), secrets.token_bytes(32)
        preload[account] = account_jwt(
            account,
            operator_seed=operator,
            name=name,
            issued=0,
            limits=AccountLimits(disk_bytes=1 << 28),
            signing_keys=(public_key(signing, KeyOf.ACCOUNT),),
        )
        given.append(
            {
                "account.signing.seed": seed_text(signing, KeyOf.ACCOUNT).encode(),
                "account.public": account.encode(),
                "ca.crt": authority.certificate,
            }
        )
    accounts = "".join(f"  {key}: {jwt}\n" for key, jwt in preload.items())
    known = operator_jwt(operator, name="shared", system_account=system_key, issued=0)
    trust = f"operator: {known}\nsystem_account: {system_key}\nresolver: MEMORY\nresolver_preload: {{\n{accounts}}}\n"
    files = {
        "nats.conf": _CONFIG.encode(),
        "auth.conf": trust.encode(),
        "tls.crt": server.certificate,
        "tls.key": server.key,
    }
    await _namespace(log)
    for manifest in (_secret("nats", files), _SERVICE, _server(image)):
        await log.apply(manifest)
    return given


async def _streams(log: Installed) -> list[set[str]]:
    """Return the names of the streams of each account that has any."""
    address = (await log.get("pod", "nats-0"))["status"]["podIP"]

    def ask() -> Any:
        with urllib.request.urlopen(f"http://{address}:8222/jsz?accounts=1&streams=1", timeout=10) as answer:
            return json.load(answer)

    found = await asyncio.to_thread(ask)
    accounts = [
        {stream["name"] for stream in account.get("stream_detail") or ()} for account in found["account_details"]
    ]
    return [names for names in accounts if names]


async def _namespace(network: Installed) -> None:
    await network.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": network.namespace}})


_LABELS: Final = {"app": "nats"}
_SERVICE: Final = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "nats"},
    "spec": {"selector": _LABELS, "ports": [{"name": "client", "port": 4222}], "publishNotReadyAddresses": True},
}


def _server(image: str) -> dict[str, Any]:
    container = {
        "name": "nats",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["nats-server", "--config", "/etc/nats/nats.conf"],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8222}, "periodSeconds": 2},
        "volumeMounts": [{"name": "settings", "mountPath": "/etc/nats"}, {"name": "data", "mountPath": "/data"}],
    }
    template = {
        "metadata": {"labels": _LABELS},
        "spec": {
            "securityContext": {"fsGroup": 10001},
            "containers": [container],
            "volumes": [{"name": "settings", "secret": {"secretName": "nats", "defaultMode": 0o440}}],
        },
    }
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    spec = {
        "replicas": 1,
        "serviceName": "nats",
        "selector": {"matchLabels": _LABELS},
        "template": template,
        "volumeClaimTemplates": [claim],
    }
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "nats"}, "spec": spec}


def _secret(name: str, content: Mapping[str, bytes]) -> dict[str, Any]:
    data = {key: base64.b64encode(value).decode() for key, value in content.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}
