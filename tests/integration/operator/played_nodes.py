"""Nodes without mail, as the pods of an install are: each is whom its pod's Secrets and variables say, and no more."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from naisho.protocol import network_file
from naisho.protocol.account import ed25519_to_x25519
from naisho.protocol.directory import Directory, Endpoint, Node, NodeState, Transport
from naisho.protocol.directory.statements import sign_certificate
from naisho.protocol.signing import SigningKey
from operators.membership.nats_rights import inbox_prefix
from services.chassis.certificates import Identity
from services.chassis.clock import SystemClock
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.credentials import Credentials
from services.chassis.nats.settings import NatsSettings
from services.swarm.adapters.membership import Membership, MembershipSettings
from tests.integration.operator.api_store import Manifest, Objects

SETTINGS = MembershipSettings(heartbeat_s=0.5, announce_most_s=0.5, look_s=2.0)


class PlayedNode:
    """What runs in one pod.

    Args:
        pod: whose variables and volumes say everything.
        objects: where the volumes' content lies.
        ready: is called when the answer of its readiness probe changes.
        behind: see there.
        settings: how often it says what.

    Attributes:
        behind: whether it is to hold nothing of what it should.
    """

    def __init__(
        self,
        pod: Manifest,
        objects: Objects,
        ready: Callable[[bool], None],
        *,
        behind: bool = False,
        settings: MembershipSettings = SETTINGS,
    ) -> None:
        self._settings = settings
        self._volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        (container,) = (one for one in pod["spec"]["containers"] if one["name"] == "swarm")
        self._environment = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
        self._host_ip = pod["status"]["hostIP"]
        self._objects = objects
        self._ready = ready
        self.behind = behind
        self.membership: Membership | None = None
        self._task = asyncio.create_task(self._run())

    async def ended(self) -> None:
        """Wait until it ends by itself, and raise why."""
        await self._task

    async def stop(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    def set_behind(self, *, behind: bool) -> None:
        self.behind = behind
        if self.membership is not None and self.membership.directory is not None:
            self._follow(self.membership.directory)

    async def _run(self) -> None:
        connection = await self._connect()
        try:
            network = network_file.parse(self._text("network", "network.json"))
            signer, node = self._node(network.network_id)
            self.key = node.key
            self.membership = Membership(
                connection, node=node, signer=signer, network=network, clock=SystemClock(), settings=self._settings
            )
            self.membership.on_directory(self._follow)
            self._ready(not self.behind)
            await self.membership.run()
        finally:
            await connection.close()

    async def _connect(self) -> NatsConnection:
        key, jwt = self._secret("nats", "user.key"), self._secret("nats", "user.jwt")
        name = SigningKey(bytes.fromhex(self._secret("keys", "node.key"))).public.hex()
        settings = NatsSettings(
            servers=tuple(self._variable("NATS_SERVERS").split(",")),
            name="node",
            credentials=lambda: Credentials(bytes.fromhex(key), jwt),
            inbox_prefix=inbox_prefix(name),
            tls=lambda: ssl.create_default_context(cadata=self._secret("nats", "ca.crt")),
        )
        return await NatsConnection.connect(settings)

    def _node(self, network_id: str) -> tuple[SigningKey, Node]:
        signer = SigningKey(bytes.fromhex(self._secret("keys", "node.key")))
        with TemporaryDirectory() as folder:
            for file in ("certificate.pem", "key.pem"):
                (Path(folder) / file).touch(mode=0o600)
                (Path(folder) / file).write_text(self._secret("keys", file))
            identity = Identity.read(Path(folder))
        return signer, Node(
            key=signer.public,
            x25519=ed25519_to_x25519(signer.public),
            endpoints=(self._endpoint(Transport.HTTPS), self._endpoint(Transport.HOP)),
            family=self._variable("ABOUT_FAMILY"),
            country=self._variable("ABOUT_COUNTRY"),
            version=(2, 11, 0),
            state=NodeState.JOINING,
            certificate=identity.certificate,
            certificate_signature=sign_certificate(identity.certificate, signer, network_id=network_id),
        )

    def _endpoint(self, transport: Transport) -> Endpoint:
        host, _, port = self._variable(f"ABOUT_{transport.name}").rpartition(":")
        return Endpoint(transport, host.replace("$(NAISHO_HOST_IP)", self._host_ip), int(port))

    def _follow(self, directory: Directory) -> None:
        assert self.membership is not None
        wanted = directory.followed(self.key).all
        held = frozenset[int]() if self.behind else wanted
        self.membership.report(held=held, position=0 if self.behind else 7, lag=5 if self.behind else 0)
        self._ready(not self.behind)

    def _variable(self, name: str) -> str:
        return str(self._environment[f"NAISHO_SWARM_{name}"])

    def _secret(self, volume: str, name: str) -> str:
        secret = self._objects.get("secrets", self._volumes[volume]["secret"]["secretName"])
        return base64.b64decode(secret["data"][name]).decode()

    def _text(self, volume: str, name: str) -> str:
        return str(self._objects.get("configmaps", self._volumes[volume]["configMap"]["name"])["data"][name])
