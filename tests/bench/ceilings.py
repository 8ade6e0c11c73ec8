"""What the parts of our work cost at best, each measured alone: the figures that a row is held against.

Every ceiling runs in a process of its own and reports CPU microseconds per operation over all processes that do the
work (the load generator not among them) and, where it has one, the median latency in milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import nacl.bindings
import nacl.signing
import uvloop
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.bench.cpu import CpuMeter
from tests.bench.lean_nats import LeanNats

PAYLOAD = os.urandom(1024)


def _in_process(operation: Callable[[], object], count: int) -> dict[str, float]:
    operation()
    start = time.process_time()
    for _ in range(count):
        operation()
    return {"cpu_us": (time.process_time() - start) / count * 1e6}


def ed25519_sign() -> dict[str, float]:
    """One signature over a 43-character hash."""
    seed = nacl.signing.SigningKey.generate()
    secret = bytes(seed) + bytes(seed.verify_key)
    text = b"x" * 43
    return _in_process(lambda: nacl.bindings.crypto_sign(text, secret), 4000)


def ed25519_verify() -> dict[str, float]:
    """One verification of a ``retrieve`` signature."""
    key = nacl.signing.SigningKey.generate()
    signed = bytes(key.sign(b"retrieve1700000000000"))
    public = bytes(key.verify_key)
    return _in_process(lambda: nacl.bindings.crypto_sign_open(signed, public), 3000)


def x25519_aead() -> dict[str, float]:
    """One layer: a shared secret and an AES-GCM opening of about 2 KB."""
    own, other = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    public = other.public_key().public_bytes_raw()
    sealed = AESGCM(bytes(32)).encrypt(bytes(12), PAYLOAD + PAYLOAD, None)

    def layer() -> None:
        own.exchange(X25519PublicKey.from_public_bytes(public))
        AESGCM(bytes(32)).decrypt(bytes(12), sealed, None)

    return _in_process(layer, 4000)


def _store(folder: Path) -> sqlite3.Connection:
    database = sqlite3.connect(folder / "ceiling.db", isolation_level=None)
    database.execute("pragma journal_mode=wal")
    database.execute("pragma synchronous=full")
    database.execute("create table m(id integer primary key, account integer, body blob)")
    database.execute("create index by_account on m(account, id)")
    return database


def group_insert(batch: int = 32) -> dict[str, float]:
    """One row of 1 KB inserted as part of a committed and synced group."""
    with tempfile.TemporaryDirectory() as folder:
        database = _store(Path(folder))
        rounds = 4000 // batch
        lasted = []
        start = time.process_time()
        for number in range(rounds):
            began = time.perf_counter()
            database.execute("begin")
            database.executemany(
                "insert into m(account, body) values(?, ?)", [(number * batch + n, PAYLOAD) for n in range(batch)]
            )
            database.execute("commit")
            lasted.append(time.perf_counter() - began)
        cpu = time.process_time() - start
        database.close()
    return {"cpu_us": cpu / rounds / batch * 1e6, "p50_ms": statistics.median(lasted) * 1e3}


def group_commit_alone() -> dict[str, float]:
    """A commit of one row, alone: what one request waits for."""
    return group_insert(batch=1)


def range_read() -> dict[str, float]:
    """Ten rows of 1 KB of one account, in order."""
    with tempfile.TemporaryDirectory() as folder:
        database = _store(Path(folder))
        database.execute("begin")
        database.executemany("insert into m(account, body) values(?, ?)", [(n // 10, PAYLOAD) for n in range(2000)])
        database.execute("commit")
        account = 0

        def read() -> None:
            nonlocal account
            account = (account + 7) % 200
            database.execute("select id, body from m where account = ? order by id limit 10", (account,)).fetchall()

        result = _in_process(read, 3000)
        database.close()
    return result


class _Frames(asyncio.Protocol):
    """Frames of 8 bytes of id, 4 of length, and a body; the answers of one read are written at once."""

    def __init__(self) -> None:
        self.rest = b""
        self.out: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def send(self, number: int, body: bytes) -> None:
        self.out.append(number.to_bytes(8, "big") + len(body).to_bytes(4, "big"))
        self.out.append(body)

    def data_received(self, data: bytes) -> None:
        buffer = self.rest + data if self.rest else data
        at, size = 0, len(buffer)
        while size - at >= 12:
            end = at + 12 + int.from_bytes(buffer[at + 8 : at + 12], "big")
            if end > size:
                break
            self.arrived(int.from_bytes(buffer[at : at + 8], "big"), buffer[at + 12 : end])
            at = end
        self.rest = buffer[at:]
        if self.out:
            self.transport.write(b"".join(self.out))
            self.out.clear()

    def arrived(self, number: int, body: bytes) -> None:
        self.send(number, body)


class _Pings(_Frames):
    def __init__(self, window: int, count: int) -> None:
        super().__init__()
        self.left, self.unsent = count, count - window
        self.done = asyncio.get_running_loop().create_future()
        for number in range(window):
            self.send(number, PAYLOAD)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.write(b"".join(self.out))
        self.out.clear()

    def arrived(self, number: int, body: bytes) -> None:
        self.left -= 1
        if self.unsent:
            self.unsent -= 1
            self.send(number, body)
        if self.left == 0:
            self.done.set_result(None)


async def tcp_echo(window: int = 64, count: int = 30_000) -> dict[str, float]:
    """One framed 1 KB echo over loopback TCP; both ends in this process count."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Frames, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    start = time.process_time()
    _, pings = await loop.create_connection(lambda: _Pings(window, count), "127.0.0.1", port)
    await pings.done
    cpu = time.process_time() - start
    pings.transport.close()
    server.close()
    return {"cpu_us": cpu / count * 1e6}


