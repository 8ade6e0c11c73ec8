"""The end that dials and opens the stream."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

import grpc
import grpc.aio

from services.chassis.certificates import Identity
from services.chassis.http2.connection import M, Stream, error
from services.chassis.http2.tls import certificate_of, context_of

_HANDSHAKE: Final = 5.0
_STATUSES: Final = {str(status.value[0]).encode(): status for status in grpc.StatusCode}


def dial(address: tuple[str, int], identity: Identity, peer: bytes, path: str, message: type[M]) -> Stream[M]:
    """Open a stream to the server with exactly the certificate `peer`; it may be used before it stands.

    Args:
        address: host (a name or an IP address) and port.
        identity: our own certificate, which the server asks for.
        peer: the server's certificate, DER.
        path: ``/package.Service/Method``.
        message: type of the messages that come back.

    Raises:
        ssl.SSLError: `peer` is no certificate.
    """
    context = context_of(identity, ssl.PROTOCOL_TLS_CLIENT, peer)
    stream = _Outgoing(path, message, peer)
    stream.dial(*address, context)
    return stream


class _Outgoing(Stream[M]):
    def __init__(self, path: str, message: type[M], peer: bytes) -> None:
        super().__init__(message, client=True)
        self._path = path
        self._peer = peer
        self._answered = False
        self._dialling: asyncio.Task[None] | None = None

    def dial(self, host: str, port: int, context: ssl.SSLContext) -> None:
        """Begin to connect."""
        self._dialling = asyncio.create_task(self._dial(host, port, context))

    async def _dial(self, host: str, port: int, context: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_HANDSHAKE):
                await loop.create_connection(lambda: self, host, port, ssl=context)
        except OSError as problem:  # errors of TLS and time-outs are OSErrors, too
            self._end(error(grpc.StatusCode.UNAVAILABLE, f"no connection: {type(problem).__name__}"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Look at the other end's certificate, then ask for the stream."""
        if certificate_of(transport) != self._peer:
            self._end(error(grpc.StatusCode.UNAVAILABLE, "the other end has another certificate"))
        super().connection_made(transport)
        self._speak(
            (
                (b":method", b"POST"),
                (b":scheme", b"https"),
                (b":path", self._path.encode()),
                (b":authority", b"node"),
                (b"te", b"trailers"),
                (b"content-type", b"application/grpc"),
            )
        )

    def cancel(self) -> bool:
        """Cut the connection off, or stop connecting; false if the stream had ended before."""
        if self._dialling is not None:
            self._dialling.cancel()
        return super().cancel()

    def _on_block(self, headers: dict[bytes, bytes], *, ends: bool) -> None:
        if not self._answered:
            self._answered = True
            if headers.get(b":status") != b"200":
                self._end(error(grpc.StatusCode.UNKNOWN, "the other end is no gRPC server"))
        if ends:
            status = _STATUSES.get(headers.get(b"grpc-status", b""), grpc.StatusCode.UNKNOWN)
            if status is grpc.StatusCode.OK:
                self._input_ends()
            else:
                self._end(error(status, "the other end ended the stream"))
