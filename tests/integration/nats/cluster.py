"""Three nats-servers in a cluster, configured as on Kubernetes: TLS between all, users that are JWTs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import urllib.error
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from operators.local.nats_config import NatsConfig, render
from operators.local.nats_server import NatsServer, check_config, free_port
from operators.membership.nats_rights import inbox_prefix
from services.chassis.nats.credentials import trust_in
from services.chassis.nats.names import NetworkNames
from services.chassis.nats.settings import NatsSettings
from tests.integration.nats.certificates import TestAuthority
from tests.integration.nats.signed_users import SignedUsers, with_include

SERVERS: Final = 3
#: How long a cluster may take to be whole again after a start: election, and catching up with what was missed.
WHOLE_WITHIN_S: Final = 30.0
_POLL_S: Final = 0.05


@dataclass(frozen=True, kw_only=True)
class ClusterMember:
    """What the servers of a cluster differ in, and what they share.

    Attributes:
        config: the server's own.
        cluster: the cluster's name; the same at all.
        port: of the routes.
        routes: ports of all routes, its own included: a server knows itself.
        tls: folder of ``ca.crt``, ``tls.crt`` and ``tls.key``.
        trust: file that says whom to trust, to be included.
    """

    config: NatsConfig
    cluster: str
    port: int
    routes: Sequence[int]
    tls: Path
    trust: Path


def render_member(member: ClusterMember) -> str:
    """Return a member's configuration; docs/operating/nats.md says what each of it is for."""
    tls = {name: str(member.tls / file) for name, file in _TLS_FILES.items()}
    document = json.loads(render(member.config)) | {
        "tls": {**tls, "timeout": 5},
        "lame_duck_duration": "30s",
        "lame_duck_grace_period": "2s",
        "cluster": {
            "name": member.cluster,
            "listen": f"127.0.0.1:{member.port}",
            "no_advertise": True,
            "routes": [f"nats://127.0.0.1:{port}" for port in member.routes],
            "tls": {**tls, "verify": True, "timeout": 5},
        },
    }
    return with_include(document, member.trust)


_TLS_FILES: Final = {"cert_file": "tls.crt", "key_file": "tls.key", "ca_file": "ca.crt"}


class MemberServer(NatsServer):
    """One of the three."""

    def __init__(self, directory: Path, member: ClusterMember) -> None:
        super().__init__(directory, member.config)
        self.member = member

    def write_config(self) -> Path:
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.directory / "nats.conf"
        path.write_text(render_member(self.member))
        check_config(path)
        return path

    def healthy(self) -> bool:
        """Whether the server says that it and all its copies of streams are current."""
        try:
            return self.running and self.status("healthz")["status"] == "ok"
        except (urllib.error.URLError, OSError, KeyError, json.JSONDecodeError):
            return False


class NatsCluster:
    """Three servers of one network; each with a folder of its own under ``directory``."""

    def __init__(self, directory: Path, network_id: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.users = SignedUsers.make(NetworkNames(network_id))
        self.tls = directory / "tls"
        TestAuthority.make().write(self.tls)
        self._routes = [free_port() for _ in range(SERVERS)]
        self.servers = [
            self._member(directory / f"nats-{number}", port, self.tls) for number, port in enumerate(self._routes)
        ]

    def another(self, folder: Path) -> MemberServer:
        """Return a server that would be a member, with a folder of its own for certificates."""
        return self._member(folder, free_port(), folder / "tls")

    def _member(self, folder: Path, port: int, tls: Path) -> MemberServer:
        folder.mkdir()
        trust = folder / "auth.conf"
        trust.write_text(self.users.trust)
        return MemberServer(
            folder,
            ClusterMember(
                config=NatsConfig(
                    server_name=folder.name,
                    port=free_port(),
                    monitor_port=free_port(),
                    store=folder / "store",
                    log=folder / "nats.log",
                    max_store_bytes=1 << 42,
                ),
                cluster=self.users.names.network,
                port=port,
                routes=self._routes,
                tls=tls,
                trust=trust,
            ),
        )

    async def start_async(self) -> None:
        """Start those that do not run, and wait until the cluster is whole."""
        await asyncio.gather(*(server.start_async() for server in self.servers if not server.running))
        await self.until_whole()

    def start(self) -> None:
        """Start as ``start_async`` does, and block meanwhile."""
        for server in self.servers:
            server.launch()
        give_up = time.monotonic() + WHOLE_WITHIN_S
        while not (all(server.ready() for server in self.servers) and self.whole()):
            if time.monotonic() > give_up:
                raise TimeoutError("the cluster does not become whole")
            time.sleep(_POLL_S)

    async def until_whole(self) -> None:
        """Wait until every server is healthy and knows who leads: no event tells of that."""
        async with asyncio.timeout(WHOLE_WITHIN_S):
            while not await asyncio.to_thread(self.whole):  # noqa: ASYNC110 - as above
                await asyncio.sleep(_POLL_S)

    def whole(self) -> bool:
        """Whether every server is healthy and knows who leads."""
        return all(server.healthy() and self._meta_leader(server) for server in self.servers)

    @staticmethod
    def _meta_leader(server: MemberServer) -> str:
        with contextlib.suppress(urllib.error.URLError, OSError):
            return str(server.status("jsz").get("meta_cluster", {}).get("leader", ""))
        return ""

    def kill(self) -> None:
        for server in self.servers:
            server.kill()

    def stop(self) -> None:
        for server in self.servers:
            server.stop()

    def leader(self, info: dict[str, Any]) -> MemberServer:
        """Return the server that leads what an answer about a stream or consumer tells of."""
        name = info["cluster"]["leader"]
        return self.named(name)

    def named(self, name: str) -> MemberServer:
        return next(server for server in self.servers if server.config.server_name == name)

    def settings(self, user: str, seed: bytes) -> NatsSettings:
        """Return how a user connects to all of them."""
        return NatsSettings(
            servers=tuple(server.url for server in self.servers),
            name=user[:16],
            credentials=self.users.shown(user, seed),
            inbox_prefix=inbox_prefix(user),
            tls=trust_in(self.tls / "ca.crt"),
        )
