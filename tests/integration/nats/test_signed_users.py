"""Users that are JWTs: whom a server lets in, until when, and how a client goes on with renewed files."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.credentials import Credentials, CredentialSource, from_files, known_key
from services.chassis.nats.errors import AuthenticationFailed, UnusableCredentials
from services.chassis.nats.names import NetworkNames
from tests.integration.nats.conftest import GuardedNetwork, seeds
from tests.integration.nats.signed_users import SignedUsers, SignedUsersServer

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])

WITHIN_S = 20.0
STRANGER = secrets.token_bytes(32)

Forgery = Callable[[SignedUsers, bytes], CredentialSource]


def users_of(network: GuardedNetwork) -> SignedUsers:
    assert isinstance(network.server, SignedUsersServer)
    return network.server.users


def forged(users: SignedUsers, seed: bytes) -> CredentialSource:
    jwt = users.jwt("node-a", seed, signing_seed=STRANGER)
    return lambda: Credentials(seed, jwt)


def signed_by_the_user_itself(users: SignedUsers, seed: bytes) -> CredentialSource:
    jwt = users.jwt("node-a", seed, signing_seed=seed)
    return lambda: Credentials(seed, jwt)


def of_another_account(users: SignedUsers, seed: bytes) -> CredentialSource:
    jwt = users.jwt("node-a", seed, signing_seed=STRANGER, account_seed=STRANGER)
    return lambda: Credentials(seed, jwt)


def of_the_system_account(users: SignedUsers, seed: bytes) -> CredentialSource:
    """Claim an account that the server knows, signed by the network's signing key."""
    jwt = users.jwt("node-a", seed, account_seed=users.keys.system)
    return lambda: Credentials(seed, jwt)


def expired(users: SignedUsers, seed: bytes) -> CredentialSource:
    jwt = users.jwt("node-a", seed, lasts_s=-1)
    return lambda: Credentials(seed, jwt)


def of_another_user(users: SignedUsers, seed: bytes) -> CredentialSource:
    jwt = users.jwt("node-a", seed)
    return lambda: Credentials(STRANGER, jwt)


def with_more_rights(users: SignedUsers, seed: bytes) -> CredentialSource:
    """Put the authority's claims above the signature of a node's."""
    head, _, signature = users.jwt("node-a", seed).split(".")
    claims = users.jwt("authority", seed).split(".")[1]
    return lambda: Credentials(seed, f"{head}.{claims}.{signature}")


def without_jwt(users: SignedUsers, seed: bytes) -> CredentialSource:
    del users
    return known_key(seed)


@pytest.mark.parametrize(
    "forgery",
    [
        forged,
        signed_by_the_user_itself,
        of_another_account,
        of_the_system_account,
        expired,
        of_another_user,
        with_more_rights,
        without_jwt,
    ],
)
async def test_whom_the_account_did_not_sign_is_refused(signed: GuardedNetwork, forgery: Forgery) -> None:
    settings = replace(signed.settings("node-a"), credentials=forgery(users_of(signed), signed.seeds["node-a"]))
    with pytest.raises(AuthenticationFailed):
        await signed.open(settings)
    await (await signed.connect("node-a")).flush()  # the same user with a true JWT


async def test_a_server_takes_the_connect_of_the_longest_network_id(tmp_path: Path) -> None:
    users = SignedUsers.make(NetworkNames("n" * 32))
    server = SignedUsersServer(tmp_path / "long", users)
    server.start()
    network = GuardedNetwork(users.names, {**seeds(), "ab" * 32: b"n" * 32}, server, users.shown)
    try:
        for user in ("authority", "custodian", "ab" * 32):
            await (await network.connect(user)).flush()
    finally:
        await network.close()
        server.stop()


class Files:
    """A user's files, as a mounted Secret has them."""

    def __init__(self, folder: Path, network: GuardedNetwork) -> None:
        self.key, self.jwt = folder / "user.key", folder / "user.jwt"
        self._users = users_of(network)

    def write(self, seed: bytes, *, lasts_s: int) -> None:
        self.key.touch(mode=0o600)
        self.key.write_text(seed.hex() + "\n")
        self.jwt.write_text(self._users.jwt("node-a", seed, lasts_s=lasts_s) + "\n")


class Watched:
    """Notes of a connection's losses and returns."""

    def __init__(self, connection: NatsConnection) -> None:
        self.lost, self.back = asyncio.Event(), asyncio.Event()
        connection.on_disconnect(self.lost.set)
        connection.on_reconnect(self.back.set)


async def test_renewed_files_are_found_when_the_old_ones_time_is_over(signed: GuardedNetwork, tmp_path: Path) -> None:
    files = Files(tmp_path, signed)
    files.write(signed.seeds["node-a"], lasts_s=2)
    settings = replace(signed.settings("node-a"), credentials=from_files(files.key, files.jwt))
    connection = await signed.open(settings)
    watched = Watched(connection)
    files.write(secrets.token_bytes(32), lasts_s=600)  # another key, too
    async with asyncio.timeout(WITHIN_S):
        await watched.lost.wait()
        await watched.back.wait()
    await connection.flush()
    assert signed.faults["node-a"] == [], "nothing was refused in between"


async def test_a_client_whose_files_come_late_is_back_by_itself(signed: GuardedNetwork, tmp_path: Path) -> None:
    files = Files(tmp_path, signed)
    seed = signed.seeds["node-a"]
    files.write(seed, lasts_s=2)
    faults: asyncio.Queue[Exception] = asyncio.Queue()
    settings = replace(signed.settings("node-a"), credentials=from_files(files.key, files.jwt), reconnect_most_s=0.2)
    connection = await NatsConnection.connect(settings, on_fault=faults.put_nowait)
    signed.opened.append(connection)
    watched = Watched(connection)
    async with asyncio.timeout(WITHIN_S):
        await watched.lost.wait()
        assert isinstance(await faults.get(), AuthenticationFailed)
        files.jwt.unlink()
        while not isinstance(fault := await faults.get(), UnusableCredentials):
            assert isinstance(fault, AuthenticationFailed)
        assert str(files.jwt) in str(fault)
        watched.back.clear()  # within its last second a JWT may have been taken once more
        files.write(seed, lasts_s=600)
        await watched.back.wait()
    await connection.flush()
