"""Users that the server's configuration lists."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace

import pytest

from operators.local.nats_config import NatsConfig
from operators.local.nats_server import free_port
from operators.membership.nats_rights import NatsUser
from services.chassis.nats.credentials import known_key
from services.chassis.nats.errors import AuthenticationFailed
from services.chassis.nats.nkey import public_key
from tests.integration.nats.conftest import GuardedNetwork

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])


async def test_unknown_and_missing_keys_are_refused(configured: GuardedNetwork) -> None:
    with pytest.raises(AuthenticationFailed):
        await configured.connect("node-a", seed=secrets.token_bytes(32))


async def test_a_user_taken_out_of_the_configuration_is_cut_off_and_the_others_are_not(
    configured: GuardedNetwork,
) -> None:
    node, other = await configured.connect("node-a"), await configured.connect("node-b")
    config = configured.server.config
    account = config.accounts[0]
    kept = tuple(user for user in account.users if user.public_key != public_key(configured.seeds["node-a"]))
    gone = asyncio.Event()
    node.on_disconnect(gone.set)
    other_gone = asyncio.Event()
    other.on_disconnect(other_gone.set)
    configured.server.reconfigure(replace_users(config, kept))
    await asyncio.wait_for(gone.wait(), 10)
    await other.flush()
    assert not other_gone.is_set()


def replace_users(config: NatsConfig, users: tuple[NatsUser, ...]) -> NatsConfig:
    return replace(config, accounts=(replace(config.accounts[0], users=users),))


async def test_a_refusal_is_said_though_another_server_is_away(configured: GuardedNetwork) -> None:
    away = tuple(f"nats://127.0.0.1:{free_port()}" for _ in range(4))
    settings = configured.settings("node-a")
    stranger = known_key(secrets.token_bytes(32))
    for servers in ((*away, *settings.servers), (*settings.servers, *away)):
        with pytest.raises(AuthenticationFailed):
            await configured.open(replace(settings, servers=servers, credentials=stranger))
