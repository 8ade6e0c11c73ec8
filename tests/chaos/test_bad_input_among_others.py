"""What bad input gets from a whole network while others go on: the exact refusal, nothing stored, nobody disturbed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from naisho.protocol import ring, storage_texts
from naisho.protocol.account import AccountKeys
from operators.local.nats_server import free_port
from tests.chaos.accidents import UNHURRIED, Place, StruckNetwork
from tests.chaos.ledger import Ledger
from tests.chaos.mailboxes import RPC, ask, http_client, listing, now_ms, signed
from tests.chaos.stream import Stream
from tests.networks import anonymous_tls

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

MIB: Final = 2**20
#: How long a client may take for the head or the body of a request, and to take its answer.
PATIENCE_S: Final = 2.0
#: When the server must have closed a connection at last, on a busy machine.
CLOSED_WITHIN_S: Final = 10 * PATIENCE_S
HOUR_MS: Final = 3_600_000


class Served(StruckNetwork):
    """The default network, its log's status pages open, clients given little time."""

    def __init__(self, home: Path) -> None:
        self.monitor_port = free_port()
        http = {f"http.{name}": f"{PATIENCE_S}s" for name in ("head_time", "body_time", "write_time")}
        super().__init__(home, settings={"onion": UNHURRIED | http, "nats": {"monitor_port": self.monitor_port}})

    def events(self) -> int:
        """Return how many mailbox events the log has ever taken."""
        page = httpx.get(f"http://127.0.0.1:{self.monitor_port}/jsz?accounts=1&streams=1", trust_env=False).json()
        streams = [stream for account in page["account_details"] for stream in account["stream_detail"]]
        (mail,) = [stream for stream in streams if stream["name"].startswith("MAIL_")]
        return int(mail["state"]["last_seq"])

    def members(self, keys: AccountKeys, *, own: bool = True) -> list[Place]:
        """Return the nodes of an account's swarm, or all others."""
        ids = [int(swarm, 16) for swarm in self.status["swarms"]]
        chosen = ring.choose_swarm(ring.position(keys.account_id.key), ids)
        names = self.status["swarms"][f"{chosen:x}"]
        return [place for place in self.places() if (place.name in names) is own]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("bad-input") / "network") as running:
        yield running


@pytest.fixture(scope="module")
def victim() -> AccountKeys:
    """Whose mailbox bad requests are about."""
    return AccountKeys.generate()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with http_client() as client:
        yield client


@asynccontextmanager
async def others_undisturbed(network: Served, http: httpx.AsyncClient, victim: AccountKeys) -> AsyncIterator[None]:
    """Have others store, delete and extend at the same nodes meanwhile; hold the log against what they did."""
    before = network.events()
    ledgers: list[Ledger] = []
    while len(ledgers) < 2:
        keys = AccountKeys.generate()
        if network.members(keys) == network.members(victim):
            ledgers.append(Ledger(keys))
    stream = Stream(http, network.members(victim), ledgers, writers=1)
    async with stream.running():
        await stream.acknowledged(10)
        yield
        await stream.acknowledged(10)
    await stream.check()
    done = {what: stream.counts.pop(what, 0) for what in ("stored", "deleted", "extended")}
    del stream.counts["receipts"]
    print(f"\nothers meanwhile: {done}; their slowest request took {stream.slowest_s:.2f} s")
    assert not stream.counts, "others were refused"
    assert network.events() - before == sum(done.values()), "something else was stored"


def message(keys: AccountKeys, data: bytes = b"never to be stored", **other: Any) -> dict[str, Any]:
    body = {"timestamp": now_ms(), "ttl": HOUR_MS, "data": b64encode(data).decode()}
    return {"pubkey": keys.account_id.hex, **body, **other}


def refused(keys: AccountKeys) -> dict[str, tuple[bytes, int, str]]:
    """Return bad bodies by name, and what each gets (wire 4.1, 4.2, 4.6, 4.7, 4.11)."""
    now = now_ms()
    good = message(keys)

    def call(method: str, params: Any) -> bytes:
        return json.dumps({"method": method, "params": params}).encode()

    def retrieve(at: int, of: AccountKeys = keys) -> bytes:
        return call(
            "retrieve", signed(of, storage_texts.retrieve(0, at)) | {"pubkey": keys.account_id.hex, "timestamp": at}
        )

    store = {"method": "store", "params": good}
    clock = "Timestamp error: check your clock"
    return {
        "no JSON": (b"{", 400, "invalid json"),
        "no method": (b'{"params": {}}', 400, "invalid json: no `method` field"),
        "unknown method": (call("steal", {}), 400, "no method steal"),
        "short account": (call("store", good | {"pubkey": "05abcd"}), 400, "Pubkey must be 66 hex digits"),
        "bad base64": (call("store", good | {"data": "not base64!"}), 400, "invalid request: "),
        "large message": (
            call("store", message(keys, bytes(76_801))),
            400,
            "Message body exceeds maximum allowed length",
        ),
        "short life": (call("store", good | {"ttl": 9_999}), 403, "Provided expiry/TTL is not valid."),
        "long life": (call("store", good | {"ttl": 14 * 24 * HOUR_MS + 1}), 403, "Provided expiry/TTL is not valid."),
        "from the future": (call("store", good | {"timestamp": now + 15_000}), 406, clock),
        "from the past": (call("store", good | {"timestamp": now - 2 * HOUR_MS}), 406, clock),
        "unsigned": (call("store", good | {"namespace": 2}), 401, "store: signature required to store to namespace 2"),
        "read late": (retrieve(now - 61_000), 406, "retrieve timestamp too far from current time"),
        "read early": (retrieve(now + 75_000), 406, "retrieve timestamp too far from current time"),
        "read by another": (retrieve(now, AccountKeys.generate()), 401, "retrieve signature verification failed"),
        "21 sub-requests": (call("batch", {"requests": [store] * 21}), 400, "array of 1 to 20 requests"),
        "21 in sequence": (call("sequence", {"requests": [store] * 21}), 400, "array of 1 to 20 requests"),
        "nested batches": (
            call("batch", {"requests": [store, {"method": "batch", "params": {"requests": [store]}}]}),
            400,
            "'batch' is not allowed inside another request",
        ),
    }


