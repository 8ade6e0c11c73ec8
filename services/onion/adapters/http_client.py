"""One POST over a connection of its own, to one address, within bounds. Follows nothing, keeps nothing.

Not httpx: what is cancelled in the middle of its TLS handshake stays open, and an address that was checked would have
to be handed to it in disguise.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final, NamedTuple

import h11

_READ: Final = 64 * 1024
_HEAD: Final = 32 * 1024


class AnswerTooLarge(Exception):
    """The answer's body exceeds the limit."""


class Place(NamedTuple):
    """Where to connect."""

    #: A literal IP address, so that nothing is looked up any more; or a name, if whoever answers is checked otherwise.
    host: str
    port: int
    #: None is plain HTTP.
    tls: ssl.SSLContext | None = None
    #: Whom the certificate must name, if the context checks that.
    name: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; header names in lower case."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes = b""


async def post(
    place: Place, target: str, headers: list[tuple[str, str]], body: bytes = b"", *, limit: int | None = None
) -> Answer:
    """Send a request and return its answer. Bound the time with ``asyncio.timeout``.

    Args:
        place: where to connect.
        target: path.
        headers: all but length and connection.
        body: of the request.
        limit: bytes of the answer's body; None does not wait for it.

    Raises:
        OSError: no connection, or it broke.
        h11.RemoteProtocolError: what came back is no HTTP/1.1.
        AnswerTooLarge: more than `limit`.
    """
    name = place.name if place.tls is not None else None
    reader, writer = await asyncio.open_connection(place.host, place.port, ssl=place.tls, server_hostname=name)
    try:
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD)
        fields = [*headers, ("Content-Length", str(len(body))), ("Connection", "close")]
        for event in (h11.Request(method="POST", target=target, headers=fields), h11.Data(body), h11.EndOfMessage()):
            writer.write(connection.send(event) or b"")
        return await _read(reader, connection, limit)
    finally:
        writer.transport.abort()


async def _read(reader: asyncio.StreamReader, connection: h11.Connection, limit: int | None) -> Answer:
    status, headers, body = 0, dict[bytes, bytes](), bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_READ))
        elif isinstance(event, h11.Response):
            status, headers = event.status_code, dict(event.headers)
            if limit is None:
                return Answer(status, headers)
        elif isinstance(event, h11.Data):
            body += event.data
            if limit is not None and len(body) > limit:
                raise AnswerTooLarge
        elif isinstance(event, h11.EndOfMessage):
            return Answer(status, headers, bytes(body))
        elif not isinstance(event, h11.InformationalResponse):
            raise h11.RemoteProtocolError("the connection ended before the answer")