async def append(port: int, nats_pid: int, in_flight: int = 64, count: int = 3000) -> dict[str, float]:
    """One lean publish of 1 KB with acknowledgement, at the server's durability; client and server count."""
    client = await LeanNats.connect(port)
    name = f"CEIL{os.getpid()}"
    await client.api(f"STREAM.CREATE.{name}", {"name": name, "subjects": [f"{name}.>"], "storage": "file"})
    subjects = [f"{name}.{n:02x}.{os.urandom(16).hex()}".encode() for n in range(count)]
    rest = iter(subjects)
    lasted: list[float] = []

    async def publisher() -> None:
        for subject in rest:
            began = time.perf_counter()
            await client.request(subject, PAYLOAD)
            lasted.append(time.perf_counter() - began)

    meter = CpuMeter([os.getpid(), nats_pid])
    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(publisher())
    used = meter.stop()
    await client.api(f"STREAM.DELETE.{name}", {})
    client.close()
    return {"cpu_us": used.cpu_s / count * 1e6, "p50_ms": statistics.median(lasted) * 1e3, "rate": count / used.wall_s}


async def fill(port: int, nats_pid: int, stream: str = "READ", count: int = 6000) -> dict[str, float]:
    """Make a stream of 1 KB events for ``follow``."""
    client = await LeanNats.connect(port)
    await client.api(f"STREAM.CREATE.{stream}", {"name": stream, "subjects": [f"{stream}.>"], "storage": "file"})
    for start in range(0, count, 500):
        await asyncio.gather(
            *(client.request(f"{stream}.{n % 256:02x}".encode(), PAYLOAD) for n in range(start, start + 500))
        )
    client.close()
    return {"count": count, "nats": nats_pid}


async def follow(port: int, nats_pid: int, stream: str = "READ") -> dict[str, float]:
    """One event of a stream read by a lean pull of all of them; client and server count. ``rate`` is events/s."""
    client = await LeanNats.connect(port)
    count = (await client.api(f"STREAM.INFO.{stream}", {}))["state"]["messages"]
    consumer = f"c{os.getpid()}"
    await client.api(
        f"CONSUMER.CREATE.{stream}.{consumer}",
        {"stream_name": stream, "config": {"name": consumer, "ack_policy": "none", "deliver_policy": "all"}},
    )
    done = asyncio.get_running_loop().create_future()
    left = count

    def arrived(_subject: bytes, _payload: bytes) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            done.set_result(None)

    client.subscribe(b"pulled", arrived)
    meter = CpuMeter([os.getpid(), nats_pid])
    client.publish(
        f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}".encode(),
        b"pulled",
        json.dumps({"batch": count, "expires": 60_000_000_000}).encode(),
    )
    await done
    used = meter.stop()
    await client.api(f"CONSUMER.DELETE.{stream}.{consumer}", {})
    client.close()
    return {"cpu_us": used.cpu_s / count * 1e6, "rate": count / used.wall_s}


IN_PROCESS: dict[str, Callable[[], dict[str, float]]] = {
    "ed25519_sign": ed25519_sign,
    "ed25519_verify": ed25519_verify,
    "x25519_aead": x25519_aead,
    "group_insert": group_insert,
    "group_commit_alone": group_commit_alone,
    "range_read": range_read,
}


def main() -> None:
    """``python -m tests.bench.ceilings NAME [PORT PID [KEY=VALUE ...]]`` prints one JSON object."""
    name, *rest = sys.argv[1:]
    if name in IN_PROCESS:
        result = IN_PROCESS[name]()
    elif name == "tcp_echo":
        result = uvloop.run(tcp_echo())
    else:
        options = dict(word.split("=") for word in rest[2:])
        numbers = {key: int(value) for key, value in options.items() if value.isdigit()}
        texts = {key: value for key, value in options.items() if not value.isdigit()}
        work = {"append": append, "fill": fill, "follow": follow}[name]
        result = uvloop.run(work(int(rest[0]), int(rest[1]), **numbers, **texts))  # type: ignore[operator]  # by name
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
