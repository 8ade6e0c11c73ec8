"""A load generator that is not the bottleneck: every request is built before the clock starts.

One process, one thread, many keep-alive TLS connections, one request in flight on each (closed loop). It parses of an
answer only the status line and the length, checks the status, and keeps latencies. A stubborn one sends what was
answered 503 again at once: the worst that clients can do, and nothing is left undone.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import uvloop


def http_request(path: str, body: bytes) -> bytes:
    """Return one HTTP/1.1 request as it goes over the wire."""
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class _Connection(asyncio.Protocol):
    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._buffer = b""
        self._need = -1
        self._started = 0.0
        self._status = b""
        self._request: bytes | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def send_next(self) -> None:
        self._request = self._generator.next_request()
        self._started = time.perf_counter()
        self._send()

    def _send(self) -> None:
        if self._request is None:
            return
        assert self.transport is not None
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if self._need < 0:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end].lower()
            self._status = head[9:12]
            at = head.find(b"content-length:")
            line_end = head.find(b"\r\n", at)
            length = head[at + 15 : line_end if line_end > 0 else len(head)]
            self._need = end + 4 + int(length)
        if len(self._buffer) < self._need:
            return
        body = self._buffer[: self._need]
        self._buffer = self._buffer[self._need :]
        self._need = -1
        if self._generator.stubborn and self._status == b"503":
            self._generator.refused()
            self._send()
            return
        self._generator.answered(time.perf_counter() - self._started, self._status, body)
        self.send_next()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._generator.lost()


class Generator:
    """Sends each of ``requests`` once, over ``connections`` connections, in order."""

    def __init__(self, requests: Sequence[bytes], wanted: bytes = b"", *, stubborn: bool = False) -> None:
        self._requests = iter(requests)
        self._left = len(requests)
        self._wanted = wanted
        self.stubborn = stubborn
        self.latencies: list[float] = []
        self.statuses: dict[str, int] = {}
        self.unexpected = 0
        self.sample = b""
        self._done = asyncio.get_running_loop().create_future()

    def next_request(self) -> bytes | None:
        return next(self._requests, None)

    def refused(self) -> None:
        self.statuses["503"] = self.statuses.get("503", 0) + 1

    def answered(self, latency: float, status: bytes, response: bytes) -> None:
        self.latencies.append(latency)
        key = status.decode()
        self.statuses[key] = self.statuses.get(key, 0) + 1
        if self._wanted and self._wanted not in response:
            self.unexpected += 1
            self.sample = response[:600]
        self._left -= 1
        if not self._left and not self._done.done():
            self._done.set_result(None)

    def lost(self) -> None:
        if not self._done.done() and self._left:
            self._done.set_exception(ConnectionError("the server closed a connection in the middle of the run"))

    async def run(self, host: str, port: int, connections: int) -> None:
        loop = asyncio.get_running_loop()
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        open_ = [
            (await loop.create_connection(lambda: _Connection(self), host, port, ssl=context))[1]
            for _ in range(connections)
        ]
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await loop.run_in_executor(None, sys.stdin.readline)
        for connection in open_:
            connection.send_next()
        await self._done
        for connection in open_:
            assert connection.transport is not None
            connection.transport.close()


def _read_job(job_file: str) -> tuple[dict[str, Any], list[bytes]]:
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    blob = Path(job["requests"]).read_bytes()
    requests = []
    at = 0
    while at < len(blob):
        length = int.from_bytes(blob[at : at + 4], "big")
        requests.append(blob[at + 4 : at + 4 + length])
        at += 4 + length
    return job, requests


async def _drive(job: dict[str, Any], requests: list[bytes]) -> dict[str, Any]:
    generator = Generator(requests, job.get("wanted", "").encode(), stubborn=job.get("stubborn", False))
    await generator.run(job["host"], job["port"], job["connections"])
    return {
        "latencies": sorted(generator.latencies),
        "statuses": generator.statuses,
        "unexpected": generator.unexpected,
        "sample": generator.sample.decode(errors="replace"),
    }


def main() -> None:
    """``python -m tests.bench.load JOB`` prints ``ready``, waits for a line, then works through the job file."""
    job, requests = _read_job(sys.argv[1])
    result = uvloop.run(_drive(job, requests))
    Path(job["result"]).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
