"""The service as a process of its own, its mailboxes behind a unix socket; and what it leaves behind: nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from naisho.protocol.onion.packet import to_node
from naisho.wire.node.v1 import node_pb2 as wire
from naisho.wire.node.v1.node_pb2 import MAILBOX_CALL_DIRECT, MAILBOX_CALL_ONION
from naisho.wire.node.v1.node_pb2_grpc import MailboxServiceServicer, add_MailboxServiceServicer_to_server
from naisho.wire.stream.v1.stream_pb2 import Packet
from services.chassis.grpc_endpoint import unix_server
from services.chassis.packed import Reply, StreamState, serve_packed
from services.onion.adapters.mailbox import UnixMailbox

ACCOUNT = "05" + "ab12cd34" * 8


@dataclass
class Mailboxes(MailboxServiceServicer):
    """The other end of the unix socket."""

    directory: bytes = b""
    calls: list[tuple[int, bytes]] = field(default_factory=list)
    reports: asyncio.Queue[tuple[bytes, bool]] = field(default_factory=asyncio.Queue)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def Exchange(self, request_iterator: Any, _context: Any) -> AsyncIterator[Packet]:  # noqa: N802 - gRPC's name
        async for packet in serve_packed(request_iterator, self.handle):
            yield packet

    async def handle(self, code: int, body: bytes) -> Reply:
        self.calls.append((code, body))
        if body == b"wait":
            await self.gate.wait()
        return Reply(200, b'{"ok":true}')

    async def WatchDirectory(self, _request: Any, _context: Any) -> AsyncIterator[wire.WatchDirectoryResponse]:  # noqa: N802 - gRPC's name
        yield wire.WatchDirectoryResponse(signed_directory=self.directory)
        await asyncio.Event().wait()

    async def ReportPeers(self, request: wire.ReportPeersRequest, _context: Any) -> wire.ReportPeersResponse:  # noqa: N802 - gRPC's name
        for report in request.reports:
            self.reports.put_nowait((report.node, report.reachable))
        return wire.ReportPeersResponse()

    async def serve(self, socket: Path) -> Any:
        server = unix_server(socket)
        add_MailboxServiceServicer_to_server(self, server)
        await server.start()
        return server


async def opened(mailbox: UnixMailbox) -> None:
    async with asyncio.timeout(20):
        await mailbox._client.wait_for(StreamState.OPEN)


async def test_calls_directories_and_reports_over_the_socket(tmp_path: Path) -> None:
    other = Mailboxes(b"first")
    server = await other.serve(tmp_path / "swarm")
    mailbox = UnixMailbox(tmp_path / "swarm")
    await mailbox.start()
    try:
        await opened(mailbox)
        assert mailbox.available
        assert await mailbox.handle(MAILBOX_CALL_DIRECT, b"{}") == Reply(200, b'{"ok":true}')
        assert (await mailbox.handle(MAILBOX_CALL_DIRECT, b"x" * (11 * 2**20 + 1))).status == 413
        directories = mailbox.watch_directory()
        assert await anext(directories) == b"first"
        await mailbox.report_peers([(b"n" * 32, True), (b"m" * 32, False)])
        assert other.reports.get_nowait() == (b"n" * 32, True)
        waiting = asyncio.create_task(mailbox.handle(MAILBOX_CALL_ONION, b"wait"))
        async with asyncio.timeout(10):
            while len(other.calls) < 2:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
        await server.stop(None)
        away = Reply(503, b"Service node is not ready: its mailboxes are away\n")
        assert await waiting == away
        assert not mailbox.available
        assert await mailbox.handle(MAILBOX_CALL_DIRECT, b"{}") == away
        await mailbox.report_peers([(b"n" * 32, True)])
        other.directory = b"second"
        server = await other.serve(tmp_path / "swarm")
        async with asyncio.timeout(20):
            assert await anext(directories) == b"second"
        await opened(mailbox)
        assert (await mailbox.handle(MAILBOX_CALL_DIRECT, b"{}")).status == 200
        await directories.aclose()
    finally:
        await mailbox.close()
        await server.stop(None)


@dataclass
class Child:
    """``python -m services.onion`` with settings of a lab node."""

    process: asyncio.subprocess.Process
    folder: Path

    async def log(self) -> str:
        assert self.process.stderr is not None
        return (await self.process.stderr.read()).decode()


@pytest.fixture
async def child(lab: Any, tmp_path: Path, free_port: Any) -> AsyncIterator[Any]:
    """Start a node in a process of its own beside two lab nodes; yield (child, twin, mailboxes)."""
    await lab.add(2)
    twin = lab.build(b"\x77" * 32)
    twin.service.https_port, twin.service.hop_port = free_port(), free_port()
    socket = tmp_path / "swarm"
    mailboxes = Mailboxes(lab.directory([*(node.listed() for node in lab.nodes), twin.listed()]).signed)
    server = await mailboxes.serve(socket)
    place = tmp_path / "child"
    place.mkdir()
    (tmp_path / "seed").write_text(twin.seed.hex() + "\n")
    (tmp_path / "seed").chmod(0o600)
    (tmp_path / "onion.toml").write_text(
        f"""
