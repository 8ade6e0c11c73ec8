"""Networks with users: an authority, a custodian and two nodes, known by their keys or by what an account signed."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from operators.local.nats_config import NatsConfig, network_account
from operators.local.nats_server import NatsServer, free_port
from operators.membership.nats_rights import inbox_prefix
from services.chassis.eventlog.provision import StreamPlan, ensure_stream
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.credentials import CredentialSource, known_key
from services.chassis.nats.names import NetworkNames
from services.chassis.nats.nkey import public_key
from services.chassis.nats.settings import NatsSettings
from tests.integration.nats.signed_users import SignedUsers, SignedUsersServer

USERS = ("authority", "custodian", "node-a", "node-b")


@dataclass
class GuardedNetwork:
    """One network and its users.

    Attributes:
        shown: what a user shows the server, by its name and seed.
    """

    names: NetworkNames
    seeds: dict[str, bytes]
    server: NatsServer
    shown: Callable[[str, bytes], CredentialSource]
    faults: dict[str, list[Exception]] = field(default_factory=dict)
    opened: list[NatsConnection] = field(default_factory=list)

    def settings(self, user: str) -> NatsSettings:
        return NatsSettings(
            servers=(self.server.url,),
            name=user,
            credentials=self.shown(user, self.seeds[user]),
            inbox_prefix=inbox_prefix(user),
            request_timeout_s=10.0,
        )

    async def connect(self, user: str, *, inbox: str | None = None, seed: bytes | None = None) -> NatsConnection:
        settings = self.settings(user)
        if inbox is not None:
            settings = replace(settings, inbox_prefix=inbox)
        if seed is not None:
            settings = replace(settings, credentials=self.shown(user, seed))
        return await self.open(settings)

    async def open(self, settings: NatsSettings) -> NatsConnection:
        heard = self.faults.setdefault(settings.name, [])
        connection = await NatsConnection.connect(settings, on_fault=heard.append)
        self.opened.append(connection)
        return connection

    async def make_streams(self) -> None:
        authority, names = await self.connect("authority"), self.names
        for stream, subjects in (
            (names.mail_stream, (names.swarm,)),
            (names.keys_stream, (names.keys,)),
            (names.membership_stream, (names.directory, names.membership_events)),
        ):
            plan = StreamPlan(name=stream, subjects=subjects, max_bytes=10_000_000, max_event_bytes=100_000)
            await ensure_stream(authority, plan)

    async def close(self) -> None:
        for connection in self.opened:
            await connection.close()


def seeds() -> dict[str, bytes]:
    return {user: secrets.token_bytes(32) for user in USERS}


@pytest.fixture
async def configured(nats_server_factory: Callable[..., NatsServer], network_id: str) -> AsyncIterator[GuardedNetwork]:
    """Return a network whose users stand in the server's configuration; its streams exist."""
    names, made = NetworkNames(network_id), seeds()
    keys = {user: public_key(seed) for user, seed in made.items()}

    def config(directory: Path) -> NatsConfig:
        account = network_account(
            names,
            authority=keys["authority"],
            custodian=keys["custodian"],
            nodes={user: keys[user] for user in USERS[2:]},
            max_store_bytes=1 << 30,
        )
        return NatsConfig(
            server_name="guarded",
            port=free_port(),
            monitor_port=free_port(),
            store=directory / "store",
            log=directory / "nats.log",
            max_store_bytes=1 << 30,
            accounts=(account,),
        )

    network = GuardedNetwork(names, made, nats_server_factory(config), lambda _user, seed: known_key(seed))
    await network.make_streams()
    yield network
    await network.close()


@pytest.fixture
async def signed(tmp_path: Path, network_id: str) -> AsyncIterator[GuardedNetwork]:
    """Return a network whose users are signed JWTs; its streams exist."""
    names = NetworkNames(network_id)
    users = SignedUsers.make(names)
    server = SignedUsersServer(tmp_path / "signed", users)
    server.start()
    try:
        network = GuardedNetwork(names, seeds(), server, users.shown)
        await network.make_streams()
        yield network
        await network.close()
    finally:
        server.stop()


@pytest.fixture(params=["configured", "signed"])
def guarded(request: pytest.FixtureRequest) -> GuardedNetwork:
    """Return a network with users of either kind: they may do the same."""
    network: GuardedNetwork = request.getfixturevalue(request.param)
    return network
