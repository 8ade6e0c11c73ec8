"""A TLS echo on the HTTP server that nodes use: the ceiling of everything that comes over HTTPS.

``python -m tests.bench.echo [SIZE]`` answers every POST with a JSON body of SIZE bytes, prints its port, and ends when
its standard input does.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import tempfile
from pathlib import Path

import uvloop

from services.chassis.certificates import Identity
from services.onion.api.http1.messages import JSON, Head, Request, Response
from services.onion.api.http1.server import HttpServer


class _EchoSite:
    def __init__(self, body: bytes) -> None:
        self._answer = Response(200, body, JSON)

    def admit(self, _head: Head, _peer: str) -> None:
        return None

    def answer(self, _request: Request) -> Response:
        return self._answer


def _tls(folder: Path) -> ssl.SSLContext:
    Identity.make("echo", addresses=["127.0.0.1"]).write(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context


async def _serve(size: int, tls: ssl.SSLContext) -> None:
    server = HttpServer(_EchoSite(b'"' + b"x" * (size - 2) + b'"'), tls=tls)
    sys.stdout.write(f"{await server.start('127.0.0.1', 0)}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop()


def main() -> None:
    """Serve until the standard input ends."""
    with tempfile.TemporaryDirectory() as folder:
        tls = _tls(Path(folder))
        uvloop.run(_serve(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, tls))


if __name__ == "__main__":
    main()