network_file = "{lab.network_file}"
node_key_file = "{tmp_path / "seed"}"
certificate = "{twin.settings.certificate}"
https = "127.0.0.1:{twin.service.https_port}"
hop = "127.0.0.1:{twin.service.hop_port}"
mailbox = "{socket}"
[reachability]
interval = "100ms"
"""
    )
    environment = {"PATH": os.environ["PATH"], "HOME": str(place), "TMPDIR": str(place)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.onion",
        str(tmp_path / "onion.toml"),
        cwd=place,
        env=environment,
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    for node in lab.nodes:
        node.mailbox.directories.put_nowait(mailboxes.directory)
    try:
        async with asyncio.timeout(30):
            await mailboxes.reports.get()  # it has the directory and tests its peers
        yield Child(process, place), twin, mailboxes
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await server.stop(None)


async def test_a_process_serves_drains_and_leaves_nothing(lab: Any, connect: Any, child: Any) -> None:
    process, twin, mailboxes = child
    request = b'{"method":"retrieve","params":{"pubkey":"%s"}}' % ACCOUNT.encode()
    client = await connect(twin.service.https_port)
    assert (await client.ask("POST", "/storage_rpc/v1", request)).status == 200
    path = [lab.nodes[0].hop_key, lab.nodes[1].hop_key, twin.hop_key]
    packet = to_node(path, "retrieve", {"pubkey": ACCOUNT})
    entry = await connect(lab.nodes[0].service.https_port)
    answer = await entry.ask("POST", "/onion_req/v2", packet.data)
    assert packet.read(answer.body).body == '{"ok":true}'
    through = to_node([twin.hop_key, lab.nodes[0].hop_key], "retrieve", {"pubkey": ACCOUNT})
    assert (await client.ask("POST", "/onion_req/v2", through.data)).status == 200
    for junk in (b"", b"\xff" * 100, through.data, through.data[:-40]):
        assert (await client.ask("POST", "/onion_req/v2", junk)).status == 400
    assert [code for code, _ in mailboxes.calls] == [MAILBOX_CALL_DIRECT, MAILBOX_CALL_ONION]

    # A request under way is finished, then the process ends by itself.
    client.send("POST", "/storage_rpc/v1", b"wait")
    async with asyncio.timeout(10):
        while mailboxes.calls[-1][1] != b"wait":  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
    process.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        while await still_accepts(twin.service.https_port):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.02)
    mailboxes.gate.set()
    assert (await client.read()).status == 200
    async with asyncio.timeout(20):
        log = await process.log()
    assert await process.process.wait() == 0, log

    # Neither log nor disk tells of anybody.
    print(log)
    for trace in (ACCOUNT, ACCOUNT[2:], "ab12cd34", "127.0.0.1", "/onion_req", "/storage_rpc", lab.nodes[0].key.hex()):
        assert trace not in log
    assert "is ready" in log
    assert list(process.folder.iterdir()) == []


async def still_accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.transport.abort()
    return True


async def test_settings_that_are_wrong_end_the_process_with_all_reasons(tmp_path: Path) -> None:
    (tmp_path / "onion.toml").write_text('https = "nowhere"\nhttp.requets = 5\n')
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.onion", str(tmp_path / "onion.toml"), stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 2
    for reason in (b"https in", b"http.requets", b"network_file is missing", b"node_key_file is missing"):
        assert reason in errors