async def test_every_bad_request_gets_its_answer_and_leaves_nothing(
    network: Served, http: httpx.AsyncClient, victim: AccountKeys
) -> None:
    async with others_undisturbed(network, http, victim):
        for place in network.members(victim):
            for name, (body, status, text) in refused(victim).items():
                answer = await http.post(place.url + RPC, content=body)
                assert (answer.status_code, text in answer.text) == (status, True), f"{name}: {answer.text[:200]}"
                assert "swarm" not in answer.text

        elsewhere = network.members(victim, own=False)[0]
        answer = await ask(http, elsewhere, "store", message(victim))
        assert answer.status_code == httpx.codes.MISDIRECTED_REQUEST
        told = {node["pubkey_ed25519"] for node in answer.json()["snodes"]}
        assert told == {place.key.hex() for place in network.members(victim)}
    for place in network.members(victim):
        assert await listing(http, place, victim) == []


async def test_oversized_bodies_are_refused_whether_announced_or_not(
    network: Served, http: httpx.AsyncClient, victim: AccountKeys
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield bytes(MIB)

    place = network.members(victim)[0]
    async with others_undisturbed(network, http, victim):
        for content in (bytes(10 * MIB + 1), endless()):
            try:
                answer = await http.post(place.url + RPC, content=content)
            except httpx.WriteError:
                continue  # refused and closed before we had said all
            assert (answer.status_code, answer.text) == (413, "Request body too large")


async def test_slow_clients_are_let_go_and_disturb_nobody(
    network: Served, http: httpx.AsyncClient, victim: AccountKeys
) -> None:
    place = network.members(victim)[0]
    head = f"POST {RPC} HTTP/1.1\r\nHost: node\r\nContent-Length: 5000\r\n\r\n".encode()
    began = time.monotonic()
    async with others_undisturbed(network, http, victim), asyncio.TaskGroup() as tasks:
        for number in range(60):
            # Half of them are slow from the start, the others once the head is through.
            tasks.create_task(drip(place, head + bytes(5000), at_once=0 if number % 2 else len(head)))
    print(f"\n60 slow clients were let go within {time.monotonic() - began:.1f} s")


async def drip(place: Place, request: bytes, at_once: int) -> None:
    """Send a request at ten bytes a second until the server has enough of it."""
    async with asyncio.timeout(CLOSED_WITHIN_S):
        reader, writer = await connect(place)
        try:
            writer.write(request[:at_once])
            for byte in request[at_once:]:
                writer.write(bytes([byte]))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        while await reader.read(1000):
                            pass
                        return
        except ConnectionError:
            return
        finally:
            writer.transport.abort()
    raise AssertionError("the whole request was taken, at ten bytes a second")


async def test_clients_that_never_read_are_let_go_and_disturb_nobody(
    network: Served, http: httpx.AsyncClient, victim: AccountKeys
) -> None:
    place = network.members(victim)[0]
    rich = AccountKeys.generate()
    while network.members(rich) != network.members(victim):
        rich = AccountKeys.generate()
    # More than the kernel takes in the server's stead.
    for number in range(70):
        (await ask(http, place, "store", message(rich, number.to_bytes(1) * 76_000))).raise_for_status()
    now = now_ms()
    params = signed(rich, storage_texts.retrieve(0, now)) | {"timestamp": now, "max_size": 7_800_000}
    body = json.dumps({"method": "retrieve", "params": params}).encode()
    request = b"POST %b HTTP/1.1\r\nHost: node\r\nContent-Length: %d\r\n\r\n%b" % (RPC.encode(), len(body), body)
    whole = len((await http.post(place.url + RPC, content=body)).content)
    assert whole > 6 * MIB

    processes = {name: psutil.Process(pid) for name, pid in network.pids.items() if name.startswith("nodes-")}
    before = {name: process.memory_info().rss for name, process in processes.items()}
    async with others_undisturbed(network, http, victim):
        received = await asyncio.gather(*(deaf(place, request) for _ in range(24)))
    grown = {name: (process.memory_info().rss - before[name]) / MIB for name, process in processes.items()}
    print(f"\n24 clients that did not read {whole / MIB:.1f} MiB each; processes grew by {grown} MiB")
    assert max(received) < whole
    assert max(grown.values()) < 24 * whole / MIB / 2, "every answer was kept"


async def deaf(place: Place, request: bytes) -> int:
    """Ask, and read nothing before the server has had time to lose patience; return how many bytes came through."""
    async with asyncio.timeout(2 * CLOSED_WITHIN_S):
        reader, writer = await connect(place)
        received = 0
        try:
            writer.write(request)
            await asyncio.sleep(3 * PATIENCE_S)
            while chunk := await reader.read(MIB):
                received += len(chunk)
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()
        return received


async def connect(place: Place) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a node's public address, with as little room for what it says as there can be."""
    address = urlsplit(place.url)
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, (address.hostname, address.port))
    return await asyncio.open_connection(sock=plain, ssl=anonymous_tls(), server_hostname="", limit=4096)
