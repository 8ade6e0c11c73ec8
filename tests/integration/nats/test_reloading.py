"""A server whose files change while it runs: it goes by the new ones without a restart, or says that it cannot."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from operators.local.nats_config import NatsConfig
from operators.local.nats_server import server_binary
from operators.membership.nats_jwt import AccountLimits, auth_conf
from services.chassis.eventlog.provision import StreamPlan, ensure_stream
from services.chassis.nats import reloading
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.credentials import trust_in
from services.chassis.nats.names import NetworkNames
from services.chassis.nats.settings import NatsSettings
from tests.integration.nats.certificates import TestAuthority
from tests.integration.nats.signed_users import EVERYTHING, SignedUsers, SignedUsersServer

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])

MIB = 1 << 20
WITHIN_S = 20.0
USER = b"u" * 32


@dataclass
class Kept:
    """A server with TLS, its users signed, started by the process under test."""

    folder: Path
    users: SignedUsers
    authority: TestAuthority = field(default_factory=TestAuthority.make)

    def __post_init__(self) -> None:
        server = SignedUsersServer(self.folder, self.users)
        files = (self.folder / "tls.crt", self.folder / "tls.key")
        var = self.folder.parent / "var"
        var.mkdir()
        server.config = replace(server.config, certificate=files, store=var / "store", log=var / "nats.log")
        self.config: NatsConfig = server.config
        self.folder.mkdir()
        self.authority.write(self.folder)
        self.config_file = server.write_config()
        self.write_trust(10 * MIB)
        self.said = var / "said"
        self.process: subprocess.Popen[bytes]

    @property
    def monitor(self) -> str:
        return f"http://127.0.0.1:{self.config.monitor_port}"

    def start(self) -> None:
        watched = ("--monitor", self.monitor, "--watch", str(self.folder), "--every", "0.2")
        command = (str(server_binary()), "--config", str(self.config_file))
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.chassis.nats.reloading", *watched, "--", *command], stderr=said
            )

    def write_trust(self, disk_bytes: int) -> None:
        limits = AccountLimits(disk_bytes=disk_bytes)
        self.write("auth.conf", auth_conf(self.users.keys, name="n", limits=limits, issued=0))

    def write(self, name: str, text: str) -> None:
        """Write a file as a kubelet does: whole."""
        (self.folder / f".{name}").write_text(text)
        (self.folder / f".{name}").rename(self.folder / name)

    async def until(self, what: str, holds: Callable[[], Any]) -> None:
        try:
            async with asyncio.timeout(WITHIN_S):
                while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - another process tells nobody
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"not {what}: {self.said.read_text()}") from None

    async def connect(self) -> NatsConnection:
        settings = NatsSettings(
            servers=(f"tls://127.0.0.1:{self.config.port}",),
            name="x",
            credentials=self.users.shown(EVERYTHING, USER),
            tls=trust_in(self.folder / "ca.crt"),
        )
        return await NatsConnection.connect(settings)

    def loaded(self) -> float | None:
        return reloading.loaded_at(self.monitor)

    def plan(self, size: int) -> StreamPlan:
        names = self.users.names
        return StreamPlan(name=names.mail_stream, subjects=(names.swarm,), max_bytes=size, max_event_bytes=MIB)


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    made = Kept(tmp_path / "etc", SignedUsers.make(NetworkNames("n-reload")))
    made.start()
    try:
        await made.until("up", made.loaded)
        yield made
    finally:
        made.process.send_signal(signal.SIGTERM)
        made.process.wait(WITHIN_S)


async def test_a_larger_limit_is_taken_without_a_restart(kept: Kept) -> None:
    connection = await kept.connect()
    lost = asyncio.Event()
    connection.on_reconnect(lost.set)
    assert await ensure_stream(connection, kept.plan(8 * MIB))
    assert not await ensure_stream(connection, kept.plan(20 * MIB)), "no room: the stream stays"
    before = kept.loaded()
    kept.write_trust(40 * MIB)
    await kept.until("reloaded", lambda: kept.loaded() != before)
    async with asyncio.timeout(WITHIN_S):
        while not await ensure_stream(connection, kept.plan(20 * MIB)):  # noqa: ASYNC110 - each is a request
            await asyncio.sleep(0.1)
    assert not lost.is_set(), "nobody was cut off"
    await connection.close()


async def test_a_renewed_certificate_is_shown(kept: Kept) -> None:
    def shown() -> str:
        return _shown(kept.config.port)

    # The server speaks first and in the clear; only then TLS begins.
    before = await asyncio.to_thread(shown)
    assert await asyncio.to_thread(shown) == before
    kept.authority.write(kept.folder)
    await kept.until("renewed", lambda: shown() != before)
    connection = await kept.connect()
    await connection.close()


async def test_files_that_cannot_be_taken_change_nothing_and_are_told(kept: Kept) -> None:
    good, before = (kept.folder / "auth.conf").read_text(), kept.loaded()
    kept.write("auth.conf", "operator: nonsense\n")
    await kept.until("said", lambda: "has not taken its newest files" in kept.said.read_text())
    assert kept.loaded() == before
    connection = await kept.connect()
    await connection.close()
    kept.write("auth.conf", good)
    await kept.until("mended", lambda: kept.loaded() != before)


async def test_nothing_is_reloaded_while_nothing_changes(kept: Kept) -> None:
    """It may be once in the beginning: files that are as old as the server may be newer than what it read."""
    await asyncio.sleep(2 * reloading.MARGIN_S)
    before = kept.loaded()
    await asyncio.sleep(1)
    assert kept.loaded() == before


async def test_what_cannot_be_looked_at_ends_nobody(kept: Kept, tmp_path: Path) -> None:
    """This process is the server's parent: if it failed, the server would end with it."""
    gone = reloading.Reloading(kept.process, kept.monitor, [tmp_path / "gone"])
    assert await asyncio.to_thread(gone.look) is False

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"what?\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1") as nonsense:
        port = nonsense.sockets[0].getsockname()[1]
        assert await asyncio.to_thread(reloading.loaded_at, f"http://127.0.0.1:{port}") is None


async def test_it_ends_with_the_server_and_hands_signals_on(kept: Kept) -> None:
    server = _child(kept.process.pid)
    kept.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(kept.process.wait, WITHIN_S) == 0, "as the server ends when it is asked to"
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)
    kept.start()
    await kept.until("up", kept.loaded)
    os.kill(_child(kept.process.pid), signal.SIGKILL)
    assert await asyncio.to_thread(kept.process.wait, WITHIN_S) == 128 + signal.SIGKILL


def _child(process: int) -> int:
    (child,) = Path(f"/proc/{process}/task/{process}/children").read_text("ascii").split()
    return int(child)


def _shown(port: int) -> str:
    """Return the certificate that a server shows, PEM."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=WITHIN_S) as plain:
        plain.recv(4096)
        with context.wrap_socket(plain) as secured:
            shown = secured.getpeercert(binary_form=True)
    assert shown
    return ssl.DER_cert_to_PEM_cert(shown)
