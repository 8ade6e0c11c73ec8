"""A network with users: an authority, a custodian and two nodes on a server of their own."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from operators.local.nats_config import NatsConfig, network_account
from operators.local.nats_server import NatsServer, free_port
from operators.membership.nats_rights import inbox_prefix
from services.chassis.eventlog.provision import StreamPlan, ensure_stream
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.credentials import known_key
from services.chassis.nats.names import NetworkNames
from services.chassis.nats.nkey import public_key
from services.chassis.nats.settings import NatsSettings

USERS = ("authority", "custodian", "node-a", "node-b")


@dataclass
class GuardedNetwork:
    server: NatsServer
    names: NetworkNames
    seeds: dict[str, bytes]
    faults: dict[str, list[Exception]]
    opened: list[NatsConnection]

    def config(self, directory: Path) -> NatsConfig:
        keys = {user: public_key(seed) for user, seed in self.seeds.items()}
        return NatsConfig(
            server_name="guarded",
            port=free_port(),
            monitor_port=free_port(),
            store=directory / "store",
            log=directory / "nats.log",
            max_store_bytes=1 << 30,
            accounts=(
                network_account(
                    self.names,
                    authority=keys["authority"],
                    custodian=keys["custodian"],
                    nodes={user: keys[user] for user in USERS[2:]},
                    max_store_bytes=1 << 30,
                ),
            ),
        )

    async def connect(self, user: str, *, inbox: str | None = None, seed: bytes | None = None) -> NatsConnection:
        settings = NatsSettings(
            servers=(self.server.url,),
            name=user,
            credentials=known_key(seed or self.seeds[user]),
            inbox_prefix=inbox or inbox_prefix(user),
            request_timeout_s=10.0,
        )
        connection = await NatsConnection.connect(settings, on_fault=self.faults.setdefault(user, []).append)
        self.opened.append(connection)
        return connection


@pytest.fixture
async def guarded(nats_server_factory: Callable[..., NatsServer], network_id: str) -> AsyncIterator[GuardedNetwork]:
    """Return a network with users; its mail stream exists."""
    seeds = {user: secrets.token_bytes(32) for user in USERS}
    network = GuardedNetwork(None, NetworkNames(network_id), seeds, {}, [])  # type: ignore[arg-type]  # set in the next line
    network.server = nats_server_factory(network.config)
    authority = await network.connect("authority")
    names = network.names
    for stream, subjects in (
        (names.mail_stream, (names.swarm,)),
        (names.keys_stream, (names.keys,)),
        (names.membership_stream, (names.directory, names.membership_events)),
    ):
        await ensure_stream(
            authority, StreamPlan(name=stream, subjects=subjects, max_bytes=10_000_000, max_event_bytes=100_000)
        )
    yield network
    for connection in network.opened:
        await connection.close()
